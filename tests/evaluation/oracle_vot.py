"""Runs the VOT toolkit's analysis on a small made-up workspace and prints its numbers as JSON.

A program of its own: `PYTHON_WITH_VOT tests/evaluation/oracle_vot.py > tests/golden/oracle_vot.json`
(any environment with `vot-toolkit==0.9.0` and `attributee<0.1.10`). With a workspace as its argument it prints the
analysis of that one. The tests score the
same workspace, which `write_workspace` makes, with our own analysis.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

SIZE_WH = (160, 120)
STACK = """title: Mini
experiments:
  baseline:
    type: multistart
    analyses:
      - type: multistart_eao_score
        name: eaoscore
        low: 15
        high: 60
      - type: multistart_eao_curve
        name: eaocurve
        high: 60
      - type: multistart_average_ar
        name: ar
  longterm:
    type: unsupervised
    repetitions: 1
    analyses:
      - type: average_tpr
        name: average_tpr
      - type: pr_curve
      - type: f_curve
  unsupervised:
    type: unsupervised
    repetitions: 1
    analyses:
      - type: average_accuracy
        burnin: 1
"""


def write_workspace(root):
    """Write sequences with rectangles, polygons and masks, and one tracker's results, from fixed seeds."""
    (root / "sequences").mkdir(parents=True)
    (root / "config.yaml").write_text("registry:\n- ./trackers.ini\nstack: mini.yaml\nsequences: sequences\n")
    (root / "mini.yaml").write_text(STACK)
    (root / "trackers.ini").write_text("[Ours]\nlabel = Ours\nprotocol = trax\ncommand = none\n")
    names = ["boxes", "polygons", "masks", "absent"]
    (root / "sequences" / "list.txt").write_text("\n".join(names) + "\n")
    for index, name in enumerate(names):
        rng = np.random.default_rng(40 + index)
        truth = _walk(rng, 70 + 17 * index)
        _write_sequence(root / "sequences" / name, truth, name, rng)
        _write_baseline(root / "results" / "Ours" / "baseline" / name, name, truth, rng)
        _write_longterm(root / "results" / "Ours" / "longterm" / name, name, truth, rng)
        shutil.copytree(
            root / "results" / "Ours" / "longterm" / name, root / "results" / "Ours" / "unsupervised" / name
        )


def anchors(num_frames):
    """Return the start frames and directions: every 20 frames, towards the longer side."""
    return {
        frame: 1 if frame < num_frames / 2 else -1 for frame in [*range(0, num_frames, 20), num_frames - 1]
    }


def _walk(rng, num_frames):
    steps = rng.normal(0, 2, (num_frames, 4)).cumsum(0)
    boxes = np.array([60.0, 45, 36, 28]) + steps * [1.3, 1.3, 0.3, 0.3]
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 8)
    boxes[:, :2] = np.clip(boxes[:, :2], -6, np.array(SIZE_WH) - 12)
    return boxes


def _region(box, kind, frame):
    x, y, w, h = box
    if kind == "absent" and frame % 23 > 17:
        return "nan,nan,nan,nan"
    if kind == "polygons":
        corners = [(x + w / 4, y), (x + w, y + h / 5), (x + 0.8 * w, y + h), (x, y + 0.7 * h)]
        return ",".join(f"{value:.2f}" for corner in corners for value in corner)
    if kind == "masks":
        rows, columns = np.mgrid[: SIZE_WH[1], : SIZE_WH[0]]
        inside = ((columns - x - w / 2) / w) ** 2 + ((rows - y - h / 2) / h) ** 2 < 0.25
        flat = np.concatenate([[False], inside.ravel()])
        runs = np.diff([0, *np.flatnonzero(flat[1:] != flat[:-1]), inside.size])
        return "m" + ",".join(map(str, [0, 0, *SIZE_WH, *runs]))
    return ",".join(f"{value:.2f}" for value in box)


def _write_sequence(folder, truth, kind, rng):
    (folder / "color").mkdir(parents=True)
    picture = cv2.imencode(".jpg", np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8))[1].tobytes()
    for frame in range(len(truth)):
        (folder / "color" / f"{frame + 1:08d}.jpg").write_bytes(picture)
    lines = [_region(box, kind, frame) for frame, box in enumerate(truth)]
    (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    meta = {
        "channels.color": "color/%08d.jpg",
        "fps": 30,
        "format": "default",
        "name": kind,
        "width": SIZE_WH[0],
        "height": SIZE_WH[1],
        "length": len(truth),
    }
    (folder / "sequence").write_text("".join(f"{key}={value}\n" for key, value in meta.items()))
    directions = anchors(len(truth))
    values = [str(directions.get(frame, 0)) for frame in range(len(truth))]
    (folder / "anchor.value").write_text("\n".join(values) + "\n")


def _predicted(rng, truth, loses):
    noise = rng.normal(0, 1.5, truth.shape)
    if loses:
        start = int(rng.integers(5, len(truth)))
        noise[start : start + int(rng.integers(4, 25))] += 70
    return truth + noise


def _lines(boxes):
    return "\n".join(["1", *(",".join(f"{value:.4f}" for value in box) for box in boxes[1:])]) + "\n"


def _write_baseline(folder, name, truth, rng):
    folder.mkdir(parents=True)
    for order, (frame, direction) in enumerate(anchors(len(truth)).items()):
        frames = np.arange(frame, len(truth)) if direction > 0 else np.arange(frame, -1, -1)
        boxes = _predicted(rng, truth[frames], order % 2 == 0)
        (folder / f"{name}_{frame:08d}.txt").write_text(_lines(boxes))
        (folder / f"{name}_{frame:08d}_time.value").write_text("\n".join(["0.1"] * len(frames)) + "\n")


def _write_longterm(folder, name, truth, rng):
    folder.mkdir(parents=True)
    boxes = _predicted(rng, truth, True)
    confidence = rng.uniform(0, 1, len(truth)).round(3)
    (folder / f"{name}_001.txt").write_text(_lines(boxes))
    (folder / f"{name}_001_time.value").write_text("\n".join(["0.1"] * len(truth)) + "\n")
    values = ["", *map(str, confidence[1:])]
    (folder / f"{name}_001_confidence.value").write_text("\n".join(values) + "\n")


def region_pairs(count=600):
    """Return pairs of lines: rectangles, polygons, masks and codes, many of them across the image border."""
    rng = np.random.default_rng(5)
    return [(_line(rng), _line(rng)) for _ in range(count)]


def _line(rng):
    kind = rng.choice(["rectangle", "small", "polygon", "mask", "code"], p=[0.3, 0.2, 0.2, 0.25, 0.05])
    if kind == "rectangle":
        values = [rng.uniform(-6, 18), rng.uniform(-6, 14), *rng.uniform(0, 16, 2)]
    elif kind == "small":
        values = np.round([rng.uniform(-3, 22), rng.uniform(-3, 16), *rng.uniform(0, 3, 2)], 1)
    elif kind == "polygon":
        centre = np.array([rng.uniform(-2, 21), rng.uniform(-2, 15)])
        values = (centre + rng.uniform(-8, 8, (rng.integers(3, 7), 2))).ravel()
    elif kind == "mask":
        width, height = rng.integers(1, 14, 2)
        flat = np.concatenate([[False], rng.random(width * height) < rng.random()])
        runs = np.diff([0, *np.flatnonzero(flat[1:] != flat[:-1]), width * height])
        return "m" + ",".join(map(str, [rng.integers(-3, 15), rng.integers(-3, 11), width, height, *runs]))
    else:
        return str(rng.integers(0, 3))
    return ",".join(f"{value:.2f}" for value in values)


REGION_SIZE_WH = (20, 14)


def overlaps():
    from vot.region.io import parse_region
    from vot.region.raster import calculate_overlap

    pairs = region_pairs()
    return [float(calculate_overlap(parse_region(a), parse_region(b), REGION_SIZE_WH)) for a, b in pairs]


def analyse(root):
    """Return the numbers that `vot analysis` writes about the workspace."""
    program = Path(sys.executable).with_name("vot")
    command = [program, "analysis", "--workspace", root, "--format", "json", "--name", "out", "Ours"]
    subprocess.run(command, check=True, stdout=sys.stderr, timeout=300)
    results = json.loads((root / "analysis" / "out.json").read_text())["results"]
    eao, curve, ar = results["baseline"]["results"]
    tpr, pr_curve, f_curve = results["longterm"]["results"]
    return {
        "eao": eao[0][0],
        "eao_curve": curve[0][0],
        "accuracy": ar[0][0],
        "robustness": ar[0][1],
        "precision_recall_f": tpr[0],
        "recall_precision_curve": pr_curve[0][0],
        "f_curve": f_curve[0][0],
        "unsupervised_accuracy": results["unsupervised"]["results"][0][0][0],
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(analyse(Path(sys.argv[1]))) + "\n")
        sys.exit()
    with tempfile.TemporaryDirectory() as folder:
        write_workspace(Path(folder) / "workspace")
        result = analyse(Path(folder) / "workspace")
    sys.stdout.write(json.dumps({**result, "overlaps": overlaps()}) + "\n")

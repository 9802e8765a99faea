"""Runs the got10k package on a small made-up data set and prints its numbers as JSON.

A program of its own: `PYTHON_WITH_GOT10K tests/evaluation/oracle_got10k.py > tests/golden/oracle_got10k.json`
(any environment with `got10k==0.1.3` and `six`). It needs nothing of starktrack.
"""

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

RESOLUTION = (320, 240)


def synthetic():
    """Return {name: (truth, predicted, cover)} of six sequences; some boxes reach outside."""
    sequences = {}
    for index in range(6):
        rng = np.random.default_rng(100 + index)
        num_frames = 40 + 7 * index
        walk = rng.normal(0, 6, (num_frames, 4)).cumsum(0)
        truth = np.array([150.0, 110, 60, 45]) + walk * [1, 1, 0.3, 0.3]
        truth[:, 2:] = np.maximum(truth[:, 2:], 5)
        predicted = truth + rng.normal(0, 1 + 2 * index, truth.shape)
        predicted[:, 2:] = np.maximum(predicted[:, 2:], 1)
        cover = rng.integers(0, 9, num_frames)
        cover[0] = 8
        sequences[f"GOT-10k_Val_{index + 1:06d}"] = (truth.round(3), predicted.round(3), cover)
    return sequences


def seconds_of(name, num_frames):
    """Return seconds per frame; the first is long, and one is 0, as of a clock that is too coarse."""
    rng = np.random.default_rng(int(name[-1]))
    seconds = rng.uniform(0.01, 0.09, num_frames).round(8)
    seconds[0], seconds[5] = 1.5, 0
    return seconds


def write_got10k(root, sequences):
    (root / "val").mkdir(parents=True)
    (root / "val" / "list.txt").write_text("\n".join(sequences) + "\n")
    for name, (truth, predicted, cover) in sequences.items():
        folder = root / "val" / name
        folder.mkdir()
        for frame in range(len(truth)):
            (folder / f"{frame + 1:08d}.jpg").touch()
        np.savetxt(folder / "groundtruth.txt", truth, fmt="%.3f", delimiter=",")
        np.savetxt(folder / "cover.label", cover, fmt="%d")
        np.savetxt(folder / "absence.label", cover == 0, fmt="%d")
        np.savetxt(folder / "cut_by_image.label", cover * 0, fmt="%d")
        lines = ["[METAINFO]", "object_class: thing", "resolution: ({}, {})".format(*RESOLUTION)]
        (folder / "meta_info.ini").write_text("\n".join(lines) + "\n")
        result = root / "results" / "GOT-10k" / "ours" / name
        result.mkdir(parents=True)
        np.savetxt(result / f"{name}_001.txt", predicted, fmt="%.3f", delimiter=",")
        np.savetxt(result / f"{name}_time.txt", seconds_of(name, len(truth)), fmt="%.8f", delimiter=",")


def score_got10k(sequences):
    from got10k.experiments import ExperimentGOT10k

    with tempfile.TemporaryDirectory() as folder:
        write_got10k(Path(folder), sequences)
        os.chdir(folder)
        experiment = ExperimentGOT10k(".", subset="val", result_dir="results", report_dir="reports")
        experiment.report(["ours"])
        report = json.loads(next(Path("reports").rglob("performance.json")).read_text())["ours"]["overall"]
        os.chdir("/")
    return {key: report[key] for key in ("ao", "sr", "succ_curve", "speed_fps")}


def score_otb(sequences):
    from got10k.experiments import ExperimentOTB
    from got10k.utils.metrics import center_error, rect_iou

    experiment = ExperimentOTB.__new__(ExperimentOTB)
    experiment.nbins_iou, experiment.nbins_ce = 21, 51
    success, precision = [], []
    for truth, predicted, _ in sequences.values():
        boxes = predicted.copy()
        boxes[0] = truth[0]
        curves = experiment._calc_curves(rect_iou(boxes, truth), center_error(boxes, truth))
        success.append(np.ravel(curves[0]).tolist())
        precision.append(np.ravel(curves[1]).tolist())
    return {"success": success, "precision": precision, "speed_fps": score_otb_speed(experiment, sequences)}


class Truth:
    """What the OTB experiment asks of its data set."""

    def __init__(self, sequences):
        self.seq_names, self.truth = list(sequences), [truth for truth, _, _ in sequences.values()]

    def __len__(self):
        return len(self.truth)

    def __iter__(self):
        return ((None, truth) for truth in self.truth)


def score_otb_speed(experiment, sequences):
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        (results / "ours" / "times").mkdir(parents=True)
        for name, (truth, predicted, _) in sequences.items():
            np.savetxt(results / "ours" / f"{name}.txt", predicted, fmt="%.3f", delimiter=",")
            times = seconds_of(name, len(truth))
            np.savetxt(results / "ours" / "times" / f"{name}_time.txt", times, fmt="%.8f")
        experiment.result_dir, experiment.report_dir = str(results), folder
        experiment.dataset, experiment.plot_curves = Truth(sequences), lambda names: None
        return experiment.report(["ours"])["ours"]["overall"]["speed_fps"]


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        made = synthetic()
        numbers = {"got10k": score_got10k(made), "otb": score_otb(made)}
    sys.stdout.write(json.dumps(numbers) + "\n")

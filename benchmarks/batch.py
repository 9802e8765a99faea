"""`starktrack batch` against `starktrack track` one after another, against Ray, its memory and its start.

    python benchmarks/batch.py [speed] [ray] [memory] [start] [--clips 200] [--alone 40] [--frames 30] [--rounds 1]

Run by a person; without names everything is measured. The clips are made first: 320 x 240 pixels, a moving object.

- `speed`: the first 40 of 200 clips by `track`, a process each, one after the other, then all of them by `batch`; and
  what share of the seconds is the start of processes. Goal: 1.6 times the frames/s on two cores.
- `ray`: the same clips by `batch`, locally and on a Ray cluster of this machine, whose start is timed apart, and
  whether the files are the same. Goal: less than 10 % more time.
- `memory`: the largest resident set of each worker after each tenth of the clips. Goal: flat.
- `start`: a manifest of 10,000 rows until the first frame is tracked. Goal: below 5 s.
"""

import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import starktrack
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.data.video.writer import VideoWriter
from starktrack.workflows.batch import BatchStatus

KINDS = ("speed", "ray", "memory", "start")
DIFFERENT_CLIPS = 10
"""Clips that are rendered; the others are their copies."""

ROWS_OF_START = 10_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], default=list(KINDS))
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--alone", type=int, default=40)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    from conditions import conditions  # not above: it imports PyTorch, and every worker imports this file

    print(conditions())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        boxes = write_clips(folder, options.clips, options.frames)
        for number in range(options.rounds):
            for kind in options.kinds:
                measure = {"speed": speed, "ray": on_ray, "memory": memory, "start": start}[kind]
                measure(folder, boxes, options, number)


def write_clips(folder: Path, count: int, num_frames: int) -> list[str]:
    """Write clips and a manifest of them; return the box of each."""
    boxes: list[str] = []
    for index in range(count):
        path = folder / f"clip{index:05d}.mp4"
        if index >= DIFFERENT_CLIPS:
            path.write_bytes((folder / f"clip{index % DIFFERENT_CLIPS:05d}.mp4").read_bytes())
            boxes.append(boxes[index % DIFFERENT_CLIPS])
            continue
        clip = list(synthetic_clip(num_frames, size_hw=(240, 320), seed=index))
        with VideoWriter(path, (240, 320), 30.0) as writer:
            for frame in clip:
                writer.write(frame.image)
        boxes.append(",".join(f"{value:.2f}" for value in clip[0].box_xywh))
    write_manifest(folder / "clips.jsonl", boxes, len(boxes))
    return boxes


def write_manifest(path: Path, boxes: Sequence[str], count: int) -> None:
    """Write a manifest of so many rows; videos come again and again."""
    rows = (
        {
            "video": f"clip{index % len(boxes):05d}.mp4",
            "boxes": boxes[index % len(boxes)],
            "id": f"c{index:05d}",
        }
        for index in range(count)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def speed(folder: Path, boxes: Sequence[str], options: argparse.Namespace, number: int) -> None:
    """Compare with `track` in a process for each video."""
    alone = boxes[: options.alone]
    tracking, begun = 0.0, time.perf_counter()
    for index, box in enumerate(alone):
        video, save = folder / f"clip{index:05d}.mp4", folder / "alone.csv"
        command = ("track", str(video), "--box", box, "--save", str(save), "--engine", "onnx")
        ended = subprocess.run(
            [sys.executable, "-m", "starktrack", *command], check=True, capture_output=True, text=True
        )
        tracking += options.frames / float(re.findall(r"([0-9.]+) frames/s", ended.stdout + ended.stderr)[-1])
    seconds = time.perf_counter() - begun
    rate = options.frames * len(alone) / seconds
    print(
        f"speed: track {rate:.1f} frames/s; {seconds / len(alone):.2f} s a clip, of these "
        f"{tracking / len(alone):.2f} s frames"
    )
    begun = time.perf_counter()
    out = folder / f"speed{number}"
    command = ("batch", str(folder / "clips.jsonl"), "--out", str(out), "--workers", str(options.workers))
    subprocess.run([sys.executable, "-m", "starktrack", *command], check=True, capture_output=True)
    seconds = time.perf_counter() - begun
    with (out / "summary.csv").open(encoding="utf-8") as file:
        tracking = sum(float(row["seconds"]) for row in csv.DictReader(file))
    together = options.frames * len(boxes) / seconds
    print(
        f"speed: batch {together:.1f} frames/s, {together / rate:.2f} times; {seconds:.1f} s, the clips took "
        f"{tracking:.1f} s in all workers"
    )


def on_ray(folder: Path, boxes: Sequence[str], options: argparse.Namespace, number: int) -> None:
    """Compare a Ray cluster of this machine with processes of this machine, with as many workers."""
    import ray

    workers = options.workers or 2
    seconds, outs = {}, {}
    begun = time.perf_counter()
    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    print(f"ray: the cluster started in {time.perf_counter() - begun:.1f} s")
    for on in ("local", "ray"):
        outs[on] = folder / f"{on}{number}"
        first: list[float] = []

        def note(status: BatchStatus, first: list[float] = first) -> None:
            if status.done and not first:
                first.append(time.perf_counter())

        begun = time.perf_counter()
        run = starktrack.batch(folder / "clips.jsonl", outs[on], workers=workers, on=on, on_status=note)
        assert not run.has_failed
        seconds[on] = (time.perf_counter() - begun, time.perf_counter() - first[0])
    ray.shutdown()
    files = [{path.name: path.read_bytes() for path in (out / "tracks").iterdir()} for out in outs.values()]
    for part, name in enumerate(("with the start of workers", "from the first result on")):
        local, there = seconds["local"][part], seconds["ray"][part]
        print(f"ray: {name}: local {local:.1f} s, Ray {there:.1f} s, {100 * (there / local - 1):+.1f} %")
    print(f"ray: files are the same: {files[0] == files[1]}")


def memory(folder: Path, boxes: Sequence[str], options: argparse.Namespace, number: int) -> None:
    """Watch the resident set of every worker."""
    import multiprocessing

    tenth = max(1, len(boxes) // 10)
    seen: list[list[int]] = []

    def note(status: BatchStatus) -> None:
        if status.done >= tenth * (len(seen) + 1):
            seen.append([_resident_mib(process.pid) for process in multiprocessing.active_children()])

    starktrack.batch(
        folder / "clips.jsonl", folder / f"memory{number}", workers=options.workers, on_status=note
    )
    for index, mib in enumerate(seen, start=1):
        print(f"memory: after {index * tenth} clips {', '.join(map(str, sorted(mib)))} MiB a worker")


def _resident_mib(pid: int | None) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024


class _EnoughError(Exception):
    """The first video was begun."""


def start(folder: Path, boxes: Sequence[str], options: argparse.Namespace, number: int) -> None:
    """Time from the call to the first frames of the first video."""
    write_manifest(folder / "many.jsonl", boxes, ROWS_OF_START)
    begun = time.perf_counter()
    starts: list[float] = []

    def note(status: BatchStatus) -> None:
        starts.append(time.perf_counter() - begun)
        if status.running or status.done:
            raise _EnoughError

    try:
        starktrack.batch(
            folder / "many.jsonl", folder / f"start{number}", workers=options.workers, on_status=note
        )
    except _EnoughError:
        print(
            f"start: {ROWS_OF_START} rows read in {starts[0]:.2f} s, first video in work after {starts[-1]:.2f} s"
        )
    assert np.isfinite(starts).all()


if __name__ == "__main__":
    main()

"""Speed and memory of evaluations; run by a person.

    python benchmarks/evaluation.py speed DATA_ROOT --weights FILE [--batch 4 8] [--workers 2] [--device cpu]
    python benchmarks/evaluation.py memory --weights FILE [--frames 100000] [--device cpu]

`speed` tracks every data set below DATA_ROOT end to end (decode, crop, network, write): one sequence at a
time, batched, and with workers; frames per second of the whole, process start and loading included, median
of three. `memory` follows one object through a long synthetic stream and through the batch runner at the same
length, and prints the memory of the process on the way.
"""

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from conditions import conditions

from starktrack.api import load_engine
from starktrack.arrays import Image
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.data.video.frame_stream import Frame
from starktrack.tracking.batch_runner import BatchProgress, Clip, Task, run_batch
from starktrack.tracking.batch_tracker import NetworkTracker
from starktrack.tracking.sharding import Shard
from starktrack.tracking.tracker import Tracker
from starktrack.workflows.dispatch import Done
from starktrack.workflows.evaluate import DataPlace, EvaluationJob
from starktrack.workflows.jobs import run_shard
from starktrack.workflows.local_workers import run_shards
from starktrack.workflows.trackers import RunSettings, TrackerSpec

RUNS = 3
LOOP = 300
"""Frames of the synthetic clip that a long stream repeats."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["speed", "memory"])
    parser.add_argument("data", type=Path, nargs="?", default=Path("data"))
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    print(conditions())
    if options.what == "speed":
        _speed(options)
    else:
        _memory(options.weights, options.device, options.frames)


def _speed(options: argparse.Namespace) -> None:
    kinds = [(1, 1), *((batch, 1) for batch in options.batch), (options.batch[0], options.workers)]
    for batch, workers in kinds:
        taken = [_evaluate(options, batch, workers) for _ in range(options.runs)]
        rates = [frames / seconds for frames, seconds in taken]
        spread = f"{min(rates):.1f} to {max(rates):.1f}"
        print(
            f"batch {batch}, {workers} process(es): {statistics.median(rates):.1f} frames/s ({spread}), "
            f"{taken[0][0]} frames",
            flush=True,
        )


def _evaluate(options: argparse.Namespace, batch: int, workers: int) -> tuple[int, float]:
    place = DataPlace("all", options.data, None, allow_missing=True)
    names = tuple(place.open().names)
    settings = RunSettings(device=options.device, batch=batch, workers=workers)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "stages").mkdir()
        job = EvaluationJob(place, TrackerSpec("ours", options.weights), settings, Path(folder), names)
        start = time.perf_counter()
        shards = [Shard(index, workers) for index in range(workers)]
        events = run_shards(partial(run_shard, job), shards)
        frames = sum(event.result for _, event in events if isinstance(event, Done))
        return frames, time.perf_counter() - start


def _memory(weights: Path, device: str, num_frames: int) -> None:
    engine = load_engine(weights=weights, device=device)
    loop = list(synthetic_clip(LOOP))
    stream = (Frame(loop[index % LOOP].image.copy(), index, None) for index in range(num_frames))
    steps = Tracker(engine).track(stream, loop[0].box_xywh)
    _watch("stream", (index for index, _ in enumerate(steps)), num_frames)
    clip = Clip(_Loop([frame.image for frame in loop], num_frames), range(num_frames), loop[0].box_xywh)
    events = run_batch(NetworkTracker(engine, 1), [Task("long", lambda: clip)])
    _watch("batch runner", (event.frames for event in events if isinstance(event, BatchProgress)), num_frames)


class _Loop:
    """A long video without its memory."""

    def __init__(self, images: list[Image], count: int) -> None:
        self._images = images
        self._count = count

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> Image:
        return np.array(self._images[index % LOOP])


def _watch(name: str, positions: Iterator[int], num_frames: int) -> None:
    start = time.perf_counter()
    for position in positions:
        if position and position % (num_frames // 10) == 0:
            rate = position / (time.perf_counter() - start)
            print(f"{name}: {position:,} frames, {_resident():.1f} MiB, {rate:.0f} frames/s", flush=True)


def _resident() -> float:
    """Return the memory of this process, MiB; the peak where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()

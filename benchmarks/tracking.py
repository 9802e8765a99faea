"""Frames per second end to end from an mp4 (decode, crop, network, map-back): our engines and OpenCV's trackers.

    python benchmarks/tracking.py [--video FILE --box X,Y,W,H] [--targets 1 8] [--rivals csrt kcf mil nanotrack]
        [--nanotrack FOLDER] [--opencv-python PYTHON] [--rounds 5]

Run by a person. Without a video a synthetic clip of 640 x 480 pixels is written first. Every contestant tracks the
whole clip in every round, one after the other, so that a change of the machine's speed meets all; printed are
median and spread (lowest to highest) over the rounds, after one round to warm up.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from conditions import conditions

import starktrack
from starktrack.data.frames import open_frames
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.data.video.writer import VideoWriter
from starktrack.tracking.batch_tracker import PluginTracker
from starktrack.tracking.plugin import load_factory

NUM_FRAMES = 150

Run = Callable[[], int]
"""Tracks the clip once and returns how many frames it had."""

Prepare = Callable[[], Run]
"""Loads or starts a tracker, which is not timed."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--video", type=Path)
    parser.add_argument("--box", type=lambda text: [float(number) for number in text.split(",")])
    parser.add_argument("--targets", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rivals", nargs="*", default=[])
    parser.add_argument("--nanotrack", type=Path)
    parser.add_argument("--opencv-python", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video, box = (options.video, options.box) if options.video else _write_clip(Path(folder))
        contestants = _ours(video, box, options.targets)
        for name in options.rivals:
            factory = load_factory(name, nanotrack=options.nanotrack, opencv_python=options.opencv_python)
            contestants[name] = _rival(factory, video, box)
        print(conditions())
        _report(contestants, options.rounds)


def _write_clip(folder: Path) -> tuple[Path, Sequence[float]]:
    clip = list(synthetic_clip(NUM_FRAMES, size_hw=(480, 640)))
    with VideoWriter(folder / "clip.mp4", (480, 640), 30.0) as writer:
        for frame in clip:
            writer.write(frame.image)
    return folder / "clip.mp4", clip[0].box_xywh.tolist()


def _ours(video: Path, box: Sequence[float], targets: Sequence[int]) -> dict[str, Prepare]:
    found: dict[str, Prepare] = {}
    for engine in ("onnx", "torch", "torch compiled"):
        tracker = starktrack.load(engine="onnx" if engine == "onnx" else "torch", device="cpu")
        if engine == "torch compiled":
            _compile(tracker)
        for count in targets:
            found[f"{engine}, {count} targets"] = _own(tracker, video, [box] * count)
    return found


def _compile(tracker: starktrack.Tracker) -> None:

    network = tracker.engine.network
    network.embed_search = torch.compile(network.embed_search)
    network.locate = torch.compile(network.locate)


def _own(tracker: starktrack.Tracker, video: Path, boxes: Sequence[Sequence[float]]) -> Prepare:
    def run() -> int:
        with open_frames(str(video)) as frames:
            return sum(1 for _ in tracker.track(frames, boxes))

    return lambda: run


def _rival(factory: Callable, video: Path, box: Sequence[float]) -> Prepare:
    def prepare() -> Run:
        return partial(_follow, factory(), video, box)

    return prepare


def _follow(tracker: PluginTracker, video: Path, box: Sequence[float]) -> int:
    with open_frames(str(video)) as frames:
        stream = iter(frames)
        tracker.start(next(stream).image, np.asarray(box, float))
        return 1 + sum(1 for frame in stream if tracker.update(frame.image) is not None)


def _report(contestants: dict[str, Prepare], rounds: int) -> None:
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, prepare in contestants.items():
            run = prepare()
            start = time.perf_counter()
            count = run()
            if number:
                speeds[name].append(count / (time.perf_counter() - start))
    for name, values in speeds.items():
        print(f"{name:24} {statistics.median(values):7.1f} frames/s ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main()

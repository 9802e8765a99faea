"""Which of several weights tracks better, from several starts of each development sequence in both directions.

    python benchmarks/starts.py WEIGHTS [WEIGHTS ...] --data DATA_ROOT [--starts 0 0.25 0.5] [--frames 300]
        [--set box_fit=1 ...] [--nanotrack FOLDER]

Run by a person. One run of a sequence from its first frame is one draw: whether a target is held where another crosses
often hangs on the second digit of a box, and weights that were chosen by such runs are lucky in just these. So every
sequence of recipe `mobile`'s validation data is tracked from the frames at these shares of its visible frames on,
forwards and backwards, each time for `--frames` frames at most. A sequence counts as the mean of its runs, of which
the first begins at the first of `--starts`, forwards. Starts by which candidates were sorted out flatter what is left:
take others, which no choice has seen, for the last word.

The table gives success (the `stark` dialect's AUC, over frames that show the target) of each weights, and below it
the difference to the first weights, with the interval that holds 95 % of the means over sequences drawn with
replacement: over all runs, over the first run, and over all others.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from starktrack import Tracker, load
from starktrack.arrays import Box, Image
from starktrack.config.loading import override
from starktrack.config.recipes import read_recipe
from starktrack.data.video_sequence import VideoSequence
from starktrack.evaluation.dialects import dialect
from starktrack.evaluation.metrics import overlaps, success_curve
from starktrack.evaluation.statistics import interval
from starktrack.tracking.batch_tracker import PluginTracker
from starktrack.tracking.plugin import load_factory
from starktrack.training.datasets import open_collections

THRESHOLDS = dialect("stark").overlap_thresholds


def main() -> None:
    """Track, print and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--starts", type=float, nargs="+", default=[0.0, 0.25, 0.5])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--nanotrack", type=Path, help="NanoTrack too; the folder with its two ONNX files")
    parser.add_argument("--set", dest="settings", nargs="*", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    names = list(options.weights)
    trackers: list[PluginTracker] = [Ours(load(weights=each), options.settings) for each in names]
    if options.nanotrack:
        names.append("nanotrack")
        trackers.append(load_factory("nanotrack", nanotrack=options.nanotrack)())
    collections = open_collections(read_recipe("mobile").validation.datasets, options.data, 0)
    sequences = [each[index] for each in collections.values() for index in range(len(each))]
    rows = []
    for each in sequences:
        plan = list(runs(each, options.starts, options.frames))
        rows.append([[run(tracker, each, frames) for frames in plan] for tracker in trackers])
        print(f"{each.name:24s}", *(f"{mean:.3f}" for mean in np.mean(rows[-1], axis=1)), flush=True)
    scores = np.array(rows)  # [sequences, weights, runs]
    print(f"{'mean of all':24s}", *(f"{mean:.3f}" for mean in scores.mean(axis=(0, 2))))
    for index, name in enumerate(names[1:], start=1):
        difference = scores[:, index] - scores[:, 0]
        print(f"{name} less {names[0]}")
        parts = {"all": difference, "first run": difference[:, :1], "others": difference[:, 1:]}
        for part, values in parts.items():
            if values.size:
                found = interval(values.mean(axis=1), np.ones(len(values)))
                print(f"  {part:12s} {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})")


class Ours:
    """A tracker of ours with other settings, each `NAME=VALUE`."""

    def __init__(self, tracker: Tracker, settings: list[str]) -> None:
        self._tracker = Tracker(tracker.engine, settings=override(tracker.settings, settings))

    def start(self, image: Image, box_xywh: Box) -> None:
        """Start on this box."""
        self._tracker.start(image, box_xywh)

    def update(self, image: Image) -> Box:
        """Return the box in the next frame."""
        return self._tracker.update(image).box_xywh


def runs(sequence: VideoSequence, starts: list[float], num_frames: int) -> Iterator[range]:
    """Yield the frames of each run, the one that it starts on first: runs forwards, then those backwards."""
    shown = np.flatnonzero(sequence.visible)
    for step, ordered in ((1, shown), (-1, shown[::-1])):
        for start in starts:
            first = int(ordered[int(start * len(ordered))])
            end = len(sequence) if step == 1 else -1
            yield range(first, end, step)[: num_frames + 1]


def run(tracker: PluginTracker, sequence: VideoSequence, frames: range) -> float:
    """Return the success over the frames of a run that show the target, without the one that it starts on."""
    truth, shown = sequence.boxes_xywh, sequence.visible
    tracker.start(sequence.frames.read(frames[0]), truth[frames[0]])
    boxes = [tracker.update(sequence.frames.read(index)) for index in frames[1:]]
    seen = shown[list(frames[1:])]
    found = overlaps(np.array(boxes)[seen], truth[list(frames[1:])][seen])
    return float(success_curve(found, THRESHOLDS).mean())


if __name__ == "__main__":
    main()

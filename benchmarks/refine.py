"""How much a refiner adds: overlap of outlines (J) and of boxes on DAVIS, with and without it, for any tracker.

    python benchmarks/refine.py DAVIS --refine FILE --weights FILE          our network
    python benchmarks/refine.py DAVIS --refine FILE --tracker nanotrack --nanotrack DIR
    python benchmarks/refine.py DAVIS --refine FILE --tracker truth         a tracker that is never wrong

Run by a person. Without the refiner the outline is the box, filled. Means over frames but the first, then over
sequences. `--pictures DIR` writes frames with the outline found (tinted) and the true one (white line).
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from starktrack.api import load_engine, load_refiner
from starktrack.data.sources import open_dataset
from starktrack.data.track_output import TrackOutput
from starktrack.data.video_sequence import VideoSequence
from starktrack.geometry.boxes import clip_xywh, overlap_xywh, whole_pixels
from starktrack.tracking.batch_tracker import BatchTracker, NetworkTracker, PluginAdapter
from starktrack.tracking.overlay import draw_boxes, draw_masks
from starktrack.tracking.plugin import load_factory
from starktrack.tracking.protocol import BoxQueries, Refiner
from starktrack.tracking.refinement import Refined, refine

WHITE = (255, 255, 255)
MARGIN = 10.0
"""Pixels of a tracker's box that stay in the frame, as in our own tracker."""


@dataclass(frozen=True)
class Moment:
    """One frame: where the tracker and the refiner say the target is, and how long the refiner took."""

    index: int
    image: np.ndarray
    box_xywh: np.ndarray
    refined: Refined
    seconds: float


class Truth:
    """A tracker that knows the answer."""

    capacity = 1

    def __init__(self) -> None:
        self.boxes: Iterator[np.ndarray] = iter(())

    def start(self, image: np.ndarray, box_xywh: np.ndarray) -> None:
        """Begin; the sequence's boxes were given before."""

    def advance(self, targets: list, images: list) -> list:
        """Return the next true box."""
        return [TrackOutput(box_xywh=next(self.boxes))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("davis", type=Path)
    parser.add_argument("--refine", required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--tracker", default="")
    parser.add_argument("--nanotrack", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every n-th frame")
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    refiner, tracker = load_refiner(options.refine, device="cpu"), _tracker(options)
    rows = []
    for sequence in open_dataset("davis", options.davis, "all", allow_missing=True):
        moments = _follow(tracker, refiner, sequence, options.every)
        rows.append(_measure(sequence, moments, options.pictures))
        print(_line(sequence.name, rows[-1]))
    print(_line("mean", np.mean(rows, axis=0)))


def _tracker(options: argparse.Namespace) -> BatchTracker:
    if options.weights:
        return NetworkTracker(load_engine(weights=options.weights, device="cpu"), 1)
    if options.tracker == "truth":
        return Truth()
    return PluginAdapter(load_factory(options.tracker, nanotrack=options.nanotrack))


def _follow(tracker: BatchTracker, refiner: Refiner, sequence: VideoSequence, every: int) -> Iterator[Moment]:
    order = range(0, len(sequence), every)
    if isinstance(tracker, Truth):
        tracker.boxes = iter(sequence.boxes_xywh[every::every])
    image, box = sequence.frames.read(0), sequence.boxes_xywh[0]
    target = tracker.start(image, box)
    looks = refiner.embed(_queries(image, box))
    for index in order[1:]:
        image = sequence.frames.read(index)
        (found,) = tracker.advance([target], [image])
        box = clip_xywh(found.box_xywh[None], image.shape[:2], MARGIN)[0]
        before = time.perf_counter()
        (refined,) = refine(refiner, _queries(image, box), looks)
        yield Moment(index, image, box, refined, time.perf_counter() - before)


def _measure(sequence: VideoSequence, moments: Iterator[Moment], pictures: Path | None) -> list[float]:
    rows = []
    for moment in moments:
        true, true_box = sequence.masks.read(moment.index), sequence.boxes_xywh[moment.index]
        if not true.any():
            continue
        found = moment.refined
        rows.append(
            [
                _mask_overlap(_filled(moment.box_xywh, true.shape), true),
                _mask_overlap(found.mask, true),
                overlap_xywh(moment.box_xywh[None], true_box[None])[0],
                overlap_xywh(found.box_xywh[None], true_box[None])[0],
                1000 * moment.seconds,
            ]
        )
        if pictures is not None and moment.index % 10 == 0:
            _draw(pictures / f"{sequence.name}-{moment.index:05d}.png", moment, true)
    return np.mean(rows, axis=0).tolist()


def _filled(box_xywh: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    left, top, columns, rows = whole_pixels(box_xywh)
    mask = np.zeros(size_hw, bool)
    mask[top : top + rows, left : left + columns] = True
    return mask


def _mask_overlap(found: np.ndarray, true: np.ndarray) -> float:
    return float((found & true).sum() / max(1, (found | true).sum()))


def _draw(path: Path, moment: Moment, true: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = draw_masks(moment.image, {0: moment.refined.mask})
    lines, _ = cv2.findContours(true.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, lines, -1, WHITE, 1)
    shown = draw_boxes(picture, {1: moment.box_xywh, 2: moment.refined.box_xywh})
    cv2.imwrite(str(path), shown[:, :, ::-1])


def _queries(image: np.ndarray, box_xywh: np.ndarray) -> BoxQueries:
    return BoxQueries([image], np.zeros(1, np.int64), np.asarray(box_xywh, float)[None])


def _line(name: str, values: list[float]) -> str:
    filled, outlined, plain, refined, milliseconds = values
    return (
        f"{name:16} J {filled:.3f} -> {outlined:.3f}   box overlap {plain:.3f} -> {refined:.3f}   "
        f"{milliseconds:.0f} ms a frame"
    )


if __name__ == "__main__":
    main()

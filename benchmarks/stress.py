"""What makes a tracker lose its target: look-alikes, things in front, missing frames; on the real sequences that
the recipe `mobile` keeps out of training.

    python benchmarks/stress.py WEIGHTS... --data ROOT [--rivals FOLDER]

Run by a person. Every sequence is tracked forwards and backwards, as it is and with each trial: `beside`, a copy of
the target stays one and a quarter of its sides away; `crossing`, a copy passes it twice at that distance; `hidden`,
another part of the first frame, as large as the target, passes in front of it; `skipping`, only every fourth frame is
there. It prints the mean overlap (frames after the first in which the target can be seen), and in how many runs the
target was lost at the end (overlap below 0.1 in all of the last five frames).
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from starktrack.api import load
from starktrack.arrays import Boxes, Image
from starktrack.config.recipes import read_recipe
from starktrack.data.synthetic.cutouts import CutOut, cut_out
from starktrack.data.synthetic.motion import Poses
from starktrack.data.synthetic.painting import paint
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import DatasetError
from starktrack.evaluation.metrics import overlaps
from starktrack.tracking.plugin import load_factory
from starktrack.training.datasets import open_collections

DISTANCE, FAR, SKIP, LOST = 1.25, 4.0, 4, 0.1


@dataclass(frozen=True)
class Film:
    """Frames, the true box of each, and where the target can be seen."""

    images: list[Image]
    boxes_xywh: Boxes
    visible: np.ndarray


Follow = Callable[[Film], Boxes]
"""Tracks a film from its first box."""


def main() -> None:
    """Track and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="+", help="weights files, or stark_mobile")
    parser.add_argument("--data", type=Path, required=True, help="the data root of the recipe")
    parser.add_argument("--rivals", type=Path, help="the folder of NanoTrack's files")
    options = parser.parse_args()
    trackers: dict[str, Follow] = {name: _ours(name) for name in options.weights}
    if options.rivals:
        trackers["nanotrack"] = _rival("nanotrack", options.rivals)
    runs: dict[tuple[str, str], list[np.ndarray]] = {}
    # One film at a time: whole sequences do not fit into memory together.
    for film in _films(options.data):
        for trial, changed in TRIALS.items():
            shown = changed(film)
            for name, follow in trackers.items():
                overlap = overlaps(follow(shown), shown.boxes_xywh)[shown.visible][1:]
                runs.setdefault((name, trial), []).append(overlap)
    print(f"{'':32}" + "".join(f"{trial:>20}" for trial in TRIALS))
    for name in trackers:
        cells = [_cell(runs[name, trial]) for trial in TRIALS]
        print(f"{Path(name).name:32}" + "".join(f"{cell:>20}" for cell in cells))


def _films(root: Path) -> Iterator[Film]:
    collections = open_collections(read_recipe("mobile").validation.datasets, root, 0)
    for collection in collections.values():
        for index in range(len(collection)):
            film = _read(collection[index])
            yield film
            yield Film(film.images[::-1], film.boxes_xywh[::-1], film.visible[::-1])


def _read(sequence: VideoSequence) -> Film:
    shown = np.flatnonzero(sequence.visible)
    used = range(shown[0], shown[-1] + 1)
    images = [sequence.frames.read(index) for index in used]
    return Film(images, sequence.boxes_xywh[used.start : used.stop], sequence.visible[used.start : used.stop])


def _beside(film: Film) -> Film:
    along = np.full(len(film.images), DISTANCE)
    return _with_copies(film, np.stack([along, np.zeros_like(along)], axis=1))


def _crossing(film: Film) -> Film:
    swing = FAR * np.cos(np.linspace(0, 2 * np.pi, len(film.images)))
    return _with_copies(film, np.stack([swing, np.full_like(swing, DISTANCE)], axis=1))


def _with_copies(film: Film, offset: Float[np.ndarray, "frames 2"]) -> Film:
    """Return the film with a copy of the target at offsets in widths and heights of its box."""
    images = []
    for image, box, shown, away in zip(film.images, film.boxes_xywh, film.visible, offset, strict=True):
        copy = _target(image, box) if shown else None
        images.append(image if copy is None else _painted(image, copy, box[:2] + box[2:] * (0.5 + away)))
    return Film(images, film.boxes_xywh, film.visible)


def _hidden(film: Film) -> Film:
    """Return the film with a part of its first frame, as large as the target, passing in front of it."""
    count, first = len(film.images), film.boxes_xywh[0]
    middle, reach = count // 2, max(4, count // 8)
    size = np.array(film.images[0].shape[1::-1])
    corner = (size - first[2:]) * (first[:2] + first[2:] / 2 < size / 2)  # the corner that is farthest away
    front = _target(film.images[0], np.concatenate([corner, first[2:]]), roundness=6.0)
    images = list(film.images)
    for index in range(middle - reach, middle + reach):
        box = film.boxes_xywh[index]
        away = np.array([1.5 * (index - middle) / reach, 0.0])
        if front is not None and film.visible[index]:
            images[index] = _painted(images[index], front, box[:2] + box[2:] * (0.5 + away))
    return Film(images, film.boxes_xywh, film.visible)


def _skipping(film: Film) -> Film:
    return Film(film.images[::SKIP], film.boxes_xywh[::SKIP], film.visible[::SKIP])


TRIALS: dict[str, Callable[[Film], Film]] = {
    "plain": lambda film: film,
    "beside": _beside,
    "crossing": _crossing,
    "hidden": _hidden,
    "skipping": _skipping,
}


def _target(image: Image, box_xywh: np.ndarray, roundness: float = 3.0) -> CutOut | None:
    try:
        return cut_out(image, box_xywh, None, side=float(np.sqrt(box_xywh[2:].prod())), roundness=roundness)
    except DatasetError:
        return None


def _painted(image: Image, copy: CutOut, centre_xy: np.ndarray) -> Image:
    painted = image.copy()
    middle = np.array(copy.pixels.shape[1::-1]) / 2
    paint(painted, copy, Poses(np.eye(2)[None], (centre_xy - middle)[None]), 0, exposure=0.0)
    return painted


def _ours(name: str) -> Follow:
    tracker = load(weights=name)

    def follow(film: Film) -> Boxes:
        tracker.start(film.images[0], box_xywh=film.boxes_xywh[0])
        return np.stack([film.boxes_xywh[0], *(tracker.update(image).box_xywh for image in film.images[1:])])

    return follow


def _rival(name: str, folder: Path) -> Follow:
    factory = load_factory(name, nanotrack=folder)

    def follow(film: Film) -> Boxes:
        tracker = factory()
        tracker.start(film.images[0], film.boxes_xywh[0])
        return np.stack([film.boxes_xywh[0], *(np.asarray(tracker.update(each)) for each in film.images[1:])])

    return follow


def _cell(runs: list[np.ndarray]) -> str:
    lost = sum(bool((run[-5:] < LOST).all()) for run in runs)
    return f"{np.mean([run.mean() for run in runs if len(run)]):.3f}, {lost}/{len(runs)}"


if __name__ == "__main__":
    main()

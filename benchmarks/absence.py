"""Whether a target that was away is found again, by how far its search region may grow.

    python benchmarks/absence.py WEIGHTS [--data OTB_ROOT] [--growth 1 1.5 2.5] [--gap 20]

Run by a person. Every sequence is cut to `BEFORE` frames, then the picture is blank for `gap` frames while the
target goes on, then come `AFTER` more. Made clips (`--clips`) skip two seconds in the gap as well, so that their
object comes back elsewhere. Told over the sequences that were tracked when the picture went, at the first growth
given: how many are found again (mean overlap above a half over the last ten frames), the mean overlap before and
after the gap, the frames until the first good box in state `tracked`, and in what share of the blank frames the
tracker believed to see the target.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from starktrack.api import load
from starktrack.arrays import Boxes, Image
from starktrack.data.sources import open_dataset
from starktrack.data.synthetic_clip import synthetic_clip
from starktrack.evaluation.metrics import overlaps
from starktrack.tracking.presence import TargetState
from starktrack.tracking.tracker import Tracker

BEFORE, AFTER, JUMP, GOOD = 25, 30, 60, 0.5


@dataclass(frozen=True)
class Film:
    """Frames with a gap and the true box of each."""

    name: str
    images: list[Image]
    boxes_xywh: Boxes
    gap: int


@dataclass(frozen=True)
class Return:
    """What happened in one film.

    Attributes:
        ready: Whether the target was tracked in the last frame before the gap.
        before: Mean overlap up to there.
        overlap: Mean after the gap.
        late_overlap: Mean over the last ten frames.
        frames: After the gap until the first good box in state `tracked`; None if there was none.
        believed: Share of blank frames in state `tracked`.
    """

    ready: bool
    before: float
    overlap: float
    late_overlap: float
    frames: int | None
    believed: float


def main() -> None:
    """Track and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--growth", type=float, nargs="+", default=[1.0, 1.5, 2.5])
    parser.add_argument("--gap", type=int, default=20)
    options = parser.parse_args()
    tracker = load(weights=options.weights)
    films = [*_real(options.data, options.gap)] if options.data else []
    films += [_made(seed, options.gap) for seed in range(options.clips)]
    chosen: list[str] = []
    for growth in options.growth:
        tracking = replace(tracker.engine.config.tracking, search_growth=growth)
        tracker.engine.config = replace(tracker.engine.config, tracking=tracking)
        results = {film.name: _track(tracker, film) for film in films}
        chosen = chosen or [name for name, each in results.items() if each.ready]
        _print(growth, {name: results[name] for name in chosen})


def _real(root: Path, gap: int) -> Iterator[Film]:
    dataset = open_dataset("otb", root, "test", allow_missing=True)
    for name in dataset.names:
        sequence = dataset[name]
        count = min(len(sequence), BEFORE + gap + AFTER)
        images = [sequence.frames.read(index) for index in range(count)]
        yield _blanked(name, images, sequence.boxes_xywh[:count], gap)


def _made(seed: int, gap: int) -> Film:
    clip = list(synthetic_clip(BEFORE + gap + JUMP + AFTER, seed=seed, object_seed=seed))
    shown = clip[: BEFORE + gap] + clip[BEFORE + gap + JUMP :]
    boxes = np.stack([frame.box_xywh for frame in shown])
    return _blanked(f"clip {seed}", [frame.image for frame in shown], boxes, gap)


def _blanked(name: str, images: list[Image], boxes_xywh: Boxes, gap: int) -> Film:
    hidden = range(BEFORE, BEFORE + gap)
    grey = [np.full_like(images[index], round(float(images[index].mean()))) for index in hidden]
    return Film(name, [*images[:BEFORE], *grey, *images[BEFORE + gap :]], boxes_xywh, gap)


def _track(tracker: Tracker, film: Film) -> Return:
    tracker.start(film.images[0], box_xywh=film.boxes_xywh[0])
    outputs = [tracker.update(image) for image in film.images[1:]]
    found = np.stack([film.boxes_xywh[0], *(output.box_xywh for output in outputs)])
    overlap = overlaps(found, film.boxes_xywh)
    sure = np.array([True, *(output.state is TargetState.TRACKED for output in outputs)])
    end = BEFORE + film.gap
    good = np.flatnonzero((overlap[end:] > GOOD) & sure[end:])
    return Return(
        bool(overlap[BEFORE - 1] > GOOD),
        float(overlap[1:BEFORE].mean()),
        float(overlap[end:].mean()),
        float(overlap[-10:].mean()),
        int(good[0]) if len(good) else None,
        float(sure[BEFORE:end].mean()),
    )


def _print(growth: float, results: dict[str, Return]) -> None:
    again = sum(each.late_overlap > GOOD for each in results.values())
    waits = [each.frames for each in results.values() if each.frames is not None]
    print(
        f"growth {growth}: found again {again} of {len(results)}, "
        f"overlap before {np.mean([each.before for each in results.values()]):.3f} "
        f"and after {np.mean([each.overlap for each in results.values()]):.3f}, "
        f"frames until back (median of {len(waits)}) {np.median(waits) if waits else '-'}, "
        f"believed while blank {np.mean([each.believed for each in results.values()]):.2f}"
    )
    print("   " + ", ".join(f"{name} {each.late_overlap:.2f}" for name, each in results.items()), flush=True)


if __name__ == "__main__":
    main()

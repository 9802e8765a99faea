"""Whether a target that was away is found again, by where it is searched and how far its search region may grow.

    python benchmarks/absence.py WEIGHTS [--data OTB_ROOT] [--growth 1.5 2 3] [--gap 20]

Run by a person. `tracking.search_growth` does two things to a lost target, measured apart here: it goes back to
the last sure box, and it widens the region. Arms: `off` (the paper's), `back` (the last sure box, never wider), and for
every growth `widen` (around the latest box, wherever that has drifted to) and `both` (the setting).

Every sequence is cut to `BEFORE` frames, then the picture is blank for `gap` frames while the target goes on, then
come `AFTER` more. Made clips (`--clips`) skip two seconds in the gap as well, so that their object comes back
elsewhere. Counted over the sequences that were tracked in the arm `off` when the picture went: how many are found again
(mean overlap above a half over the last ten frames), the mean overlap before and after the gap, the frames until the
first good box in state `tracked`, and in what share of the blank frames the tracker believed to see the target.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from starktrack.api import load
from starktrack.arrays import Box, Boxes, Image
from starktrack.config.schema import TrackingConfig
from starktrack.data.sources import open_dataset
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.evaluation.metrics import overlaps
from starktrack.tracking.presence import TargetState
from starktrack.tracking.protocol import BoxQueries, Engine
from starktrack.tracking.search_growth import SearchGrowth
from starktrack.tracking.target import advance, begin

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


class AroundLatest(SearchGrowth):
    """Widens the region of a lost target around its latest box: growth without going back."""

    def after(self, box_xywh: Box, state: TargetState) -> "AroundLatest":
        """Return what is remembered after a frame; every box counts as seen."""
        return AroundLatest(box_xywh, super().after(box_xywh, state).num_lost)


@dataclass(frozen=True)
class Arm:
    """One way to search a lost target."""

    name: str
    growth: float
    remembers: type[SearchGrowth] = SearchGrowth


def _arms(growths: list[float]) -> Iterator[Arm]:
    yield Arm("off", 1.0)
    # A growth that is on and widens nothing.
    yield Arm("back", 1.0 + 1e-9)
    for growth in growths:
        yield Arm(f"widen {growth:g}", growth, AroundLatest)
        yield Arm(f"both {growth:g}", growth)


def main() -> None:
    """Track and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--growth", type=float, nargs="+", default=[1.5, 2.0, 3.0])
    parser.add_argument("--gap", type=int, default=20)
    options = parser.parse_args()
    engine = load(weights=options.weights).engine
    films = [*_real(options.data, options.gap)] if options.data else []
    films += [_made(seed, options.gap) for seed in range(options.clips)]
    chosen: list[str] = []
    for arm in _arms(options.growth):
        tracking = replace(engine.config.tracking, search_growth=arm.growth)
        results = {film.name: _track(engine, film, arm, tracking) for film in films}
        chosen = chosen or [name for name, each in results.items() if each.ready]
        _print(arm.name, {name: results[name] for name in chosen})


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


def _track(engine: Engine, film: Film, arm: Arm, settings: TrackingConfig) -> Return:
    (target,) = begin(engine, BoxQueries([film.images[0]], np.zeros(1, np.int64), film.boxes_xywh[:1]))
    target.growth = arm.remembers(film.boxes_xywh[0])
    outputs = [advance(engine, [target], [image], [0], settings=settings)[0] for image in film.images[1:]]
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


def _print(arm: str, results: dict[str, Return]) -> None:
    again = sum(each.late_overlap > GOOD for each in results.values())
    waits = [each.frames for each in results.values() if each.frames is not None]
    print(
        f"{arm}: found again {again} of {len(results)}, "
        f"overlap before {np.mean([each.before for each in results.values()]):.3f} "
        f"and after {np.mean([each.overlap for each in results.values()]):.3f}, "
        f"frames until back (median of {len(waits)}) {np.median(waits) if waits else '-'}, "
        f"believed while blank {np.mean([each.believed for each in results.values()]):.2f}"
    )
    print("   " + ", ".join(f"{name} {each.late_overlap:.2f}" for name, each in results.items()), flush=True)


if __name__ == "__main__":
    main()

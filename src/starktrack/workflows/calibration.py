"""Chooses the thresholds between the states tracked, uncertain and lost, and measures how often a state is right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int8

from starktrack.config.schema import TrackingConfig
from starktrack.data.track_output import TargetState
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import InputError
from starktrack.evaluation.metrics import overlaps
from starktrack.evaluation.plots import INK, figure_with_axes, save_figure
from starktrack.tracking.presence import Presence
from starktrack.tracking.protocol import BoxQueries, Engine
from starktrack.tracking.target import advance, begin

ON_TARGET, OFF_TARGET = 0.5, 0.1
"""A box is on the target if it overlaps the true box by more than the first, and off it if by less than the second."""

GOALS = {"lost_precision": 0.80, "flagged_recall": 0.80, "tracked_precision": 0.95, "tracked_recall": 0.50}
"""The least that each share of `StateAccuracy` should be. Without the last one, thresholds that call hardly any frame
`tracked` would reach the others."""

LOST_AFTER = (1, 2, 3, 5, 8, 12, 20)
"""Values of `TrackingConfig.lost_after` to try."""

NUM_THRESHOLDS = 20
"""Thresholds to try: this many quantiles of all scores, and as many of the lowest fifth, where the best ones lie."""


_ORDER = (TargetState.TRACKED, TargetState.UNCERTAIN, TargetState.LOST)
"""Arrays hold states as positions in this tuple: comparing numbers is a thousand times faster than comparing names."""


@dataclass(frozen=True)
class ScoredRun:
    """One target, tracked through one sequence.

    Attributes:
        name: The name of the sequence.
        scores: The score of each frame after the first.
        overlaps: The overlap of each box with the true one; 0 in frames without the target.
    """

    name: str
    scores: Float[np.ndarray, " frames"]
    overlaps: Float[np.ndarray, " frames"]

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class StateAccuracy:
    """How often states are right: shares of frames, from 0 to 1. A share of no frames is NaN.

    Attributes:
        lost_precision: Of the frames in state `lost`, the share with the box off the target.
        flagged_recall: Of the frames with the box off the target, the share in state `lost` or `uncertain`.
        tracked_precision: Of the frames in state `tracked`, the share with the box on the target.
        tracked_recall: Of the frames with the box on the target, the share in state `tracked`.
        lost_recall: Of the frames with the box off the target, the share in state `lost`.
    """

    lost_precision: float
    flagged_recall: float
    tracked_precision: float
    tracked_recall: float
    lost_recall: float

    @property
    def shortfall(self) -> float:
        """The sum over `GOALS` of how far a share is below its goal; a share of no frames adds nothing."""
        return sum(
            max(0.0, goal - share) for name, goal in GOALS.items() if (share := getattr(self, name)) >= 0
        )


def follow(
    engine: Engine, sequence: VideoSequence, settings: TrackingConfig, *, other: VideoSequence | None = None
) -> ScoredRun:
    """Track the target of a sequence from the first frame that shows it.

    Args:
        engine: A network with a score.
        sequence: The sequence.
        settings: How to track.
        other: Another sequence. Its target is searched in the frames of `sequence`, so it is never there.

    Raises:
        DatasetError: A frame cannot be read.
        InputError: The network has no score, or the sequence has no frame after the first visible one.
    """
    shown = other or sequence
    for each in (sequence, shown):
        if not each.visible.any():
            raise InputError(f"calibration needs a frame that shows the target, {each.name} has none")
    first = int(np.flatnonzero(sequence.visible)[0])
    if first + 1 == len(sequence):
        raise InputError(f"calibration needs frames after the first visible one, {sequence.name} has none")
    start = int(np.flatnonzero(shown.visible)[0])
    view = BoxQueries([shown.frames.read(start)], np.zeros(1, np.int64), shown.boxes_xywh[[start]])
    (target,) = begin(engine, view, settings=settings)
    target.box_xywh = sequence.boxes_xywh[first]
    scores, found = [], []
    for index in range(first + 1, len(sequence)):
        (output,) = advance(engine, [target], [sequence.frames.read(index)], [0], settings=settings)
        if output.score is None:
            raise InputError(f"calibration needs a network with a score, {engine.config.name} has none")
        is_there = other is None and bool(sequence.visible[index])
        scores.append(output.score)
        found.append(overlaps(output.box_xywh[None], sequence.boxes_xywh[[index]])[0] if is_there else 0.0)
    return ScoredRun(sequence.name, np.array(scores), np.array(found))


def states_of(scores: Float[np.ndarray, " frames"], settings: TrackingConfig) -> list[TargetState]:
    """Return the state of one target in each frame."""
    presence, states = Presence(), []
    for score in scores.tolist():
        presence = presence.after(score, settings)
        states.append(presence.state)
    return states


def state_accuracy(runs: Sequence[ScoredRun], settings: TrackingConfig) -> StateAccuracy:
    """Return how often the states of these runs are right with the thresholds of `settings`.

    Example:
        >>> run = ScoredRun("run", np.array([0.9, 0.9, 0.1, 0.1]), np.array([0.8, 0.7, 0.0, 0.0]))
        >>> accuracy = state_accuracy([run], TrackingConfig(lost_after=1))
        >>> accuracy.lost_precision, accuracy.flagged_recall, accuracy.tracked_precision
        (1.0, 1.0, 1.0)
    """
    states = np.array(
        [_ORDER.index(state) for run in runs for state in states_of(run.scores, settings)], dtype=np.int8
    )
    return _accuracy(np.concatenate([run.overlaps for run in runs]), states)


def _accuracy(found: Float[np.ndarray, " frames"], states: Int8[np.ndarray, " frames"]) -> StateAccuracy:
    tracked, lost = (states == _ORDER.index(state) for state in (TargetState.TRACKED, TargetState.LOST))
    on, off = found > ON_TARGET, found < OFF_TARGET
    return StateAccuracy(
        lost_precision=_share(off, lost),
        flagged_recall=_share(~tracked, off),
        tracked_precision=_share(on, tracked),
        tracked_recall=_share(tracked, on),
        lost_recall=_share(lost, off),
    )


def _share(which: Bool[np.ndarray, " frames"], among: Bool[np.ndarray, " frames"]) -> float:
    return float(which[among].mean()) if among.any() else float("nan")


def choose_thresholds(runs: Sequence[ScoredRun], settings: TrackingConfig) -> TrackingConfig:
    """Return settings with the thresholds that come nearest to the goals, by `StateAccuracy.shortfall`.

    If several come equally near, the one with the highest sum of `tracked_recall` and `lost_recall` wins. Only the
    states are computed again, not the boxes. So track the runs with `search_growth=1` and `redetect=0`: then boxes
    do not depend on states.

    Args:
        runs: Whole real sequences. Do not use them for training, nor to measure the result.
        settings: All other settings.

    Raises:
        InputError: No frame has its box on the target, or none has it off.
    """
    found = np.concatenate([run.overlaps for run in runs]) if runs else np.empty(0)
    for name, frames in (("on the target", found > ON_TARGET), ("off the target", found < OFF_TARGET)):
        if not frames.any():
            raise InputError(f"calibration needs frames {name}, got none among {len(frames)}")
    scores = np.concatenate([run.scores for run in runs])
    levels_of_all = (np.arange(NUM_THRESHOLDS) + 0.5) / NUM_THRESHOLDS
    levels = np.unique(np.quantile(scores, np.append(levels_of_all, levels_of_all / 5))).tolist()
    tried = np.array([each for each in product(levels, levels, LOST_AFTER) if each[1] <= each[0]])
    states = np.concatenate([_states_of_each(run.scores, *tried.T) for run in runs])
    results = [_accuracy(found, states[:, number]) for number in range(len(tried))]
    best = max(results, key=lambda each: (-round(each.shortfall, 3), each.tracked_recall + each.lost_recall))
    tracked, lost, after = tried[results.index(best)].tolist()
    return replace(settings, tracked_score=tracked, lost_score=lost, lost_after=int(after))


def _states_of_each(
    scores: Float[np.ndarray, " frames"],
    tracked: Float[np.ndarray, " settings"],
    lost: Float[np.ndarray, " settings"],
    after: Float[np.ndarray, " settings"],
) -> Int8[np.ndarray, "frames settings"]:
    """Return the states of `states_of` for many settings at once, which takes a hundredth of the time."""
    num_low, is_lost = np.zeros(len(after), np.int64), np.zeros(len(after), bool)
    states = np.empty((len(scores), len(after)), dtype=np.int8)
    for frame, score in enumerate(scores.tolist()):
        is_tracked = score >= tracked
        num_low = np.where(~is_tracked & (score < lost), num_low + 1, 0)
        is_lost = ~is_tracked & (is_lost | (num_low >= after))
        states[frame] = np.where(is_tracked, 0, np.where(is_lost, 2, 1))
    return states


def reliability(runs: Iterable[ScoredRun], num_bins: int = 10) -> list[tuple[float, float, int]]:
    """Return of each bin of the score: its mean score, its share of frames on the target, its number of frames.

    All bins hold the same number of frames, because most scores lie near 0 or 1.
    """
    runs = list(runs)
    scores = np.concatenate([run.scores for run in runs])
    on = np.concatenate([run.overlaps for run in runs]) > ON_TARGET
    parts = np.array_split(np.argsort(scores, kind="stable"), min(num_bins, len(scores)))
    return [(float(scores[part].mean()), float(on[part].mean()), len(part)) for part in parts]


def plot_reliability(runs: Sequence[ScoredRun], settings: TrackingConfig, path: Path) -> None:
    """Draw the share of frames with the box on the target over the score, and both thresholds.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure, axes = figure_with_axes(6.4, 4.8)
    bins = reliability(runs)
    axes.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1, label="a score that is a probability")
    axes.plot(
        [each[0] for each in bins],
        [each[1] for each in bins],
        marker="o",
        label="measured, tenths of all frames",
    )
    for name, score, style in (
        ("tracked from", settings.tracked_score, "-"),
        ("lost below", settings.lost_score, "--"),
    ):
        axes.axvline(score, color="#d55e00", linestyle=style, linewidth=1, label=f"{name} {score:.2g}")
    axes.set(xlabel="score", ylabel="share of frames on the target", xlim=(0, 1), ylim=(0, 1.02))
    axes.set_title(f"{len(runs)} sequences, {sum(map(len, runs)):,} frames", color=INK)
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    save_figure(figure, path)

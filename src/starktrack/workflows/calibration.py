"""Thresholds of the states (tracked, uncertain, lost) from tracked sequences, and how true the states are then."""

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
"""A box that overlaps the true one by more than the first is on the target, by less than the second off it."""

LOST_PRECISION, OFF_RECALL, TRACKED_PRECISION, ON_RECALL = 0.80, 0.80, 0.95, 0.50
"""What states must be worth, see `StateShares`; the last one so that `tracked` is not kept for a few frames."""

LOST_AFTER = (1, 2, 3, 5, 8, 12, 20)
"""Frames in a row with a low score after which a target counts as lost, that are tried."""

NUM_THRESHOLDS = 20
"""Thresholds that are tried: so many quantiles of all scores, and as many of the lowest fifth, which tell most."""


_ORDER = (TargetState.TRACKED, TargetState.UNCERTAIN, TargetState.LOST)
"""States are counted by their numbers here: a thousand times quicker than by their names."""


@dataclass(frozen=True)
class ScoredRun:
    """One target, tracked through one sequence.

    Attributes:
        name: Of the sequence.
        scores: Of every frame after the first.
        overlaps: Of the box with the true one; 0 where the target is not there.
    """

    name: str
    scores: Float[np.ndarray, " frames"]
    overlaps: Float[np.ndarray, " frames"]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.scores)


@dataclass(frozen=True)
class StateShares:
    """How true states are; each is a share of frames from 0 to 1, NaN where there is no frame to share.

    Attributes:
        lost_is_off: Of the frames in state `lost`, those off the target.
        off_is_doubted: Of the frames off the target, those in state `lost` or `uncertain`.
        tracked_is_on: Of the frames in state `tracked`, those on the target.
        on_is_tracked: Of the frames on the target, those in state `tracked`.
        off_is_lost: Of the frames off the target, those in state `lost`.
    """

    lost_is_off: float
    off_is_doubted: float
    tracked_is_on: float
    on_is_tracked: float
    off_is_lost: float

    @property
    def shortfall(self) -> float:
        """How far the goals are missed, summed; 0 where all are reached. A share of no frames misses none."""
        pairs = (
            (self.lost_is_off, LOST_PRECISION),
            (self.off_is_doubted, OFF_RECALL),
            (self.tracked_is_on, TRACKED_PRECISION),
            (self.on_is_tracked, ON_RECALL),
        )
        return sum(max(0.0, goal - share) for share, goal in pairs if not np.isnan(share))


def follow(
    engine: Engine, sequence: VideoSequence, settings: TrackingConfig, *, other: VideoSequence | None = None
) -> ScoredRun:
    """Track a sequence from its first visible frame on.

    Args:
        engine: A network with a score.
        sequence: What is tracked.
        settings: How to track.
        other: Where given, the target of this other sequence is looked for instead, which is never there.

    Raises:
        DatasetError: A frame cannot be read.
        InputError: The network has no score, or the sequence ends with the first visible frame.
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
    """Return the state after every frame of one target."""
    presence, states = Presence(), []
    for score in scores.tolist():
        presence = presence.after(score, settings)
        states.append(presence.state)
    return states


def state_shares(runs: Sequence[ScoredRun], settings: TrackingConfig) -> StateShares:
    """Return how true the states of these runs would be with other thresholds.

    Example:
        >>> run = ScoredRun("run", np.array([0.9, 0.9, 0.1, 0.1]), np.array([0.8, 0.7, 0.0, 0.0]))
        >>> shares = state_shares([run], TrackingConfig(lost_after=1))
        >>> shares.lost_is_off, shares.off_is_doubted, shares.tracked_is_on
        (1.0, 1.0, 1.0)
    """
    states = np.array(
        [_ORDER.index(state) for run in runs for state in states_of(run.scores, settings)], dtype=np.int8
    )
    return _shares(np.concatenate([run.overlaps for run in runs]), states)


def _shares(found: Float[np.ndarray, " frames"], states: Int8[np.ndarray, " frames"]) -> StateShares:
    tracked, lost = (states == _ORDER.index(state) for state in (TargetState.TRACKED, TargetState.LOST))
    on, off = found > ON_TARGET, found < OFF_TARGET
    return StateShares(
        lost_is_off=_share(off, lost),
        off_is_doubted=_share(~tracked, off),
        tracked_is_on=_share(on, tracked),
        on_is_tracked=_share(tracked, on),
        off_is_lost=_share(lost, off),
    )


def choose_thresholds(runs: Sequence[ScoredRun], settings: TrackingConfig) -> TrackingConfig:
    """Return settings whose states come nearest to the goals of `StateShares.shortfall`.

    Of those that come equally near, the settings that call the most frames on the target `tracked` and the most
    frames off it `lost`. Boxes and scores stay as they are, so the runs must not depend on states: track them with
    `search_growth=1` and `redetect=0`.

    Args:
        runs: Real sequences, whole; they decide, so nothing else may be trained or measured on them.
        settings: What is changed.

    Raises:
        InputError: There is no frame on the target, or none off it.
    """
    found = np.concatenate([run.overlaps for run in runs]) if runs else np.empty(0)
    for name, frames in (("on the target", found > ON_TARGET), ("off the target", found < OFF_TARGET)):
        if not frames.any():
            raise InputError(f"calibration needs frames {name}, got none among {len(frames)}")
    scores = np.concatenate([run.scores for run in runs])
    shares_of_scores = (np.arange(NUM_THRESHOLDS) + 0.5) / NUM_THRESHOLDS
    levels = np.unique(np.quantile(scores, np.append(shares_of_scores, shares_of_scores / 5))).tolist()
    tried = np.array([each for each in product(levels, levels, LOST_AFTER) if each[1] <= each[0]])
    states = np.concatenate([_states_of_each(run.scores, *tried.T) for run in runs])
    shares = [_shares(found, states[:, number]) for number in range(len(tried))]
    best = max(shares, key=lambda each: (-round(each.shortfall, 3), each.on_is_tracked + each.off_is_lost))
    tracked, lost, after = tried[shares.index(best)].tolist()
    return replace(settings, tracked_score=tracked, lost_score=lost, lost_after=int(after))


def _states_of_each(
    scores: Float[np.ndarray, " frames"],
    tracked: Float[np.ndarray, " settings"],
    lost: Float[np.ndarray, " settings"],
    after: Float[np.ndarray, " settings"],
) -> Int8[np.ndarray, "frames settings"]:
    """Return what `states_of` returns, for many settings at once: a thousand settings in the time of ten."""
    num_low, is_lost = np.zeros(len(after), np.int64), np.zeros(len(after), bool)
    states = np.empty((len(scores), len(after)), dtype=np.int8)
    for frame, score in enumerate(scores.tolist()):
        is_tracked = score >= tracked
        num_low = np.where(~is_tracked & (score < lost), num_low + 1, 0)
        is_lost = ~is_tracked & (is_lost | (num_low >= after))
        states[frame] = np.where(is_tracked, 0, np.where(is_lost, 2, 1))
    return states


def reliability(runs: Iterable[ScoredRun], num_bins: int = 10) -> list[tuple[float, float, int]]:
    """Return for bins of the score: the mean score, the share of frames on the target, and the number of frames.

    Bins hold equally many frames, since most scores lie near 0 or 1.
    """
    runs = list(runs)
    scores = np.concatenate([run.scores for run in runs])
    on = np.concatenate([run.overlaps for run in runs]) > ON_TARGET
    parts = np.array_split(np.argsort(scores, kind="stable"), min(num_bins, len(scores)))
    return [(float(scores[part].mean()), float(on[part].mean()), len(part)) for part in parts]


def plot_reliability(runs: Sequence[ScoredRun], settings: TrackingConfig, path: Path) -> None:
    """Draw the share of frames on the target over the score, with the two thresholds.

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


def _share(which: Bool[np.ndarray, " frames"], among: Bool[np.ndarray, " frames"]) -> float:
    return float(which[among].mean()) if among.any() else float("nan")

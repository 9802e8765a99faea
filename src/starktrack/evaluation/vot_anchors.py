"""VOT2020's anchor protocol: accuracy, robustness and expected average overlap (EAO).

Source: Kristan et al., The Eighth Visual Object Tracking VOT2020 Challenge Results, section 2; the toolkit's
details: the first frame counts with overlap 0, the mean of a failed run repeats once after its end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from starktrack.evaluation.vot_regions import is_empty, region_overlap
from starktrack.evaluation.vot_results import VotRun, VotSequence, anchor_frames

FAILURE_OVERLAP = 0.1
"""A run fails where the overlap stays at or below this …"""

GRACE = 10
"""… for this many frames on end; the first of them is where it failed."""

EAO_INTERVAL = (115, 755)
"""VOT2020's interval of sequence lengths, both ends included."""


@dataclass(frozen=True)
class RunScore:
    """One run from an anchor.

    Attributes:
        overlap: Per frame in the order tracked.
        progress: Frames until it failed; all of them where it did not.
    """

    overlap: Float[np.ndarray, " num_frames"]
    progress: int


@dataclass(frozen=True)
class AnchorScore:
    """Scores over all sequences, in [0, 1].

    Attributes:
        eao_curve: Expected average overlap for sequences of 0, 1, 2 … frames.
        sequence_accuracy: By sequence name.
        sequence_robustness: By sequence name.
    """

    eao: float
    accuracy: float
    robustness: float
    eao_curve: Float[np.ndarray, " num_lengths"]
    sequence_accuracy: dict[str, float]
    sequence_robustness: dict[str, float]


def score_run(run: VotRun, sequence: VotSequence, anchor: int) -> RunScore:
    """Return the overlaps of one run and where it failed."""
    truth = [sequence.truth[frame] for frame in anchor_frames(sequence, anchor)]
    pairs = zip(run.regions, truth, strict=True)
    overlap = np.array([region_overlap(region, true, sequence.size_wh) for region, true in pairs])
    return RunScore(overlap, failure_index(overlap, np.array([is_empty(true) for true in truth])))


def failure_index(overlap: Float[np.ndarray, " num_frames"], empty: Bool[np.ndarray, " num_frames"]) -> int:
    """Return the first of `GRACE` frames on end that fail, or the number of frames.

    Args:
        overlap: Per frame.
        empty: Frames without a true region; they cannot fail.
    """
    num_failing = 0
    for index, failing in enumerate((overlap <= FAILURE_OVERLAP) & ~empty):
        num_failing = num_failing + 1 if failing else 0
        if num_failing == GRACE:
            return index + 1 - GRACE
    return len(overlap)


def score_anchors(
    sequences: Sequence[VotSequence],
    read: Callable[[VotSequence, int], VotRun],
    interval: tuple[int, int] = EAO_INTERVAL,
) -> AnchorScore:
    """Return accuracy, robustness and EAO of one tracker.

    Args:
        sequences: All that count.
        read: Gives the run of a sequence from an anchor frame.
        interval: Sequence lengths over which the curve is averaged.
    """
    runs = {s.name: [score_run(read(s, anchor), s, anchor) for anchor in s.anchors] for s in sequences}
    progress = {name: sum(run.progress for run in scored) for name, scored in runs.items()}
    accuracy = {name: _accuracy(scored) for name, scored in runs.items()}
    robustness = {name: progress[name] / sum(len(r.overlap) for r in scored) for name, scored in runs.items()}
    curve = eao_curve([run for scored in runs.values() for run in scored], interval[1])
    return AnchorScore(
        float(curve[interval[0] : interval[1] + 1].mean()),
        _mean(accuracy, progress),
        _mean(robustness, {s.name: len(s) for s in sequences}),
        curve,
        accuracy,
        robustness,
    )


def eao_curve(runs: Sequence[RunScore], num_lengths: int) -> Float[np.ndarray, " num_lengths"]:
    """Return, for lengths 0, 1, 2 …, the mean over runs of the mean overlap so far.

    A run that did not fail counts while it lasts; one that failed counts on with overlap 0.
    """
    total, active = np.zeros(num_lengths), np.zeros(num_lengths)
    for run in runs:
        values = _run_curve(run, num_lengths)
        total[1 : len(values) + 1] += values
        active[1 : len(values) + 1] += 1
    return total / np.maximum(active, 1)


def _run_curve(run: RunScore, num_lengths: int) -> Float[np.ndarray, " num_values"]:
    num_frames = len(run.overlap)
    overlap = np.where(np.arange(num_frames) < run.progress, run.overlap, 0.0)[1:num_lengths]
    tracked = overlap.cumsum() / np.arange(1, len(overlap) + 1)
    if run.progress == num_frames:
        return tracked
    later = np.arange(num_frames, num_lengths)
    return np.concatenate([tracked, overlap.sum() / np.maximum(later - 1, 1)])


def _accuracy(runs: Sequence[RunScore]) -> float:
    progress = sum(run.progress for run in runs)
    return float(sum(run.overlap[: run.progress].sum() for run in runs) / progress) if progress else 0.0


def _mean(values: dict[str, float], weights: dict[str, int]) -> float:
    total = sum(weights.values())
    return sum(values[name] * weights[name] for name in values) / total if total else 0.0

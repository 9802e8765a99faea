"""VOT2020's anchor protocol: accuracy, robustness and expected average overlap (EAO).

Source: Kristan et al., The Eighth Visual Object Tracking VOT2020 Challenge Results, section 2; the toolkit's
details: the first frame counts with overlap 0, the mean of a failed run repeats once after its end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from starktrack.data.video_sequence import VideoSequence
from starktrack.evaluation.vot_regions import is_empty, region_overlap
from starktrack.evaluation.vot_results import VotRun, anchor_frames
from starktrack.evaluation.vot_tags import TagScore, share, tagged_frames

FAILURE_OVERLAP = 0.1
"""A run fails when the overlap stays at or below this …"""

GRACE = 10
"""… for this many consecutive frames; it failed in the first of them."""

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


@dataclass(frozen=True, eq=False)
class AnchorParts:
    """The contribution of each sequence to the scores.

    Attributes:
        accuracy: [0, 1].
        robustness: [0, 1].
        progress: Frames before failure, which weigh the accuracy.
        length: Frames, which weigh the robustness.
        curve_sum: Sum over runs of the mean overlap so far, per length.
        curve_count: Runs that count, per length.
        interval: Sequence lengths over which the curve is averaged.
    """

    accuracy: Float[np.ndarray, " num_sequences"]
    robustness: Float[np.ndarray, " num_sequences"]
    progress: Float[np.ndarray, " num_sequences"]
    length: Float[np.ndarray, " num_sequences"]
    curve_sum: Float[np.ndarray, "num_sequences num_lengths"]
    curve_count: Float[np.ndarray, "num_sequences num_lengths"]
    interval: tuple[int, int]

    def measures(
        self, counts: Float[np.ndarray, "num_samples num_sequences"]
    ) -> dict[str, Float[np.ndarray, " num_samples"]]:
        """Return the scores for each row of counts, which says how often each sequence counts."""
        curve = (counts @ self.curve_sum) / np.maximum(counts @ self.curve_count, 1)
        low, high = self.interval
        return {
            "eao": curve[:, low : high + 1].mean(axis=1),
            "accuracy": (counts @ (self.accuracy * self.progress)) / np.maximum(counts @ self.progress, 1),
            "robustness": (counts @ (self.robustness * self.length)) / np.maximum(counts @ self.length, 1),
        }


@dataclass(frozen=True)
class AnchorScore:
    """Scores over all sequences, in [0, 1].

    Attributes:
        eao_curve: Expected average overlap for sequences of 0, 1, 2 … frames.
        sequence_accuracy: By sequence name.
        sequence_robustness: By sequence name.
        parts: The contribution of each sequence.
        tags: Accuracy and robustness over the frames with a tag, by its name.
    """

    eao: float
    accuracy: float
    robustness: float
    eao_curve: Float[np.ndarray, " num_lengths"]
    sequence_accuracy: dict[str, float]
    sequence_robustness: dict[str, float]
    parts: AnchorParts
    tags: dict[str, TagScore]


def score_run(run: VotRun, sequence: VideoSequence, anchor: int) -> RunScore:
    """Return the overlaps of one run and the frame of its failure."""
    truth = [sequence.benchmark.regions[frame] for frame in anchor_frames(sequence, anchor)]
    pairs = zip(run.regions, truth, strict=True)
    overlap = np.array([region_overlap(region, true, sequence.size_wh) for region, true in pairs])
    return RunScore(overlap, failure_index(overlap, np.array([is_empty(true) for true in truth])))


def failure_index(overlap: Float[np.ndarray, " num_frames"], empty: Bool[np.ndarray, " num_frames"]) -> int:
    """Return the first of `GRACE` consecutive failing frames, or the number of frames.

    Args:
        overlap: Per frame.
        empty: Frames without a true region; they cannot fail.
    """
    num_failing = 0
    for index, failing in enumerate((overlap <= FAILURE_OVERLAP) & ~empty):
        # A frame without a true region ends a row of failing frames, too.
        num_failing = num_failing + 1 if failing else 0
        if num_failing == GRACE:
            return index + 1 - GRACE
    return len(overlap)


def score_anchors(
    sequences: Sequence[VideoSequence],
    read: Callable[[VideoSequence, int], VotRun],
    interval: tuple[int, int] = EAO_INTERVAL,
) -> AnchorScore:
    """Return accuracy, robustness and EAO of one tracker.

    Args:
        sequences: All that count.
        read: Gives the run of a sequence from an anchor frame.
        interval: Sequence lengths over which the curve is averaged.
    """
    runs = {
        s.name: [score_run(read(s, anchor), s, anchor) for anchor in s.benchmark.anchors] for s in sequences
    }
    parts = _parts(sequences, runs, interval)
    everything = np.ones((1, len(sequences)))
    measures = {key: float(values[0]) for key, values in parts.measures(everything).items()}
    return AnchorScore(
        **measures,
        eao_curve=parts.curve_sum.sum(axis=0) / np.maximum(parts.curve_count.sum(axis=0), 1),
        sequence_accuracy=dict(zip(runs, parts.accuracy.tolist(), strict=True)),
        sequence_robustness=dict(zip(runs, parts.robustness.tolist(), strict=True)),
        parts=parts,
        tags={tag: _over_tag(tag, num, sequences, runs) for tag, num in tagged_frames(sequences).items()},
    )


def _parts(
    sequences: Sequence[VideoSequence], runs: Mapping[str, Sequence[RunScore]], interval: tuple[int, int]
) -> AnchorParts:
    progress = np.array([sum(run.progress for run in scored) for scored in runs.values()], float)
    tracked = np.array([sum(len(run.overlap) for run in scored) for scored in runs.values()], float)
    curves = [_curve_parts(scored, interval[1]) for scored in runs.values()]
    return AnchorParts(
        np.array([_accuracy(scored) for scored in runs.values()]),
        progress / np.maximum(tracked, 1),
        progress,
        np.array([len(sequence) for sequence in sequences], float),
        np.stack([total for total, _ in curves]),
        np.stack([active for _, active in curves]),
        interval,
    )


def _over_tag(
    tag: str, num_frames: int, sequences: Sequence[VideoSequence], runs: Mapping[str, Sequence[RunScore]]
) -> TagScore:
    """Return accuracy and robustness over the frames with a tag, each as often as runs pass it."""
    overlap, num_kept, num_passed = 0.0, 0, 0
    for sequence in sequences:
        flags = sequence.benchmark.tags.get(tag, np.zeros(len(sequence), bool))
        for anchor, run in zip(sequence.benchmark.anchors, runs[sequence.name], strict=True):
            tagged = flags[np.array(anchor_frames(sequence, anchor))]
            kept = tagged[: run.progress]
            overlap += float(run.overlap[: run.progress][kept].sum())
            num_kept, num_passed = num_kept + int(kept.sum()), num_passed + int(tagged.sum())
    values = {"accuracy": share(overlap, num_kept), "robustness": share(num_kept, num_passed)}
    return TagScore(num_frames, values)


def eao_curve(runs: Sequence[RunScore], num_lengths: int) -> Float[np.ndarray, " num_lengths"]:
    """Return, for lengths 0, 1, 2 …, the mean over runs of the mean overlap so far.

    A run without failure counts up to its end; a failed run counts on with overlap 0.
    """
    total, active = _curve_parts(runs, num_lengths)
    return total / np.maximum(active, 1)


def _curve_parts(
    runs: Sequence[RunScore], num_lengths: int
) -> tuple[Float[np.ndarray, " num_lengths"], Float[np.ndarray, " num_lengths"]]:
    total, active = np.zeros(num_lengths), np.zeros(num_lengths)
    for run in runs:
        values = _run_curve(run, num_lengths)
        total[1 : len(values) + 1] += values
        active[1 : len(values) + 1] += 1
    return total, active


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

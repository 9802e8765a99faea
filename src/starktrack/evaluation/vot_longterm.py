"""VOT-LT's precision, recall and F-score over confidence thresholds.

Source: Lukežič et al., Now you see me: evaluating performance in long-term visual tracking, 2018, section 3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from starktrack.data.formats.regions import Rectangle, Special
from starktrack.data.video_sequence import VideoSequence
from starktrack.evaluation.vot_regions import rectangle_overlaps, region_overlap
from starktrack.evaluation.vot_results import VotRun
from starktrack.evaluation.vot_tags import TagScore, share, tagged_frames

NUM_THRESHOLDS = 100


@dataclass(frozen=True, eq=False)
class LongTermParts:
    """Precision and recall of each sequence over all thresholds, in [0, 1]."""

    precision: Float[np.ndarray, "num_sequences num_thresholds"]
    recall: Float[np.ndarray, "num_sequences num_thresholds"]

    def measures(
        self, counts: Float[np.ndarray, "num_samples num_sequences"]
    ) -> dict[str, Float[np.ndarray, " num_samples"]]:
        """Return the scores for each row of counts, which says how often each sequence counts.

        The thresholds stay those of all sequences.
        """
        total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        precision, recall = (counts @ self.precision) / total, (counts @ self.recall) / total
        f_score = f_scores(precision, recall)
        best = np.arange(len(counts)), f_score.argmax(axis=1)
        return {"precision": precision[best], "recall": recall[best], "f_score": f_score[best]}


@dataclass(frozen=True)
class LongTermScore:
    """Scores in [0, 1] at the threshold where F is highest, and over all thresholds, strictest first.

    Attributes:
        sequence_precision: At that threshold, by sequence name.
        sequence_recall: The same.
        parts: Curves of each sequence.
        tags: Precision, recall and F at that threshold over the frames with a tag, by its name.
    """

    precision: float
    recall: float
    f_score: float
    precision_curve: Float[np.ndarray, " num_thresholds"]
    recall_curve: Float[np.ndarray, " num_thresholds"]
    thresholds: Float[np.ndarray, " num_thresholds"]
    sequence_precision: dict[str, float]
    sequence_recall: dict[str, float]
    parts: LongTermParts
    tags: dict[str, TagScore]

    @property
    def f_curve(self) -> Float[np.ndarray, " num_thresholds"]:
        """F-score at each threshold; 0 where precision and recall both are."""
        return f_scores(self.precision_curve, self.recall_curve)


def score_longterm(sequences: Sequence[VideoSequence], runs: Mapping[str, VotRun]) -> LongTermScore:
    """Return the scores of one tracker with a run per sequence."""
    thresholds = confidence_thresholds(np.concatenate([runs[s.name].confidence for s in sequences]))
    curves = [_curves(runs[s.name], s, thresholds) for s in sequences]
    parts = LongTermParts(np.stack([one[0] for one in curves]), np.stack([one[1] for one in curves]))
    precision, recall = parts.precision.mean(axis=0), parts.recall.mean(axis=0)
    best = int(f_scores(precision, recall).argmax())
    names = [sequence.name for sequence in sequences]
    return LongTermScore(
        float(precision[best]),
        float(recall[best]),
        float(f_scores(precision, recall)[best]),
        precision,
        recall,
        thresholds,
        dict(zip(names, parts.precision[:, best].tolist(), strict=True)),
        dict(zip(names, parts.recall[:, best].tolist(), strict=True)),
        parts,
        _over_tags(sequences, runs, float(thresholds[best])),
    )


def _over_tags(
    sequences: Sequence[VideoSequence], runs: Mapping[str, VotRun], threshold: float
) -> dict[str, TagScore]:
    """Return precision, recall and F at one threshold over the frames with each tag."""
    found = tagged_frames(sequences)
    if not found:
        return {}
    overlap = np.concatenate([run_overlaps(runs[s.name], s) for s in sequences])
    sure = np.concatenate([runs[s.name].confidence for s in sequences]) >= threshold
    visible = np.array([not isinstance(true, Special) for s in sequences for true in s.benchmark.regions])
    scores = {}
    for tag, num_frames in found.items():
        tagged = np.concatenate([s.benchmark.tags.get(tag, np.zeros(len(s), bool)) for s in sequences])
        shared = float(overlap[tagged & sure].sum())
        precision, recall = share(shared, (tagged & sure).sum()), share(shared, (tagged & visible).sum())
        f_score = share(2 * precision * recall, precision + recall)
        scores[tag] = TagScore(num_frames, {"precision": precision, "recall": recall, "f_score": f_score})
    return scores


def confidence_thresholds(
    confidence: Float[np.ndarray, " num_frames"],
) -> Float[np.ndarray, " num_thresholds"]:
    """Return infinity, 98 quantiles of the confidences from high to low, and minus infinity."""
    falling, inner = np.sort(confidence)[::-1], NUM_THRESHOLDS - 2
    if len(falling) > inner:
        step = len(falling) // inner
        falling = falling[np.round(np.linspace(step, len(falling) - step, inner)).astype(int)]
    return np.concatenate([[np.inf], falling, [-np.inf]])


def f_scores(
    precision: Float[np.ndarray, "*shape"], recall: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """Return the harmonic means; 0 where both are."""
    total = precision + recall
    return 2 * precision * recall / np.where(total > 0, total, 1)


def _curves(
    run: VotRun, sequence: VideoSequence, thresholds: Float[np.ndarray, " num_thresholds"]
) -> tuple[Float[np.ndarray, " num_thresholds"], Float[np.ndarray, " num_thresholds"]]:
    overlap = run_overlaps(run, sequence)
    num_visible = sum(not isinstance(true, Special) for true in sequence.benchmark.regions)
    order = np.argsort(-run.confidence, kind="stable")
    num_told = np.searchsorted(-run.confidence[order], -thresholds, side="right")
    sums = np.concatenate([[0.0], overlap[order].cumsum()])[num_told]
    precision = np.where(num_told > 0, sums / np.maximum(num_told, 1), 1.0)
    return precision, sums / max(num_visible, 1)


def run_overlaps(run: VotRun, sequence: VideoSequence) -> Float[np.ndarray, " num_frames"]:
    """Return the overlap of a run with the truth in every frame."""
    pairs = list(zip(run.regions, sequence.benchmark.regions, strict=True))
    rectangles = {
        i: (a.box_xywh, b.box_xywh)
        for i, (a, b) in enumerate(pairs)
        if isinstance(a, Rectangle) and isinstance(b, Rectangle)
    }
    boxes = list(rectangles)
    overlap = np.zeros(len(pairs))
    if boxes:
        predicted, true = (np.stack([pair[side] for pair in rectangles.values()]) for side in (0, 1))
        overlap[boxes] = rectangle_overlaps(predicted, true, sequence.size_wh)
    for i in sorted(set(range(len(pairs))) - set(boxes)):
        overlap[i] = region_overlap(*pairs[i], sequence.size_wh)
    return overlap

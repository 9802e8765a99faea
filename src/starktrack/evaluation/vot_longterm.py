"""VOT-LT's precision, recall and F-score over confidence thresholds.

Source: Lukežič et al., Now you see me: evaluating performance in long-term visual tracking, 2018, section 3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from starktrack.data.regions import Rectangle, Special
from starktrack.evaluation.vot_regions import rectangle_overlaps, region_overlap
from starktrack.evaluation.vot_results import VotRun, VotSequence

NUM_THRESHOLDS = 100


@dataclass(frozen=True)
class LongTermScore:
    """Scores in [0, 1] at the threshold where F is highest, and over all thresholds, strictest first.

    Attributes:
        sequence_precision: At that threshold, by sequence name.
        sequence_recall: The same.
    """

    precision: float
    recall: float
    f_score: float
    precision_curve: Float[np.ndarray, " num_thresholds"]
    recall_curve: Float[np.ndarray, " num_thresholds"]
    thresholds: Float[np.ndarray, " num_thresholds"]
    sequence_precision: dict[str, float]
    sequence_recall: dict[str, float]

    @property
    def f_curve(self) -> Float[np.ndarray, " num_thresholds"]:
        """F-score at each threshold; 0 where precision and recall both are."""
        return f_scores(self.precision_curve, self.recall_curve)


def score_longterm(sequences: Sequence[VotSequence], runs: Mapping[str, VotRun]) -> LongTermScore:
    """Return the scores of one tracker with a run per sequence."""
    thresholds = confidence_thresholds(np.concatenate([runs[s.name].confidence for s in sequences]))
    curves = [_curves(runs[s.name], s, thresholds) for s in sequences]
    precision = np.mean([one[0] for one in curves], axis=0)
    recall = np.mean([one[1] for one in curves], axis=0)
    best = int(f_scores(precision, recall).argmax())
    f_score = float(f_scores(precision, recall)[best])
    at_best = [
        {s.name: float(one[side][best]) for s, one in zip(sequences, curves, strict=True)} for side in (0, 1)
    ]
    return LongTermScore(
        float(precision[best]), float(recall[best]), f_score, precision, recall, thresholds, *at_best
    )


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
    precision: Float[np.ndarray, " num_thresholds"], recall: Float[np.ndarray, " num_thresholds"]
) -> Float[np.ndarray, " num_thresholds"]:
    """Return the harmonic means; 0 where both are."""
    total = precision + recall
    return 2 * precision * recall / np.where(total > 0, total, 1)


def _curves(
    run: VotRun, sequence: VotSequence, thresholds: Float[np.ndarray, " num_thresholds"]
) -> tuple[Float[np.ndarray, " num_thresholds"], Float[np.ndarray, " num_thresholds"]]:
    overlap = run_overlaps(run, sequence)
    num_visible = sum(not isinstance(true, Special) for true in sequence.truth)
    order = np.argsort(-run.confidence, kind="stable")
    num_told = np.searchsorted(-run.confidence[order], -thresholds, side="right")
    sums = np.concatenate([[0.0], overlap[order].cumsum()])[num_told]
    precision = np.where(num_told > 0, sums / np.maximum(num_told, 1), 1.0)
    return precision, sums / max(num_visible, 1)


def run_overlaps(run: VotRun, sequence: VotSequence) -> Float[np.ndarray, " num_frames"]:
    """Return the overlap of a run with the truth in every frame."""
    pairs = list(zip(run.regions, sequence.truth, strict=True))
    boxes = [i for i, (a, b) in enumerate(pairs) if isinstance(a, Rectangle) and isinstance(b, Rectangle)]
    overlap = np.zeros(len(pairs))
    if boxes:
        told, true = (np.stack([pairs[i][side].box_xywh for i in boxes]) for side in (0, 1))
        overlap[boxes] = rectangle_overlaps(told, true, sequence.size_wh)
    for i in sorted(set(range(len(pairs))) - set(boxes)):
        overlap[i] = region_overlap(*pairs[i], sequence.size_wh)
    return overlap

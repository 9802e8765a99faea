"""VOT's unsupervised experiment: one run over the whole sequence, and how well it overlaps on average."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from starktrack.evaluation.vot_longterm import run_overlaps
from starktrack.evaluation.vot_regions import is_empty
from starktrack.evaluation.vot_results import VotRun, VotSequence

BURN_IN = 1
"""Frames at the start that do not count: the first is given."""


@dataclass(frozen=True)
class UnsupervisedScore:
    """Mean overlap, [0, 1]: over sequences weighted by their length, and by sequence name."""

    accuracy: float
    sequence_accuracy: dict[str, float]


def score_unsupervised(sequences: Sequence[VotSequence], runs: Mapping[str, VotRun]) -> UnsupervisedScore:
    """Return the mean overlap of one tracker with a run per sequence; frames without target do not count."""
    accuracy = {s.name: _accuracy(runs[s.name], s) for s in sequences}
    weights = [len(sequence) for sequence in sequences]
    return UnsupervisedScore(float(np.average(list(accuracy.values()), weights=weights)), accuracy)


def _accuracy(run: VotRun, sequence: VotSequence) -> float:
    present = np.array([not is_empty(region) for region in sequence.truth[BURN_IN:]])
    overlap = run_overlaps(run, sequence)[BURN_IN:][present]
    return float(overlap.mean()) if len(overlap) else 0.0

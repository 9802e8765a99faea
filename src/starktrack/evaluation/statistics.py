"""How sure a score is: bootstrap over sequences, and the paired comparison of two trackers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from starktrack.errors import InputError
from starktrack.evaluation.scoring import Evaluation, weighted_mean

NUM_SAMPLES = 2000

PerSequence = Float[np.ndarray, " num_sequences"]


@dataclass(frozen=True)
class Interval:
    """A value and the interval that holds it with the given confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One tracker minus another on the same sequences.

    Attributes:
        difference: Of the overall scores, with its interval.
        better: Sequences on which the first scores higher.
        worse: Sequences on which it scores lower; the rest are ties.
        reversal: How often resampled sequences turn the sign of the difference, [0, 1].
    """

    difference: Interval
    better: int
    worse: int
    reversal: float


def bootstrap_means(
    values: PerSequence, weights: PerSequence, seed: int = 0, num_samples: int = NUM_SAMPLES
) -> Float[np.ndarray, " num_samples"]:
    """Return weighted means over sequences drawn with replacement."""
    draws = np.random.default_rng(seed).integers(0, len(values), (num_samples, len(values)))
    drawn = weights[draws]
    return (values[draws] * drawn).sum(axis=1) / np.maximum(drawn.sum(axis=1), np.finfo(float).tiny)


def interval(values: PerSequence, weights: PerSequence, level: float = 0.95, seed: int = 0) -> Interval:
    """Return the weighted mean with its bootstrap percentile interval.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    tail = (1 - level) / 2
    low, high = np.quantile(bootstrap_means(values, weights, seed), [tail, 1 - tail])
    return Interval(weighted_mean(values, weights), float(low), float(high))


def compare(
    first: Evaluation, second: Evaluation, key: str, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Return how the first tracker differs from the second in one measure, sequence by sequence.

    Raises:
        InputError: They were not scored on the same sequences by the same dialect.
    """
    if first.names != second.names or first.dialect.name != second.dialect.name:
        raise InputError(
            "a paired comparison needs the same sequences and dialect, got "
            f"{first.tracker} on {len(first.names)} ({first.dialect.name}) and "
            f"{second.tracker} on {len(second.names)} ({second.dialect.name})"
        )
    differences = first.values[key] - second.values[key]
    difference = interval(differences, first.weights[key], level, seed)
    means = bootstrap_means(differences, first.weights[key], seed)
    return Comparison(
        difference,
        int((differences > 0).sum()),
        int((differences < 0).sum()),
        float((means * np.sign(difference.value) <= 0).mean()),
    )

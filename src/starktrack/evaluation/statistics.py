"""Confidence of scores: bootstrap over sequences, and the paired comparison of two trackers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from starktrack.errors import InputError
from starktrack.evaluation.scoring import Evaluation, weighted_mean

NUM_SAMPLES = 2000

LEVEL = 0.95
"""Share of the samples that an interval holds."""

PerSequence = Float[np.ndarray, " num_sequences"]
PerSample = Float[np.ndarray, " num_samples"]


@dataclass(frozen=True)
class Interval:
    """A value and the interval that holds it with a confidence of `LEVEL`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One tracker minus another on the same sequences.

    Attributes:
        difference: Difference of the overall scores, with its interval.
        better: Sequences on which the first scores higher; None where sequences have no score of their own.
        worse: Sequences on which it scores lower; the rest are ties.
        reversal: Share of samples in which the difference has the other sign, [0, 1].
    """

    difference: Interval
    better: int | None
    worse: int | None
    reversal: float


def draw(num_sequences: int) -> Int[np.ndarray, "_ _"]:
    """Return sequences drawn with replacement: their indices, [num_samples, num_sequences]."""
    return np.random.default_rng(0).integers(0, num_sequences, (NUM_SAMPLES, num_sequences))


def draw_counts(num_sequences: int) -> Float[np.ndarray, "num_samples num_sequences"]:
    """Return how often each sequence is drawn in each sample; the same draws as `draw`."""
    draws = draw(num_sequences)
    return np.stack([np.bincount(one, minlength=num_sequences) for one in draws]).astype(float)


def bootstrap_means(values: PerSequence, weights: PerSequence) -> PerSample:
    """Return weighted means over sequences drawn with replacement."""
    draws = draw(len(values))
    drawn = weights[draws]
    return (values[draws] * drawn).sum(axis=1) / np.maximum(drawn.sum(axis=1), np.finfo(float).tiny)


def interval(values: PerSequence, weights: PerSequence) -> Interval:
    """Return the weighted mean with its bootstrap percentile interval."""
    return percentile_interval(weighted_mean(values, weights), bootstrap_means(values, weights))


def percentile_interval(value: float, samples: PerSample) -> Interval:
    """Return a value with the interval that holds `LEVEL` of its bootstrap samples.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def compare(first: Evaluation, second: Evaluation, key: str) -> Comparison:
    """Return the difference of two trackers in one measure, sequence by sequence.

    Raises:
        InputError: They were not scored on the same sequences by the same dialect.
    """
    if first.names != second.names or first.dialect.name != second.dialect.name:
        raise InputError(
            "a paired comparison needs the same sequences and dialect, got "
            f"{first.tracker} on {len(first.names)} ({first.dialect.name}) and "
            f"{second.tracker} on {len(second.names)} ({second.dialect.name})"
        )
    differences, weights = first.values[key] - second.values[key], first.weights[key]
    means = bootstrap_means(differences, weights)
    return comparison_of(weighted_mean(differences, weights), means, differences)


def comparison_of(value: float, samples: PerSample, differences: PerSequence | None) -> Comparison:
    """Return the comparison that a difference and its bootstrap samples make.

    Args:
        value: Difference of the overall scores.
        samples: The same over sequences drawn with replacement.
        differences: Of each sequence, where sequences have a score of their own.
    """
    known = differences is not None
    return Comparison(
        percentile_interval(value, samples),
        int((differences > 0).sum()) if known else None,
        int((differences < 0).sum()) if known else None,
        float((samples * np.sign(value) <= 0).mean()),
    )

"""From which score on a target counts as there: thresholds for `TrackingConfig`, with what they are worth."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from starktrack.errors import InputError


@dataclass(frozen=True)
class Threshold:
    """A threshold and how good a sign it is.

    Attributes:
        score: The threshold.
        precision: Share of the frames on its side that are what it says.
        recall: Share of the frames that are what it says on its side.
    """

    score: float
    precision: float
    recall: float


def tracked_threshold(
    scores: Float[np.ndarray, " frames"], on_target: Bool[np.ndarray, " frames"], precision: float
) -> Threshold:
    """Return the lowest score from which on the box is on the target, with at least this precision.

    Where none is as precise, the most precise one is returned.

    Raises:
        InputError: No frames, or none on the target.
    """
    _check(scores, on_target, "on the target")
    order = np.argsort(-scores, kind="stable")
    return _choose(scores[order], on_target[order], precision)


def lost_threshold(
    scores: Float[np.ndarray, " frames"], on_target: Bool[np.ndarray, " frames"], precision: float
) -> Threshold:
    """Return the highest score below which the box is not on the target, with at least this precision.

    Where none is as precise, the most precise one is returned.

    Raises:
        InputError: No frames, or none off the target.
    """
    _check(scores, ~on_target, "off the target")
    order = np.argsort(scores, kind="stable")
    at = _choose(scores[order], ~on_target[order], precision)
    return Threshold(float(np.nextafter(at.score, np.inf)), at.precision, at.recall)


def _choose(ordered: np.ndarray, right: np.ndarray, precision: float) -> Threshold:
    """Return the last place in an ordered list up to which enough entries are right."""
    last_of_its_score = np.append(ordered[1:] != ordered[:-1], True)
    found = np.cumsum(right)
    precisions = np.where(last_of_its_score, found / np.arange(1, len(right) + 1), -1.0)
    good = np.flatnonzero(precisions >= precision)
    at = good[-1] if len(good) else int(np.argmax(precisions))
    return Threshold(float(ordered[at]), float(precisions[at]), float(found[at] / found[-1]))


def _check(scores: np.ndarray, right: np.ndarray, what: str) -> None:
    if not right.any():
        raise InputError(f"calibration needs frames {what}, got none among {len(scores)}")

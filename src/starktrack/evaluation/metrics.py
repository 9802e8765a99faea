"""Pure functions of arrays: overlaps and centre errors per frame, curves over thresholds.

Convention: boxes are xywh in image pixels. Every benchmark toolkit counts pixels inclusively (a box ends
at x + w - 1), which changes no value but for the last binary digit; these functions round in the same way, because
at a threshold the last digit decides whether a frame counts.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from starktrack.arrays import Boxes, Scores
from starktrack.geometry.boxes import overlap_xywh

Thresholds = Float[np.ndarray, " num_thresholds"]
Curve = Float[np.ndarray, " num_thresholds"]


def overlaps(predicted_xywh: Boxes, true_xywh: Boxes) -> Scores:
    """Return intersection over union per frame; 0 where the union is empty, NaN where a box is.

    Example:
        >>> overlaps(np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 10, 10]])).round(4).tolist()
        [0.3333]
    """
    return overlap_xywh(predicted_xywh, true_xywh)


def centre_errors(predicted_xywh: Boxes, true_xywh: Boxes) -> Scores:
    """Return the distance of the box centres per frame, pixels."""
    return _length(_centres_xy(predicted_xywh) - _centres_xy(true_xywh))


def normalised_errors(predicted_xywh: Boxes, true_xywh: Boxes, smallest_size: float = 0.0) -> Scores:
    """Return the distance of the box centres, each axis in units of the true width or height.

    Convention: true sizes below `smallest_size` pixels are taken as that.

    Source: Müller et al., TrackingNet, ECCV 2018, section 5.1.
    """
    size_wh = np.maximum(true_xywh[:, 2:], smallest_size)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _length(_centres_xy(predicted_xywh) / size_wh - _centres_xy(true_xywh) / size_wh)


def success_curve(
    overlap: Scores, thresholds: Thresholds, *, rule: Literal[">", ">="] = ">", num_frames: int | None = None
) -> Curve:
    """Return, for each ascending threshold, the share of frames whose overlap lies above it; NaN fails.

    Args:
        overlap: Per frame; negative in frames that cannot succeed.
        thresholds: Ascending.
        rule: Whether an overlap equal to a threshold fails (`>`) or passes (`>=`).
        num_frames: Divisor of the counts; the length of `overlap` if None.
    """
    # Count the thresholds that each frame passes, then sum from the strictest threshold down: this compares no
    # frame with every threshold.
    values = np.where(np.isnan(overlap), -np.inf, overlap)
    num_passed = np.searchsorted(thresholds, values, side="left" if rule == ">" else "right")
    passes = np.bincount(num_passed, minlength=len(thresholds) + 1)
    return _share(passes[::-1].cumsum()[::-1][1:], len(overlap) if num_frames is None else num_frames)


def error_curve(error: Scores, thresholds: Thresholds, *, num_frames: int | None = None) -> Curve:
    """Return, for each ascending threshold, the share of frames whose error is at most that; NaN fails."""
    first_passed = np.searchsorted(thresholds, error, side="left")
    passes = np.bincount(first_passed, minlength=len(thresholds) + 1)
    return _share(passes.cumsum()[:-1], len(error) if num_frames is None else num_frames)


def area_under(curve: Float[np.ndarray, "*sequences num_thresholds"]) -> Float[np.ndarray, "*sequences"]:
    """Return the area under a curve by trapezoids, with the threshold axis scaled to [0, 1]."""
    return np.asarray((curve[..., 1:] + curve[..., :-1]).sum(-1) / 2 / (curve.shape[-1] - 1))


def forward_fill(boxes_xywh: Boxes, bad: Bool[np.ndarray, " num_boxes"]) -> Boxes:
    """Return the boxes with each bad row replaced by the last good one before it; row 0 counts as good."""
    source = np.where(bad, 0, np.arange(len(bad)))
    return boxes_xywh[np.maximum.accumulate(source)]


def _centres_xy(boxes_xywh: Boxes) -> Float[np.ndarray, "num_boxes 2"]:
    # As in the toolkits, where a box ends at x + w - 1; between two boxes only the last binary digit shows it.
    return boxes_xywh[:, :2] + 0.5 * (boxes_xywh[:, 2:] - 1.0)


def _length(difference: Float[np.ndarray, "num_boxes 2"]) -> Scores:
    return np.sqrt((difference**2).sum(1))


def _share(counts: np.ndarray, num_frames: int) -> Curve:
    return counts / max(num_frames, 1)


def frames_per_second(
    seconds: Sequence[Float[np.ndarray, " _"]], rule: Literal["overall", "sequences", "frames"]
) -> float | None:
    """Return a tracker's speed from its seconds per frame, a list per sequence; None where there are no times.

    Args:
        seconds: The first of each list is the initialisation.
        rule: See `conventions.WORDS`; means of 1/seconds leave out what is not above zero.

    Example:
        >>> times = [np.array([1.0, 0.1, 0.1])]
        >>> [round(frames_per_second(times, rule), 2) for rule in ("overall", "frames")]
        [10.0, 7.0]
    """
    if rule == "overall":
        total = sum(float(times[1:].sum()) for times in seconds)
        return sum(len(times) - 1 for times in seconds) / total if total > 0 else None
    speeds = [1 / times[times > 0] for times in seconds if (times > 0).any()]
    if not speeds:
        return None
    if rule == "sequences":
        return float(np.mean([speed.mean() for speed in speeds]))
    return float(np.concatenate(speeds).mean())

"""The only box arithmetic in the repository; NumPy arrays and torch tensors alike.

Convention: edges are continuous, pixel j spans [j, j+1]; every function keeps leading batch axes.
"""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Bool

from starktrack.arrays import AnyBoxes, AnyValues, Box, Boxes, Scores
from starktrack.errors import BoxError, SourceWarning

LARGEST_COORDINATE = 1e6
"""Largest coordinate, pixels: larger than any picture, and small enough for integer arithmetic on windows."""


def xywh_to_xyxy(boxes_xywh: AnyBoxes) -> AnyBoxes:
    """Return corners of boxes given by top-left corner and size."""
    x, y, w, h = _columns(boxes_xywh)
    return _stack(x, y, x + w, y + h)


def xyxy_to_xywh(boxes_xyxy: AnyBoxes) -> AnyBoxes:
    """Return top-left corner and size of boxes given by corners; inverted boxes get negative sizes."""
    x1, y1, x2, y2 = _columns(boxes_xyxy)
    return _stack(x1, y1, x2 - x1, y2 - y1)


def cxcywh_to_xyxy(boxes_cxcywh: AnyBoxes) -> AnyBoxes:
    """Return corners of boxes given by centre and size."""
    cx, cy, w, h = _columns(boxes_cxcywh)
    return _stack(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)


def xyxy_to_cxcywh(boxes_xyxy: AnyBoxes) -> AnyBoxes:
    """Return centre and size of boxes given by corners."""
    x1, y1, x2, y2 = _columns(boxes_xyxy)
    return _stack((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)


def xywh_to_cxcywh(boxes_xywh: AnyBoxes) -> AnyBoxes:
    """Return centre and size of boxes given by top-left corner and size."""
    x, y, w, h = _columns(boxes_xywh)
    return _stack(x + w / 2, y + h / 2, w, h)


def cxcywh_to_xywh(boxes_cxcywh: AnyBoxes) -> AnyBoxes:
    """Return top-left corner and size of boxes given by centre and size."""
    cx, cy, w, h = _columns(boxes_cxcywh)
    return _stack(cx - w / 2, cy - h / 2, w, h)


def area(boxes_xyxy: AnyBoxes) -> AnyValues:
    """Return width times height, zero for inverted boxes."""
    x1, y1, x2, y2 = _columns(boxes_xyxy)
    xp = _namespace(boxes_xyxy)
    return xp.clip(x2 - x1, 0, None) * xp.clip(y2 - y1, 0, None)


def intersection(a_xyxy: AnyBoxes, b_xyxy: AnyBoxes) -> AnyValues:
    """Return the area two boxes share."""
    xp = _namespace(a_xyxy, b_xyxy)
    ax1, ay1, ax2, ay2 = _columns(a_xyxy)
    bx1, by1, bx2, by2 = _columns(b_xyxy)
    width = xp.clip(xp.minimum(ax2, bx2) - xp.maximum(ax1, bx1), 0, None)
    height = xp.clip(xp.minimum(ay2, by2) - xp.maximum(ay1, by1), 0, None)
    return width * height


def overlap(a_xyxy: AnyBoxes, b_xyxy: AnyBoxes) -> AnyValues:
    """Return intersection over union in [0, 1]; 0 where the union is empty."""
    xp = _namespace(a_xyxy, b_xyxy)
    shared = intersection(a_xyxy, b_xyxy)
    union = area(a_xyxy) + area(b_xyxy) - shared
    return shared / xp.where(union > 0, union, xp.ones_like(union))


def overlap_xywh(a_xywh: Boxes, b_xywh: Boxes) -> Scores:
    """Return intersection over union of boxes row by row, rounded as benchmark toolkits do.

    Convention: the same value as `overlap`, computed with areas w * h and inclusive last pixels x + w - 1; a
    box with itself can thus exceed 1 by one binary digit, which toolkits count as above the threshold 1.
    """
    start = np.maximum(a_xywh[:, :2], b_xywh[:, :2])
    last = np.minimum(a_xywh[:, :2] + a_xywh[:, 2:] - 1.0, b_xywh[:, :2] + b_xywh[:, 2:] - 1.0)
    shared = np.clip(last - start + 1.0, 0, None).prod(axis=1)
    union = a_xywh[:, 2:].prod(axis=1) + b_xywh[:, 2:].prod(axis=1) - shared
    return shared / np.where(union == 0, 1.0, union)


def generalised_overlap(a_xyxy: AnyBoxes, b_xyxy: AnyBoxes) -> AnyValues:
    """Return generalised intersection over union in [-1, 1].

    Convention: an inverted box has no area. The enclosing box is that of its corners, so the value is defined and
    its gradient pulls the corners apart.

    Source: Rezatofighi et al., Generalized Intersection over Union, CVPR 2019, algorithm 1.
    """
    xp = _namespace(a_xyxy, b_xyxy)
    shared = intersection(a_xyxy, b_xyxy)
    union = area(a_xyxy) + area(b_xyxy) - shared
    ax1, ay1, ax2, ay2 = _columns(a_xyxy)
    bx1, by1, bx2, by2 = _columns(b_xyxy)
    left, right = _extent(xp, ax1, ax2, bx1, bx2)
    top, bottom = _extent(xp, ay1, ay2, by1, by2)
    hull = (right - left) * (bottom - top)
    one = xp.ones_like(union)
    return shared / xp.where(union > 0, union, one) - (hull - union) / xp.where(hull > 0, hull, one)


def clip_xywh(boxes_xywh: Boxes, size_hw: tuple[Any, Any], margin: float | np.ndarray) -> Boxes:
    """Return boxes inside the image, each keeping at least `margin` pixels of width and height there.

    Args:
        size_hw: Height and width of the image, or arrays of them, one for each box.
        margin: One for all, or one of width and height for each box, [num_boxes, 2].

    Source: the authors' tracker, margin 10 (golden `clip_*`).
    """
    height, width = size_hw
    margin_x, margin_y = (margin, margin) if isinstance(margin, int | float) else margin.T
    margin_x, margin_y = np.minimum(margin_x, width), np.minimum(margin_y, height)
    x1, y1, x2, y2 = _columns(xywh_to_xyxy(boxes_xywh))
    x1, x2 = np.clip(x1, 0, width - margin_x), np.clip(x2, margin_x, width)
    y1, y2 = np.clip(y1, 0, height - margin_y), np.clip(y2, margin_y, height)
    return _stack(x1, y1, np.maximum(margin_x, x2 - x1), np.maximum(margin_y, y2 - y1))


def whole_pixels(box_xywh: Box) -> tuple[int, int, int, int]:
    """Return first column, first row, columns and rows of the pixels of a box, at least one, from 0 on.

    Convention: edges are rounded to the nearest pixel edge; pixels left of or above the image are left out.
    """
    left, top, right, bottom = (round(float(edge)) for edge in xywh_to_xyxy(box_xywh))
    left, top = max(0, left), max(0, top)
    return left, top, max(1, right - left), max(1, bottom - top)


def box_of_mask(mask: Bool[np.ndarray, "height width"]) -> tuple[float, float, float, float]:
    """Return the tight box x,y,w,h of a mask; zeros for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    x, y = columns[0], rows[0]
    return float(x), float(y), float(columns[-1] + 1 - x), float(rows[-1] + 1 - y)


def check_box(box_xywh: Any, size_hw: tuple[int, int]) -> Box:
    """Return the box as float64 [4] when it can be tracked in an image of this size.

    Raises:
        BoxError: Not four numbers, NaN or infinite, not of positive size, under a pixel, or wholly outside the image.
    """
    try:
        box = np.asarray(box_xywh, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BoxError(f"a box must be four numbers x,y,w,h, got {box_xywh!r}") from error
    if box.shape != (4,):
        raise BoxError(f"a box must be four numbers x,y,w,h, got {box_xywh!r}")
    shown = ",".join(f"{value:g}" for value in box)
    if not np.isfinite(box).all():
        raise BoxError(f"a box must be finite, got {shown}; give x,y,w,h in pixels")
    x, y, w, h = box
    if w <= 0 or h <= 0:
        raise BoxError(f"a box must have positive width and height, got {shown}; the order is x,y,w,h")
    if w < 1 or h < 1:
        height, width = size_hw
        remedy = (
            f"these are shares of the frame: multiply by {width} and {height}"
            if looks_normalised(box)
            else "give x,y,w,h in pixels"
        )
        raise BoxError(f"a box must be at least 1 pixel wide and high, got {shown}; {remedy}")
    if np.abs(box).max() > LARGEST_COORDINATE:
        raise BoxError(
            f"a box must lie within {LARGEST_COORDINATE:g} pixels, got {shown}; give x,y,w,h in pixels"
        )
    height, width = size_hw
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise BoxError(
            f"a box must overlap the frame of {width} x {height} pixels, got {shown}; "
            "x,y is its top-left corner in pixels"
        )
    if looks_like_corners(box, size_hw):
        warnings.warn(
            f"box {shown} reaches out of the frame of {width} x {height} pixels and looks like two corners; "
            f"as x,y,w,h they are {x:g},{y:g},{w - x:g},{h - y:g}",
            SourceWarning,
            stacklevel=2,
        )
    return box


def looks_normalised(box_xywh: AnyBoxes) -> bool:
    """Return whether boxes may be shares of the frame, [0, 1], in place of pixels."""
    return bool((box_xywh >= 0).all() and (box_xywh <= 1).all())


def looks_like_corners(box_xywh: Box, size_hw: tuple[int, int]) -> bool:
    """Return whether a box leaves the frame as x,y,w,h but lies inside it as x1,y1,x2,y2."""
    x, y, w, h = box_xywh
    height, width = size_hw
    leaves = x + w > width + 1 or y + h > height + 1
    return bool(leaves and 0 <= x < w <= width and 0 <= y < h <= height)


def _namespace(*arrays: Any) -> Any:
    """Return the module of functions for arrays of this kind."""
    if all(isinstance(each, np.ndarray | np.generic) for each in arrays):
        return np  # the library for other kinds imports all of NumPy, which a start of `track` does without
    from array_api_compat import array_namespace

    return array_namespace(*arrays)


def _extent(xp: Any, a1: Any, a2: Any, b1: Any, b2: Any) -> tuple[Any, Any]:
    smallest = xp.minimum(xp.minimum(a1, a2), xp.minimum(b1, b2))
    return smallest, xp.maximum(xp.maximum(a1, a2), xp.maximum(b1, b2))


def _columns(boxes: Any) -> tuple[Any, Any, Any, Any]:
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]


def _stack(*columns: Any) -> Any:
    return _namespace(*columns).stack(columns, axis=-1)

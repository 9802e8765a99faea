"""Regions of the VOT benchmark: rectangles, polygons and masks on the pixel grid, and their overlap.

Convention: pixels as the VOT toolkit 0.9.0 rasterises them, found by experiments with the toolkit. Values are
float32, rounded half to even, a rectangle covers round(x) … round(x) + round(w) - 1, a polygon includes its outline.
Two regions that together are less than two pixels wide or high count as equal, or as apart where the image border
cut them so.
"""

from itertools import pairwise
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from starktrack.arrays import Boxes, Scores
from starktrack.data.formats import regions
from starktrack.data.formats.format_error import named_errors
from starktrack.data.formats.regions import Mask, Polygon, Rectangle, Region, Special
from starktrack.errors import ResultFileError

Window: TypeAlias = tuple[int, int, int, int]
"""First column, first row, last column, last row."""

_Pixels: TypeAlias = Int[np.ndarray, "n 2"]


def mask_region(pixels: Bool[np.ndarray, "height width"]) -> Mask:
    """Return the True pixels of an image as a region."""
    return _tight(pixels, (0, 0))


def parse_region(text: str, where: str) -> Region:
    """Return the region in one line of a result or ground truth, a mask cut to the pixels that it has.

    Raises:
        ResultFileError: The line is none of the known kinds; names the place.
    """
    with named_errors(where, ResultFileError):
        return tight(regions.parse_region(text))


def tight(region: Region) -> Region:
    """Return the region, a mask cut to the smallest window that holds its pixels."""
    return _tight(region.pixels, region.corner_xy) if isinstance(region, Mask) else region


def is_empty(region: Region) -> bool:
    """Return whether a region has no pixels in an image of any size."""
    if isinstance(region, Special):
        return True
    if isinstance(region, Mask):
        return not region.pixels.any()
    return isinstance(region, Rectangle) and bool((region.box_xywh[2:] <= 0).any())


def region_overlap(a: Region, b: Region, size_wh: tuple[int, int]) -> float:
    """Return intersection over union in whole pixels, inside an image of this size.

    Example:
        >>> a, b = Rectangle(np.array([0.0, 0, 10, 10])), Rectangle(np.array([5.0, 0, 10, 10]))
        >>> round(region_overlap(a, b, (40, 30)), 4)
        0.3333
    """
    of_a, of_b = _window(a), _window(b)
    joint = (min(of_a[0], of_b[0]), min(of_a[1], of_b[1]), max(of_a[2], of_b[2]), max(of_a[3], of_b[3]))
    if _is_thin(joint):
        return 1.0
    joint = (max(joint[0], 0), max(joint[1], 0), min(joint[2], size_wh[0] - 1), min(joint[3], size_wh[1] - 1))
    if _is_thin(joint):
        return 0.0
    pixels_a, pixels_b = rasterise(a, joint), rasterise(b, joint)
    union = int((pixels_a | pixels_b).sum())
    return int((pixels_a & pixels_b).sum()) / union if union else 0.0


def rectangle_overlaps(a_xywh: Boxes, b_xywh: Boxes, size_wh: tuple[int, int]) -> Scores:
    """Return `region_overlap` of rectangles row by row; for long sequences."""
    a, b = _windows(a_xywh), _windows(b_xywh)
    start, stop = np.minimum(a[:, :2], b[:, :2]), np.maximum(a[:, 2:], b[:, 2:])
    equal = (start >= stop).any(axis=1)
    # In the order of `region_overlap`: the window of both decides first, then what the image leaves of it.
    start, stop = np.maximum(start, 0), np.minimum(stop, np.array(size_wh) - 1)
    apart = (start >= stop).any(axis=1)
    area_a, area_b = _cut_area(a[:, :2], a[:, 2:], start, stop), _cut_area(b[:, :2], b[:, 2:], start, stop)
    shared = _cut_area(np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:]), start, stop)
    union = np.maximum(area_a + area_b - shared, 1)
    return np.where(equal, 1.0, np.where(apart, 0.0, shared / union))


def rasterise(region: Region, window: Window) -> Bool[np.ndarray, "height width"]:
    """Return which pixels of a window belong to the region."""
    left, top, right, bottom = window
    pixels = np.zeros((bottom - top + 1, right - left + 1), bool)
    if isinstance(region, Special) or (isinstance(region, Mask) and not region.pixels.size):
        return pixels
    if isinstance(region, Polygon):
        _paint_polygon(pixels, np.rint(region.points_xy.astype(np.float32)) - np.array([left, top]))
        return pixels
    own = _window(region)
    first_x, first_y = max(own[0], left), max(own[1], top)
    last_x, last_y = min(own[2], right), min(own[3], bottom)
    if last_x >= first_x and last_y >= first_y:
        inside: np.ndarray | bool = True
        if isinstance(region, Mask):
            inside = region.pixels[
                first_y - own[1] : last_y - own[1] + 1, first_x - own[0] : last_x - own[0] + 1
            ]
        pixels[first_y - top : last_y - top + 1, first_x - left : last_x - left + 1] = inside
    return pixels


def _paint_polygon(pixels: Bool[np.ndarray, "height width"], points_xy: Float[np.ndarray, "n 2"]) -> None:
    """Set the pixels of a closed outline with whole-numbered points.

    Convention: found by experiments with the toolkit as a black box. Along each row the crossings open and close
    spans in turn; a crossing at the same column as the last one opens a span again.
    """
    crossings = _row_crossings(points_xy, len(pixels))
    columns = np.arange(pixels.shape[1])
    is_span = np.ones((len(pixels), 1), bool)
    for start, stop in pairwise(crossings.T[..., None]):
        pixels |= is_span & (start <= columns) & (columns <= stop) & np.isfinite(stop)
        is_span = ~is_span | (start == stop)


def _row_crossings(points_xy: Float[np.ndarray, "n 2"], height: int) -> Float[np.ndarray, "height n"]:
    """Return the sorted columns where the edges meet each row, infinite for edges that do not reach it."""
    (x, y), (previous_x, previous_y) = points_xy.T, np.roll(points_xy, 1, axis=0).T
    rows = np.arange(height)[:, None]
    # A level edge counts once, in its second point.
    rise = np.where(previous_y == y, 1, previous_y - y)
    # Only this order of operations gave all columns: a whole one may come out just below and lose a pixel.
    column = np.trunc(x + (rows - y) / rise * (previous_x - x))
    reaches = (np.minimum(y, previous_y) <= rows) & (rows <= np.maximum(y, previous_y))
    return np.sort(np.where(reaches, column, np.inf), axis=1)


def _tight(pixels: Bool[np.ndarray, "height width"], corner_xy: tuple[int, int]) -> Mask:
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not columns.any():  # The toolkit takes a mask for empty whose only column is the window's first.
        return Mask(np.zeros((0, 0), bool), (0, 0))
    corner = corner_xy[0] + int(columns[0]), corner_xy[1] + int(rows[0])
    return Mask(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], corner)


def _window(region: Region) -> Window:
    if isinstance(region, Rectangle):
        left, top, right, bottom = _windows(region.box_xywh[None])[0].tolist()
        return left, top, right, bottom
    if isinstance(region, Polygon):
        points = np.rint(region.points_xy.astype(np.float32)).astype(int)
        return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
    if isinstance(region, Mask) and region.pixels.size:
        x, y = region.corner_xy
        return x, y, x + region.pixels.shape[1] - 1, y + region.pixels.shape[0] - 1
    return 0, 0, 0, 0


def _windows(boxes_xywh: Boxes) -> Int[np.ndarray, "num_boxes 4"]:
    whole = np.rint(boxes_xywh.astype(np.float32)).astype(np.int64)
    return np.concatenate([whole[:, :2], whole[:, :2] + whole[:, 2:] - 1], axis=1)


def _is_thin(window: Window) -> bool:
    return window[0] >= window[2] or window[1] >= window[3]


def _cut_area(first: _Pixels, last: _Pixels, start: _Pixels, stop: _Pixels) -> Int[np.ndarray, " n"]:
    return np.clip(np.minimum(last, stop) - np.maximum(first, start) + 1, 0, None).prod(axis=1)

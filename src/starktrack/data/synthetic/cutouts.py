"""Objects cut out of pictures: along their mask where there is one, else along a soft rounded outline.

Convention: a cut-out has its own pixel grid, edges continuous. Pixels that are at least half opaque belong to the
object.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from starktrack.arrays import Box, Image
from starktrack.errors import DatasetError

MARGIN = 2
"""Width of the soft edge around the object, pixels."""

EDGE_DEVIATION = 0.8
"""Gaussian that softens the edge, pixels."""

NUM_SEEDS = 96
"""Number of points spread over an object, which measure its visible share."""


@dataclass(frozen=True)
class CutOut:
    """An object without its surroundings.

    Attributes:
        pixels: RGB times opacity, and opacity (0 to 255).
        outline_xy: Corners of the object's convex hull.
        seeds_xy: Points spread over the object.
        origins: The videos or pictures that it was cut from.
        object_class: What it is, where known.
    """

    pixels: UInt8[np.ndarray, "height width 4"]
    outline_xy: Float[np.ndarray, "num_corners 2"]
    seeds_xy: Float[np.ndarray, "num_seeds 2"]
    origins: frozenset[str] = frozenset()
    object_class: str | None = None

    def covers(self, points_xy: Float[np.ndarray, "*batch 2"]) -> Bool[np.ndarray, "*batch"]:
        """Return which points lie on the object."""
        height, width = self.pixels.shape[:2]
        columns, rows = np.moveaxis(np.floor(points_xy).astype(int), -1, 0)
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        return inside & (self.pixels[rows.clip(0, height - 1), columns.clip(0, width - 1), 3] >= 128)


def cut_out(
    image: Image,
    box_xywh: Box,
    mask: Bool[np.ndarray, "height width"] | None,
    *,
    side: float,
    roundness: float,
) -> CutOut:
    """Return the object in a box, scaled so that the square root of its box's area is `side` pixels.

    Args:
        image: The picture.
        box_xywh: Where the object is, image pixels.
        mask: Its pixels, or None.
        side: Wanted size, pixels.
        roundness: Exponent of the outline without a mask: 2 is an ellipse, more is nearer to the box.

    Raises:
        DatasetError: The box or the mask holds no pixel.
    """
    height, width = image.shape[:2]
    left, top = (max(0, int(edge) - MARGIN) for edge in np.floor(box_xywh[:2]))
    right, bottom = (int(edge) + MARGIN for edge in np.ceil(box_xywh[:2] + box_xywh[2:]))
    right, bottom = min(right, width), min(bottom, height)
    if right - left <= 2 * MARGIN or bottom - top <= 2 * MARGIN:
        raise DatasetError(f"an object must lie inside its picture of {width} x {height}, got {box_xywh}")
    window = (slice(top, bottom), slice(left, right))
    outline = _rounded(box_xywh, (left, top, right, bottom), roundness) if mask is None else mask[window]
    scale = side / float(np.sqrt(box_xywh[2] * box_xywh[3]))
    return _assemble(image[window], outline, scale)


def recolour(
    cutout: CutOut, gains: Float[np.ndarray, "3"], order: tuple[int, int, int] = (0, 1, 2)
) -> CutOut:
    """Return the cut-out with its channels in another order, each times its gain."""
    colour = cutout.pixels[..., list(order)] * gains
    opacity = cutout.pixels[..., 3:]
    pixels = np.concatenate([np.minimum(colour, opacity), opacity], axis=2).astype(np.uint8)
    return replace(cutout, pixels=pixels)


def silhouette(cutout: CutOut, shade: float) -> CutOut:
    """Return the cut-out all in one grey, 0 to 255."""
    opacity = cutout.pixels[..., 3:]
    grey = np.repeat(opacity * (shade / 255), 3, axis=2)
    return replace(cutout, pixels=np.concatenate([grey, opacity], axis=2).astype(np.uint8))


def mean_colour(cutout: CutOut) -> Float[np.ndarray, "3"]:
    """Return the mean RGB of the object, 0 to 255."""
    mean = np.array(cv2.mean(cutout.pixels))
    return mean[:3] / mean[3] * 255


def _assemble(image: Image, outline: Bool[np.ndarray, "height width"], scale: float) -> CutOut:
    # Scaling before softening keeps the edge equally soft at every size.
    size_wh = tuple(max(2 * MARGIN + 1, round(length * scale)) for length in outline.shape[::-1])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    colour = cv2.resize(image, size_wh, interpolation=method)
    opacity = cv2.resize(outline.astype(np.float32), size_wh, interpolation=method)
    opacity = cv2.GaussianBlur(opacity, (0, 0), EDGE_DEVIATION)
    pixels = np.dstack([colour * opacity[..., None], opacity * 255]).astype(np.uint8)
    rows, columns = (pixels[..., 3] >= 128).nonzero()
    if not len(rows):
        raise DatasetError(
            f"a mask must hold its object, got none in {outline.shape[1]} x {outline.shape[0]}"
        )
    chosen = np.linspace(0, len(rows) - 1, NUM_SEEDS).astype(int)
    seeds = np.stack([columns, rows], axis=1)[chosen] + 0.5
    return CutOut(pixels, _hull(rows, columns), seeds)


def _hull(rows: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, "num_corners 2"]:
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    last = np.append(first[1:], len(rows)) - 1
    lefts, rights = columns[first], columns[last] + 1
    tops = rows[first]
    corners = [np.stack([x, y], axis=1) for x in (lefts, rights) for y in (tops, tops + 1)]
    return cv2.convexHull(np.concatenate(corners).astype(np.float32))[:, 0].astype(np.float64)


def _rounded(
    box_xywh: Box, window: tuple[int, int, int, int], roundness: float
) -> Bool[np.ndarray, "height width"]:
    left, top, right, bottom = window
    x, y, w, h = box_xywh
    across = np.abs((np.arange(left, right) + 0.5 - x) * 2 / w - 1) ** roundness
    down = np.abs((np.arange(top, bottom) + 0.5 - y) * 2 / h - 1) ** roundness
    return across[None, :] + down[:, None] <= 1

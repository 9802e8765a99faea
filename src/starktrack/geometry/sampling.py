"""Bilinear sampling in the fixed-point arithmetic of OpenCV, for NumPy arrays and torch tensors alike.

The same bytes as `cv2.resize(..., INTER_LINEAR)` on a zero-padded window, without building the window: four image
pixels are gathered for each crop pixel.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

BORDER_PIXELS = {"published": 1, "exact": 0}
"""Number of columns and rows at the far border of an image that count as padding in a window that reaches them."""

_ONE = 2048
"""Weights have 11 fractional bits."""


def bilinear_taps(
    side: int | Int[np.ndarray, "*batch 1"], size: int
) -> tuple[Int[np.ndarray, "*batch size"], Int[np.ndarray, "*batch size"], Float[np.ndarray, "*batch size"]]:
    """Return, for `size` samples over `side` pixels, the two source indices and the weight of the second.

    Beyond the first and last pixel centre both taps are the border pixel.
    """
    position = ((np.arange(size) + 0.5) * (side / size) - 0.5).astype(np.float32)
    first = np.floor(position).astype(np.int64)
    weight = position - first.astype(np.float32)
    return first.clip(0, side - 1), (first + 1).clip(0, side - 1), weight.astype(np.float64)


def fixed_point(
    weight: Float[np.ndarray, "*batch size"],
) -> tuple[Int[np.ndarray, "*batch size"], Int[np.ndarray, "*batch size"]]:
    """Return the weights of the first and second tap as integers of 11 fractional bits."""
    weight = weight.astype(np.float32)
    return (
        np.rint((np.float32(1) - weight) * _ONE).astype(np.int64),
        np.rint(weight * _ONE).astype(np.int64),
    )


def blend(
    corners: tuple[Any, Any, Any, Any], row_weights: tuple[Any, Any], column_weights: tuple[Any, Any]
) -> Any:
    """Return the weighted mean of four integer pixels: top-left, top-right, bottom-left, bottom-right."""
    top_left, top_right, bottom_left, bottom_right = corners
    top = (top_left * column_weights[0] + top_right * column_weights[1]) >> 4
    bottom = (bottom_left * column_weights[0] + bottom_right * column_weights[1]) >> 4
    return (((top * row_weights[0]) >> 16) + ((bottom * row_weights[1]) >> 16) + 2) >> 2


def resample(
    image: Any, corner: tuple[int, int], side: int, rows: tuple[Any, Any], columns: tuple[Any, Any], size: int
) -> Any:
    """Return the `size` x `size` crop of a window with its top-left `corner` (row, column), black outside.

    `rows` and `columns` are the image ranges that are shown (see `geometry.crop.visible_range`).
    """
    first, second, weight = bilinear_taps(side, size)
    row_weights = fixed_point(weight)
    column_weights = fixed_point(np.where(first == second, 0.0, weight))
    row_taps = [_inside(taps + corner[0], rows) for taps in (first, second)]
    column_taps = [_inside(taps + corner[1], columns) for taps in (first, second)]
    corners = tuple(
        image[row[:, None], column[None, :]].astype(np.int64)
        * (row_in[:, None] & column_in[None, :])[..., None]
        for row, row_in in row_taps
        for column, column_in in column_taps
    )
    return blend(
        corners,
        (row_weights[0][:, None, None], row_weights[1][:, None, None]),
        (column_weights[0][None, :, None], column_weights[1][None, :, None]),
    ).astype(np.uint8)


def _inside(index: Int[np.ndarray, " size"], visible: tuple[Any, Any]) -> tuple[Any, Any]:
    inside = (index >= visible[0]) & (index < visible[1])
    return np.where(inside, index, 0), inside

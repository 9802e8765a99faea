"""Regions of the VOT benchmark as its files write them: a code, a box, an outline, or a mask in run lengths."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from starktrack.data.formats.format_error import FormatError

MOST_MASK_PIXELS = 2**28
"""Of the window of one mask; a damaged file asks for more."""

UNKNOWN, INITIALISATION, FAILURE = 0, 1, 2


@dataclass(frozen=True)
class Special:
    """No region but a code: `UNKNOWN` (target absent), `INITIALISATION` or `FAILURE`."""

    code: int


@dataclass(frozen=True, eq=False)
class Rectangle:
    """An upright box, image pixels."""

    box_xywh: Float[np.ndarray, "4"]


@dataclass(frozen=True, eq=False)
class Polygon:
    """A closed outline, image pixels."""

    points_xy: Float[np.ndarray, "num_points 2"]


@dataclass(frozen=True, eq=False)
class Mask:
    """The pixels of a region inside a window of the image; `corner_xy` is the window's first pixel."""

    pixels: Bool[np.ndarray, "height width"]
    corner_xy: tuple[int, int]


Region: TypeAlias = Special | Rectangle | Polygon | Mask


def parse_region(text: str) -> Region:
    """Return the region in one line of a VOT file.

    Raises:
        FormatError: The line is none of the known kinds.
    """
    try:
        if text.startswith("m"):
            x, y, width, height, *runs = (int(word) for word in text[1:].split(","))
            return mask_of_runs(runs, (x, y), (width, height))
        values = np.array(text.split(","), dtype=np.float64)
    except ValueError as error:
        raise FormatError(_unknown(text)) from error
    if len(values) == 1 and np.isfinite(values[0]):
        return Special(int(values[0]))
    if np.isnan(values).any():
        return Special(UNKNOWN)
    if len(values) == 4:
        return Rectangle(values)
    if len(values) >= 6 and len(values) % 2 == 0:
        return Polygon(values.reshape(-1, 2))
    raise FormatError(_unknown(text))


def format_region(region: Region) -> str:
    """Return the line of a VOT text file for a region; `parse_region` is the inverse."""
    if isinstance(region, Special):
        return str(region.code)
    if isinstance(region, Mask):
        height, width = region.pixels.shape
        return "m" + ",".join(map(str, [*region.corner_xy, width, height, *run_lengths(region.pixels)]))
    values = region.box_xywh if isinstance(region, Rectangle) else region.points_xy.ravel()
    return ",".join(f"{value:.4f}" for value in values)


def run_lengths(pixels: Bool[np.ndarray, "height width"]) -> list[int]:
    """Return the lengths of alternating runs, row by row, starting with the number of False pixels."""
    flat = np.concatenate([[False], pixels.ravel()])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], changes, [pixels.size]])).tolist()


def mask_of_runs(runs: list[int], corner_xy: tuple[int, int], size_wh: tuple[int, int]) -> Mask:
    """Return the mask of alternating runs that go along rows, the first of False pixels; the rest is False.

    Raises:
        ValueError: The runs hold more pixels than the window, or one is negative, or the window is too large.
    """
    width, height = size_wh
    if min(width, height, *runs) < 0 or width * height > MOST_MASK_PIXELS:
        raise ValueError(f"a window of {width} x {height} pixels or a negative run")
    if sum(runs) > width * height:  # before anything takes memory
        raise ValueError("more pixels than the mask has")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    flat = np.zeros(width * height, bool)
    flat[: len(values)] = values
    return Mask(flat.reshape(height, width), corner_xy)


def _unknown(text: str) -> str:
    return f"must be a mask, a polygon, a box or a code, got {text[:60]!r}"

"""Annotation files become arrays; a broken line is named with its file and number."""

import numpy as np
from jaxtyping import Bool, Float

from starktrack.data.formats.format_error import named_errors
from starktrack.data.formats.number_text import parse_boxes, parse_numbers, parse_table
from starktrack.data.sources.folders import Folder
from starktrack.errors import DatasetError


def read_table(folder: Folder, name: str, columns: int) -> Float[np.ndarray, "num_rows {columns}"]:
    """Return the numbers of an annotation file, a row per line.

    Commas, semicolons, tabs and spaces all separate, for they differ within OTB; `NaN` is a number.

    Args:
        folder: Where the file lies.
        name: The file.
        columns: How many numbers every line must hold; further ones are left out.

    Raises:
        DatasetError: The file is missing or empty, or a line is blank, short or not a number.
    """
    with named_errors(folder.label(name), DatasetError):
        return parse_table(folder.read_text(name), columns)


def read_boxes(folder: Folder, name: str) -> Float[np.ndarray, "num_frames 4"]:
    """Return the boxes x,y,w,h of an annotation file, a row per frame; DatasetError as `read_table`."""
    with named_errors(folder.label(name), DatasetError):
        return parse_boxes(folder.read_text(name))


def read_numbers(folder: Folder, name: str) -> Float[np.ndarray, " num_values"]:
    """Return the numbers of a file, from one long line (LaSOT) or one line each (GOT-10k).

    Raises:
        DatasetError: The file is missing or holds something else.
    """
    with named_errors(folder.label(name), DatasetError):
        return parse_numbers(folder.read_text(name))


def read_flags(folder: Folder, name: str, count: int) -> Float[np.ndarray, " {count}"]:
    """Return one number per frame.

    Raises:
        DatasetError: The file is missing, holds something else, or not one number per frame.
    """
    flags = read_numbers(folder, name)
    if len(flags) != count:
        raise DatasetError(f"{folder.label(name)} must hold {count} numbers, one per box, got {len(flags)}")
    return flags


def has_area(boxes_xywh: Float[np.ndarray, "num_frames 4"]) -> Bool[np.ndarray, " num_frames"]:
    """Return where a box has positive width and height; NaN counts as none."""
    return (boxes_xywh[:, 2] > 0) & (boxes_xywh[:, 3] > 0)

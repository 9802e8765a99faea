"""Annotation text becomes arrays; a broken line is named with its file and number."""

import io

import numpy as np
from jaxtyping import Bool, Float

from starktrack.data.sources.folders import Folder
from starktrack.errors import DatasetError

_DELIMITERS = str.maketrans(",;\t", "   ")


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
    return parse_table(folder.read_text(name), columns, folder.label(name))


def parse_table(text: str, columns: int, label: str) -> Float[np.ndarray, "num_rows {columns}"]:
    """Return the numbers of annotation text, a row per line; `label` names its file in errors."""
    text = text.strip().translate(_DELIMITERS)
    if not text:
        raise DatasetError(f"{label} must hold {columns} numbers in every line, it is empty")
    try:
        table = np.loadtxt(io.StringIO(text), dtype=np.float64, ndmin=2, comments=None)
    except ValueError as error:
        raise _explain(text, columns, label) from error
    if table.shape[1] < columns or len(table) != text.count("\n") + 1:
        raise _explain(text, columns, label)
    return np.ascontiguousarray(table[:, :columns])


def read_boxes(folder: Folder, name: str) -> Float[np.ndarray, "num_frames 4"]:
    """Return the boxes x,y,w,h of an annotation file, a row per frame."""
    return read_table(folder, name, 4)


def read_numbers(folder: Folder, name: str) -> Float[np.ndarray, " num_values"]:
    """Return the numbers of a file, from one long line (LaSOT) or one line each (GOT-10k).

    Raises:
        DatasetError: The file is missing or holds something else.
    """
    text = folder.read_text(name).replace(",", " ")
    try:
        return np.array(text.split(), dtype=np.float64)
    except ValueError as error:
        raise DatasetError(f"{folder.label(name)} must hold numbers only: {error}") from error


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


def _explain(text: str, columns: int, label: str) -> DatasetError:
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            broken = len([float(word) for word in line.split()]) < columns
        except ValueError:
            broken = True
        if broken:
            return DatasetError(f"{label} line {number} must hold {columns} numbers, got {line.strip()!r}")
    return DatasetError(f"{label} must hold equally many numbers in every line; they differ")

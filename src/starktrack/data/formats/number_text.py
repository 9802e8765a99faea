"""Parses text of numbers into arrays, for annotations and results; errors name the line."""

import warnings

import numpy as np
from jaxtyping import Float, Int

from starktrack.data.formats.format_error import FormatError

_SEPARATORS = str.maketrans(",;\t", "   ")


def parse_numbers(text: str) -> Float[np.ndarray, " num_values"]:
    """Return all numbers of a text; commas, semicolons, tabs, spaces and line ends separate.

    Args:
        text: The file's content; `NaN` is a number.

    Raises:
        FormatError: Something is not a number.
    """
    numbers = _numbers(text.translate(_SEPARATORS))
    if numbers is None:
        wrong = next(
            (word for word in text.translate(_SEPARATORS).split() if not _is_number(word)), "no text"
        )
        raise FormatError(f"must hold numbers only, got {wrong!r}; is it another file?")
    return numbers


def parse_table(text: str, columns: int) -> Float[np.ndarray, "num_rows {columns}"]:
    """Return the first `columns` numbers of every line; all lines must hold equally many, at least these.

    Raises:
        FormatError: The text is empty, or a line is blank, short, long or no numbers.
    """
    return np.ascontiguousarray(_rows(text, None, columns)[:, :columns])


def parse_boxes(text: str) -> Float[np.ndarray, "num_boxes 4"]:
    """Return the boxes x,y,w,h of a text, one per line; NaN stands for no target.

    Raises:
        FormatError: The text is empty, or a line does not hold four finite numbers or NaN.
    """
    boxes = _rows(text, 4, 4)
    if np.isinf(boxes).any():
        raise _broken(text, int(np.isinf(boxes).any(axis=1).argmax()), 4)
    return boxes


def _rows(text: str, exactly: int | None, at_least: int) -> Float[np.ndarray, "num_rows num_columns"]:
    text = text.rstrip()
    if not text:
        raise FormatError(f"must hold {_wanted(at_least)} in every line, got an empty file")
    plain = text.translate(_SEPARATORS)
    counts, numbers = _words_per_line(plain), _numbers(plain)
    width = exactly or max(int(counts[0]), at_least)
    if (counts != width).any():
        raise _broken(text, int((counts != width).argmax()), width)
    if numbers is None:
        lines = plain.split("\n")
        index = next((i for i, line in enumerate(lines) if not all(map(_is_number, line.split()))), 0)
        raise _broken(text, index, width)
    return numbers.reshape(-1, width)


def _numbers(plain: str) -> Float[np.ndarray, " num_values"] | None:
    try:
        with warnings.catch_warnings():
            # Until it raises, NumPy warns where it stopped reading at a word.
            warnings.simplefilter("error", DeprecationWarning)
            return np.fromstring(plain, dtype=np.float64, sep=" ")
    except (DeprecationWarning, ValueError):
        return None


def _words_per_line(plain: str) -> Int[np.ndarray, " num_lines"]:
    """Return how many words each line holds; a long annotation has a hundred thousand lines."""
    letters = np.frombuffer(plain.encode(), np.uint8)
    is_blank = letters <= ord(" ")
    starts = np.flatnonzero(~is_blank & np.concatenate([[True], is_blank[:-1]]))
    ends = np.append(np.flatnonzero(letters == ord("\n")), len(letters))
    return np.diff(np.searchsorted(starts, ends), prepend=0)


def _broken(text: str, index: int, width: int) -> FormatError:
    line = text.split("\n")[index].strip()[:60]
    return FormatError(f"line {index + 1} must hold {_wanted(width)}, got {line!r}")


def _wanted(width: int) -> str:
    return "4 numbers x,y,w,h (NaN for no target)" if width == 4 else f"{width} numbers"


def _is_number(word: str) -> bool:
    return _numbers(word) is not None  # float() would take 1_000 and digits of other alphabets as well

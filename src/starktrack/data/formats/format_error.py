"""Text or bytes that break their format, and the file that a caller names for them."""

from collections.abc import Iterator
from contextlib import contextmanager

from starktrack.errors import InputError


class FormatError(ValueError):
    """Text or bytes break their format; the message has the rule, but not the file."""


@contextmanager
def named_errors(where: str, error_class: type[InputError]) -> Iterator[None]:
    """Turn a `FormatError` of the block into an error that names its file.

    Args:
        where: Names the file, or its line.
        error_class: What the caller raises for files of this kind.

    Example:
        >>> from starktrack.data.formats.number_text import parse_boxes
        >>> from starktrack.errors import DatasetError
        >>> with named_errors("boxes.txt", DatasetError):
        ...     parse_boxes("1,2,3")
        Traceback (most recent call last):
        starktrack.errors.DatasetError: boxes.txt line 1 must hold 4 numbers x,y,w,h (NaN for no target), got '1,2,3'
    """
    try:
        yield
    except FormatError as error:
        raise error_class(f"{where} {error}") from error

"""Text files of numbers, in a folder or a zip: the form of every annotation and result file."""

import os
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from starktrack.errors import InputError

PICTURE_FOLDERS = frozenset({"img", "imgs", "color", "frames", "zips", "JPEGImages"})
"""Not searched for text: a benchmark keeps up to millions of pictures there."""


@dataclass(frozen=True)
class TextPlace:
    """Text files of a folder or a zip, by their path inside it.

    Attributes:
        label: How errors name the place.
        files: Where each file lies, or what it holds.
        error_class: What is raised where a file cannot be read.
    """

    label: str
    files: dict[PurePosixPath, Path | bytes]
    error_class: type[InputError]

    def text(self, path: PurePosixPath) -> str | None:
        """Return what a file holds, None where there is none.

        Raises:
            InputError: Of the given class; the file is not text.
        """
        content = self.files.get(path)
        if content is None:
            return None
        data = content if isinstance(content, bytes) else content.read_bytes()
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.error_class(f"{self.label}/{path} must be text, got bytes: {error}") from error


def open_place(root: Path, kinds: frozenset[str], error_class: type[InputError], what: str) -> TextPlace:
    """Return the files of these kinds (`.txt` …) in a folder or zip.

    Raises:
        InputError: Of the given class; the place is missing or neither folder nor zip.
    """
    if root.is_dir():
        files = {PurePosixPath(path.relative_to(root)): path for path in _files(root, kinds)}
        return TextPlace(str(root), files, error_class)
    try:
        with zipfile.ZipFile(root) as archive:
            return TextPlace(str(root), dict(_members(archive, kinds)), error_class)
    except FileNotFoundError as error:
        raise error_class(f"{what} must be a folder or a zip, {root} does not exist") from error
    except zipfile.BadZipFile as error:
        raise error_class(f"{what} must be a folder or a zip, got {root}: {error}") from error


def parse_numbers(text: str, where: str, error_class: type[InputError]) -> Float[np.ndarray, " num_values"]:
    """Return all numbers in a text whose separators are commas, tabs, spaces or line ends.

    Raises:
        InputError: Of the given class; something is not a number; names the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            return np.fromstring(text.replace(",", " "), dtype=np.float64, sep=" ")
    except (DeprecationWarning, ValueError) as error:
        wrong = next(
            (word for word in text.replace(",", " ").split() if not _is_number(word)), "an unreadable word"
        )
        raise error_class(f"{where} must hold numbers only, got {wrong!r}; is it another file?") from error


def parse_boxes(text: str, where: str, error_class: type[InputError]) -> Float[np.ndarray, "num_boxes 4"]:
    """Return the boxes in a text, one per line, four numbers each.

    Raises:
        InputError: Of the given class; a line does not hold four numbers; names the file and the line.
    """
    return parse_rows(text, where, error_class, (4,))


def parse_rows(
    text: str, where: str, error_class: type[InputError], widths: tuple[int, ...]
) -> Float[np.ndarray, "num_rows width"]:
    """Return the rows of a text; the first line decides which of the allowed widths all of them have.

    Raises:
        InputError: Of the given class; a line holds another count of numbers; names the file and the line.
    """
    values = parse_numbers(text, where, error_class)
    lines = [line for line in text.splitlines() if line.strip()]
    counts = (len(line.replace(",", " ").split()) for line in lines)
    width = next((count for count in counts if count in widths), widths[0]) if lines else widths[0]
    if len(values) != width * len(lines):
        index = next(i for i, line in enumerate(lines) if len(line.replace(",", " ").split()) != width)
        wanted = "x,y,w,h" if width == 4 else f"{width} numbers"
        raise error_class(
            f"{where} must hold {wanted} on each line, got {lines[index]!r} in line {index + 1}"
        )
    return values.reshape(-1, width)


def _files(root: Path, kinds: frozenset[str]) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in PICTURE_FOLDERS]
        yield from (Path(folder, name) for name in names if Path(name).suffix in kinds)


def _members(archive: zipfile.ZipFile, kinds: frozenset[str]) -> Iterator[tuple[PurePosixPath, bytes]]:
    for info in archive.infolist():
        if PurePosixPath(info.filename).suffix in kinds:
            yield PurePosixPath(info.filename), archive.read(info)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True

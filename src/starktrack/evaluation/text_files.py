"""Text files of numbers, in a folder or a zip: the form of every annotation and result file."""

import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from starktrack.errors import InputError


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
        paths = (path for path in root.rglob("*") if path.suffix in kinds and path.is_file())
        files = {PurePosixPath(path.relative_to(root)): path for path in paths}
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
        InputError: Of the given class; Something is not a number; names the file.
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
        InputError: Of the given class; A line does not hold four numbers; names the file and the line.
    """
    values = parse_numbers(text, where, error_class)
    lines = [line for line in text.splitlines() if line.strip()]
    if len(values) != 4 * len(lines):
        index = next(i for i, line in enumerate(lines) if len(line.replace(",", " ").split()) != 4)
        raise error_class(f"{where} must hold x,y,w,h on each line, got {lines[index]!r} in line {index + 1}")
    return values.reshape(-1, 4)


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

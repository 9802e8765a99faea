"""A folder of a data set, on disk or within a zip file, with one interface."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from starktrack.data.sources.zip_table import is_leftover, open_zip
from starktrack.errors import DatasetError

_HEAD = 4096
"""Number of bytes at the start of a file that identify its content, with its size."""


@dataclass(frozen=True)
class Folder:
    """A folder that may lie in a zip file.

    Attributes:
        path: The folder on disk, or the zip file.
        inside: None on disk; in a zip the prefix of its members, "" or ending in a slash.
    """

    path: Path
    inside: str | None = None

    def __str__(self) -> str:
        """Return the path, such as `train.zip/train/` within a zip."""
        return str(self.path) if self.inside is None else f"{self.path}/{self.inside}".rstrip("/")

    def label(self, name: str) -> str:
        """Return the full name of a file here, for messages."""
        return f"{self}/{name}"

    def read(self, name: str) -> bytes:
        """Return the content of a file, given by its path below this folder.

        Raises:
            DatasetError: It is missing or cannot be read.
        """
        if self.inside is not None:
            return open_zip(self.path).read(self.inside + name)
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError as error:
            raise DatasetError(f"{self.label(name)} is missing") from error
        except OSError as error:
            raise DatasetError(f"{self.label(name)} cannot be read: {error.strerror}") from error

    def read_text(self, name: str) -> str:
        """Return a text file; bytes that are not UTF-8 (a few class names) become question marks."""
        return self.read(name).decode("utf-8-sig", errors="replace")

    def has(self, name: str) -> bool:
        """Return whether a file of this path below the folder exists."""
        if self.inside is not None:
            return open_zip(self.path).has(self.inside + name)
        return (self.path / name).is_file()

    def stamp(self, name: str = "") -> str:
        """Return a text that changes with the file: its size and time (the zip's), "" if missing.

        That of the folder itself changes when a file comes, goes or is renamed.
        """
        try:
            stat = (self.path if self.inside is not None else self.path / name).stat()
        except OSError:
            return ""
        return f"{stat.st_size} {stat.st_mtime_ns}"

    def fingerprint(self, name: str) -> str:
        """Return a text that identifies the content of a file, without reading much of it.

        Raises:
            DatasetError: It is missing or cannot be read.
        """
        if self.inside is not None:
            return open_zip(self.path).fingerprint(self.inside + name)
        try:
            with (self.path / name).open("rb") as file:
                head = hashlib.blake2b(file.read(_HEAD), digest_size=8).hexdigest()
                return f"{os.fstat(file.fileno()).st_size} {head}"
        except OSError as error:
            raise DatasetError(f"{self.label(name)} cannot be read: {error.strerror}") from error

    def files(self) -> list[str]:
        """Return names of the files directly here, sorted; none when the folder is missing."""
        if self.inside is not None:
            start = len(self.inside)
            below = (name[start:] for name in open_zip(self.path).names(self.inside))
            return sorted(name for name in below if "/" not in name)
        return sorted(entry.name for entry in _scan(self.path) if not _is_folder(entry))

    def folders(self) -> "dict[str, Folder]":
        """Return the folders directly here by name, sorted; on disk `x.zip` counts as a folder `x`."""
        if self.inside is not None:
            start = len(self.inside)
            below = (name[start:] for name in open_zip(self.path).names(self.inside))
            names = dict.fromkeys(name.split("/", 1)[0] for name in below if "/" in name)
            return {name: self.below(name) for name in names}
        found = {}
        for entry in sorted(_scan(self.path), key=lambda entry: entry.name):
            if _is_folder(entry):
                found[entry.name] = Folder(self.path / entry.name)
            elif entry.name.endswith(".zip"):
                found.setdefault(entry.name[:-4], Folder(self.path / entry.name, ""))
        return found

    def folder(self, path: str) -> "Folder | None":
        """Return the folder at `a/b` below this one, or None; `a` or `b` may be a zip file, or packed in one.

        A zip that holds one folder of its own name (`train2017.zip` with `train2017/`) counts as that folder.
        """
        here: Folder | None = self
        for name in path.split("/"):
            here = here and here._child(name)
        return here

    def below(self, name: str) -> "Folder":
        """Return the folder of this name here, whether it exists or not."""
        if self.inside is not None:
            return Folder(self.path, f"{self.inside}{name}/")
        return Folder(self.path / name)

    def _child(self, name: str) -> "Folder | None":
        if self.inside is not None:
            child = self.below(name)
            return child if open_zip(self.path).names(child.inside or "") else None
        if (self.path / name).is_dir():
            return self.below(name)
        packed = self.path / f"{name}.zip"
        return Folder(packed, "").unwrapped(name) if packed.is_file() else None

    def unwrapped(self, name: str) -> "Folder":
        """Return the folder `name` at the top of this zip when there is one, else the zip itself."""
        return (self._child(name) or self) if self.inside == "" else self


def open_folder(root: Path) -> Folder:
    """Return a data set's root: a folder, or a zip file that holds everything.

    Raises:
        DatasetError: There is no such folder.
    """
    if root.is_dir():
        return Folder(root)
    if root.is_file() and root.suffix == ".zip":
        return Folder(root, "")
    raise DatasetError(f"a data set's root must be a folder or a zip file, {root} is neither")


def find_folders(root: Folder, is_sequence: re.Pattern[str], depth: int = 4) -> dict[str, Folder]:
    """Return all folders below whose whole name matches, by name; they are not searched further.

    Nested, flat and packed layouts all come out the same.

    Args:
        root: Where to search.
        is_sequence: What a sequence's folder is called in this data set.
        depth: How many levels down to look.
    """
    return dict(_walk(root, is_sequence, depth))


def _walk(root: Folder, is_sequence: re.Pattern[str], depth: int) -> Iterator[tuple[str, Folder]]:
    for name, folder in root.folders().items():
        if is_sequence.fullmatch(name):
            yield name, folder
        elif depth > 1:
            yield from _walk(folder, is_sequence, depth - 1)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or into a place that may not be looked at
        return False


def _scan(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if not is_leftover(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []

"""Write files whole or not at all.

This is the only way in which the package writes a file that it or a user reads again: results, weights, checkpoints,
tables, caches. Logs that grow by a line are the exception.
"""

import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from starktrack.errors import InputError

_PARTIAL = re.compile(r"\.(?P<stem>.+)\.[0-9a-f]+\.partial(?P<suffix>(\..*)?)")

_LONGEST_NAME = 255
"""Bytes in the name of a file on the common file systems."""

_LONGEST_OUTPUT = 250
"""The same for what a user names; the rest is room for the number of a target."""


class OutputFile:
    """A file, or a folder, written beside its place and moved there at the end.

    The name until then is random: threads, processes and machines that share a folder never write to the same file.

    Attributes:
        path: Where the whole file will be.
        partial: Where to write until then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f".{_partial_stem(path)}.{uuid.uuid4().hex[:12]}.partial{path.suffix}")

    @property
    def num_bytes(self) -> int:
        """Size of the file so far; 0 before it is begun."""
        return self.partial.stat().st_size if self.partial.is_file() else 0

    def keep(self) -> None:
        """Force the file to disk and move it to its place, over an older one."""
        _sync(self.partial)
        if self.partial.is_dir() and self.path.is_dir():
            self.path.rmdir()
        self.partial.replace(self.path)
        # The move itself must reach the disk too, before a caller removes what this file replaces.
        _sync(self.path.parent)

    def discard(self) -> None:
        """Remove what was written; an older file in its place stays."""
        remove(self.partial)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give the path to write to; the file moves to `path` at the end, and is removed on an error.

    Whatever stops the writing, an error, a kill or a power cut, `path` holds the older file or the whole new one.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder, atomic_write(Path(folder) / "boxes.txt") as partial:
        ...     _ = partial.write_text("120,80,64,96")

    Raises:
        InputError: The place cannot be written to, or the disk is full.
    """
    file = OutputFile(path)
    try:
        with named_write(path):
            yield file.partial
            file.keep()
    finally:
        file.discard()


@contextmanager
def atomic_folder(path: Path, purpose: str) -> Iterator[Path]:
    """Give a folder to write to; it moves to `path` at the end, and is removed on an error.

    Args:
        path: A folder that is new or empty.
        purpose: What it is for, as the error begins: "a folder of masks".

    Raises:
        InputError: There is something at `path` already, it cannot be written to, or the disk is full.
    """
    check_new_folder(path, purpose)
    folder = OutputFile(path)
    try:
        with named_write(path):
            folder.partial.mkdir(parents=True)
            yield folder.partial
            folder.keep()
    finally:
        folder.discard()


def check_new_folder(path: Path, purpose: str) -> None:
    """Check that a folder is new or empty, so that what lies there is never mixed with what comes.

    Raises:
        InputError: It is a file, or a folder that holds something.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{purpose} must be new or empty, {path} is not; give another")


def discard_leftovers(paths: Iterable[Path]) -> None:
    """Remove what killed processes left half written of these files; nobody may be writing them now."""
    wanted = {(path.parent, _partial_stem(path), path.suffix) for path in paths}
    for folder in {folder for folder, _, _ in wanted if folder.is_dir()}:
        for file in list(folder.iterdir()):
            found = _PARTIAL.fullmatch(file.name)
            if found and (folder, found["stem"], found["suffix"]) in wanted:
                remove(file)


def discard_all_leftovers(folder: Path) -> None:
    """Remove everything that killed processes left half written in a folder; nobody may be writing there now."""
    for file in list(folder.iterdir()):
        if _PARTIAL.fullmatch(file.name):
            remove(file)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that it holds; what is not there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError, NotADirectoryError):  # the second where its folder is a file
            path.unlink()


def _partial_stem(path: Path) -> str:
    """Return the stem of the partial file: the file's own, or its digest where the name would be too long."""
    longest = f".{path.stem}.{'0' * 12}.partial{path.suffix}"
    if len(os.fsencode(longest)) <= _LONGEST_NAME:
        return path.stem
    return hashlib.blake2b(os.fsencode(path.stem), digest_size=16).hexdigest()


@contextmanager
def named_write(path: Path) -> Iterator[None]:
    """Turn the system's error of a failed write into one that names the file.

    Raises:
        InputError: The place cannot be written to, or the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} must be written whole, got: {error.strerror or error}; nothing of it was kept"
        ) from error


def _sync(path: Path) -> None:
    """Force a file, or the names in a folder, to disk; some file systems cannot sync folders."""
    if os.name == "nt":  # Windows opens no folders, and syncs only what is open for writing.
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def check_output_path(path: Path, suffixes: Collection[str], purpose: str) -> None:
    """Check that a file of a known kind can be written there, before the work that fills it.

    Raises:
        InputError: Unknown suffix, no such folder, no right to write there, or a folder of that name.
    """
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{purpose} must end in {', '.join(suffixes)}, got {path.name!r}")
    num_bytes = len(os.fsencode(path.name))
    if num_bytes > _LONGEST_OUTPUT:
        raise InputError(
            f"{purpose} must have a name of at most {_LONGEST_OUTPUT} bytes, got {num_bytes}; choose a shorter one"
        )
    if path.is_dir():
        raise InputError(f"{purpose} must be a file, got the folder {path}; add a file name")
    if not path.parent.is_dir():
        raise InputError(f"{purpose} must lie in a folder that exists, got {path}; create {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise InputError(
            f"{purpose} must lie in a folder you may write to, got {path.parent}; choose another"
        )

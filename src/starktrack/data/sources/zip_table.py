"""Random access to the members of a zip file that may hold a hundred thousand frames.

The standard library keeps an object per member, about half a kilobyte each and a second to parse; over
the 70 zips of LaSOT that is gigabytes in every loader worker. Here a large zip's directory is parsed once,
kept as one sorted array in the cache folder, and mapped into memory: every process shares the same pages.
"""

import bisect
import bz2
import functools
import hashlib
import lzma
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from starktrack.data.cache import cache_folder, write_cache
from starktrack.errors import DatasetError

KEEP_FROM = 5000
"""Members from which a directory is worth a file in the cache; smaller ones parse in milliseconds."""

_LOCAL_HEADER = 30

_MOST_RATIO = 200
"""Bytes that one packed byte may become, beyond a few: text packs to a tenth, a bomb to a thousandth."""

_SMALL_BYTES = 16 * 2**20
_MOST_BYTES = 2**30
_LZMA_PIECE = 1024


class ZipTable:
    """The directory of one zip file; no file stays open, so it is safe across forks and threads."""

    def __init__(self, path: Path, rows: np.ndarray) -> None:
        self.path = path
        self._rows = rows
        self._names = rows["name"]

    def __len__(self) -> int:
        return len(self._rows)

    def has(self, name: str) -> bool:
        """Return whether a file of this full name is in the zip."""
        return self._find(name) is not None

    def read(self, name: str) -> bytes:
        """Return the content of one member.

        Raises:
            DatasetError: It is not there, damaged, encrypted or of an unknown compression.
        """
        row = self._row(name)
        try:
            with self.path.open("rb") as file:
                file.seek(int(row["offset"]))
                header = file.read(_LOCAL_HEADER)
                name_size, extra_size = struct.unpack_from("<HH", header, 26)
                file.seek(name_size + extra_size, os.SEEK_CUR)
                size = int(row["size"])
                if size > os.fstat(file.fileno()).st_size:
                    raise ValueError(f"it would have {size:,} bytes, more than the zip")
                content = file.read(size)
            content = _unpack(content, int(row["method"]), int(row["length"]))
        except (OSError, struct.error, zlib.error, lzma.LZMAError, ValueError) as error:
            raise DatasetError(f"{self.path}: {name} cannot be read: {error}") from error
        if zlib.crc32(content) != row["crc"]:
            raise DatasetError(f"{self.path}: {name} is damaged (its checksum differs); fetch the zip again")
        return content

    def fingerprint(self, name: str) -> str:
        """Return size and checksum of one member.

        Raises:
            DatasetError: It is not there.
        """
        row = self._row(name)
        return f"{row['size']} {row['crc']}"

    def names(self, prefix: str) -> list[str]:
        """Return full names of the members that start with `prefix`, sorted."""
        key = prefix.encode()
        first = bisect.bisect_left(self._names, key)
        last = bisect.bisect_left(self._names, key + b"\xff")
        return [name.decode() for name in self._names[first:last]]

    def _row(self, name: str) -> np.void:
        position = self._find(name)
        if position is None:
            raise DatasetError(f"{self.path} must hold {name}, which is missing")
        return self._rows[position]

    def _find(self, name: str) -> int | None:
        key = name.encode()
        position = bisect.bisect_left(self._names, key)
        return position if position < len(self) and self._names[position] == key else None


def open_zip(path: Path) -> ZipTable:
    """Return the directory of a zip file, from memory, from the cache folder, or parsed now.

    Raises:
        DatasetError: The file is missing or is not a zip.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    return _open_zip(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=512)
def _open_zip(path: Path, size: int, modified_ns: int) -> ZipTable:
    key = hashlib.sha256(f"{path.resolve()}|{size}|{modified_ns}|3".encode()).hexdigest()[:24]
    kept = cache_folder() / "zips" / f"{key}.npy"
    if kept.exists():
        return ZipTable(path, np.load(kept, mmap_mode="r"))
    rows = _parse(path)
    if len(rows) >= KEEP_FROM and write_cache(kept, lambda file: np.save(file, rows)):
        rows = np.load(kept, mmap_mode="r")
    return ZipTable(path, rows)


def _parse(path: Path) -> np.ndarray:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                each
                for each in archive.infolist()
                if each.filename and not each.is_dir() and not is_leftover(each.filename)
            ]
        names = [member.filename.encode() for member in members]
        width = max(map(len, names), default=1)
        fields = [
            ("name", f"S{width}"),
            ("offset", "<u8"),
            ("size", "<u8"),
            ("length", "<u8"),
            ("crc", "<u4"),
            ("method", "<u2"),
        ]
        rows = np.zeros(len(members), dtype=fields)
        rows["name"] = names
        rows["offset"] = [member.header_offset for member in members]
        rows["size"] = [member.compress_size for member in members]
        rows["length"] = [member.file_size for member in members]
        rows["crc"] = [member.CRC for member in members]
        rows["method"] = [member.compress_type for member in members]
    except (
        zipfile.BadZipFile,
        OSError,
        NotImplementedError,
        OverflowError,  # an offset before the file's beginning
        ValueError,  # names that are no text
        struct.error,
    ) as error:
        raise DatasetError(f"{path} is not a readable zip file: {error}; fetch it again") from error
    return rows[np.argsort(rows["name"], kind="stable")]


def is_leftover(path: str) -> bool:
    """Return whether a Mac left this behind when it packed or copied files: `__MACOSX/`, `._name`."""
    return any(part == "__MACOSX" or part.startswith("._") for part in path.split("/"))


def refuse_bomb(packed: int, length: int) -> None:
    """Check that so many packed bytes may become `length` bytes of memory.

    Raises:
        ValueError: So many that the zip is a bomb.
    """
    if length > max(_SMALL_BYTES, _MOST_RATIO * packed) or length > _MOST_BYTES:
        raise ValueError(f"{packed:,} bytes would unpack to {length:,}; repack it if it is meant so")


def _unpack(content: bytes, method: int, length: int) -> bytes:
    """Return what is packed in the content.

    Raises:
        ValueError: It unpacks to more than it declares, or to so much that it is a bomb.
    """
    refuse_bomb(len(content), length)
    if method == zipfile.ZIP_STORED:
        return content
    unpackers = {
        zipfile.ZIP_DEFLATED: zlib.decompressobj(-zlib.MAX_WBITS).decompress,
        zipfile.ZIP_BZIP2: bz2.BZ2Decompressor().decompress,
        zipfile.ZIP_LZMA: _unpacked_lzma,
    }
    if method not in unpackers:
        raise ValueError(f"compression method {method} is unknown; repack the files with plain zip")
    unpacked = unpackers[method](content, length + 1)  # one byte too many shows that there are more
    if len(unpacked) > length:
        raise ValueError(
            f"it unpacks to more than the {length:,} bytes that the zip declares; fetch the zip again"
        )
    return unpacked


def _unpacked_lzma(content: bytes, limit: int) -> bytes:
    # The one reader of ZIP's own LZMA header; the stubs leave it out. It has no limit, so it gets small pieces.
    packer = zipfile.LZMADecompressor()  # pyright: ignore[reportAttributeAccessIssue]
    parts, size = [], 0
    for start in range(0, len(content), _LZMA_PIECE):
        parts.append(packer.decompress(content[start : start + _LZMA_PIECE]))
        size += len(parts[-1])
        if size >= limit or packer.eof:
            break
    return b"".join(parts)

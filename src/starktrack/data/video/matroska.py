"""The declared length of a Matroska or WebM file; FFmpeg reports no error if such a file is cut short."""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO


def segment_is_cut(path: Path) -> bool:
    """Return whether the file is shorter than the size its segment declares.

    Source: RFC 8794 sections 4 and 6 (variable-size integers), RFC 9559 section 4.5 (head, then segment).
    """
    with path.open("rb") as file:
        file.seek(4)  # the name of the EBML head
        file.seek(_element_size(file) or 0, 1)
        file.seek(4, 1)  # the name of the segment
        size = _element_size(file)
        return size is not None and file.tell() + size > path.stat().st_size


def declared_seconds(metadata: Mapping[str, str]) -> float | None:
    """Return the length a track's `DURATION` tag declares (`00:01:02.500000000`), or None without one."""
    if "DURATION" not in metadata:
        return None
    hours, minutes, seconds = metadata["DURATION"].split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _element_size(file: BinaryIO) -> int | None:
    """Read a variable-size integer; None when all its bits are set, which means unknown."""
    first = file.read(1)[0]
    num_bytes = 9 - first.bit_length()
    value = int.from_bytes(bytes([first & (0xFF >> num_bytes)]) + file.read(num_bytes - 1))
    return None if value == (1 << 7 * num_bytes) - 1 else value

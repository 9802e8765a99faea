"""What a picture says of itself, read before anything is decoded: a file of 600 kB may ask for gigabytes."""

import io
import struct

from starktrack.data.video.container import MOST_PIXELS
from starktrack.errors import DatasetError

_PNG_START = b"\x89PNG\r\n\x1a\n"
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT = 256, 257
_TIFF_NUMBERS = {3: "H", 4: "I", 16: "Q"}
_MOST_PAGES = 100_000


def check_picture_header(content: bytes, name: str) -> None:
    """Check that a picture, and every page of a TIFF, has at most `MOST_PIXELS`, and a PNG whole parts.

    What is no picture at all is left to whoever decodes it.

    Raises:
        DatasetError: It has more, or a part of a PNG reaches beyond the end.

    Example:
        >>> check_picture_header(b"P5 100000 100000 255 ", "huge.pgm")
        Traceback (most recent call last):
            ...
        starktrack.errors.DatasetError: huge.pgm must have at most 67,108,864 pixels, got a larger picture; ...
    """
    if content.startswith(_PNG_START) and not _has_whole_chunks(content):
        raise DatasetError(
            f"{name} must be a whole image (png), got {len(content)} bytes and parts that reach beyond them; "
            "replace or remove the file"
        )
    if _num_pixels(content) > MOST_PIXELS:
        raise DatasetError(
            f"{name} must have at most {MOST_PIXELS:,} pixels, got a larger picture; scale it down or cut it"
        )


def _has_whole_chunks(content: bytes) -> bool:
    position = len(_PNG_START)
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        if kind == b"IEND":
            break
        position += 12 + length  # length, kind, what is in it, checksum
    return position < len(content)


def _num_pixels(content: bytes) -> int:
    """Return the pixels of the picture; 0 where nothing says how many."""
    import PIL.Image

    if content.startswith(_TIFF_STARTS):
        return _largest_page(content)
    if content.startswith(_PNG_START) and len(content) >= 24:
        width, height = struct.unpack_from(">II", content, 16)
        return width * height
    try:
        with PIL.Image.open(io.BytesIO(content)) as picture:
            return picture.width * picture.height
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning, MemoryError):
        return MOST_PIXELS + 1
    except (OSError, RuntimeError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, EOFError):
        return 0  # what Pillow says of files that it does not know, or that are damaged


def _largest_page(content: bytes) -> int:
    """Return the pixels of the largest page of a TIFF; of kinds that Pillow does not show as well.

    Source: TIFF 6.0 section 2, and BigTIFF, where offsets and counts have 8 bytes.
    """
    order = "<" if content.startswith(b"I") else ">"
    is_big = b"+" in content[:4]
    pointer, count_type, entry_type, entry_bytes = ("Q", "Q", "HHQ", 20) if is_big else ("I", "H", "HHI", 12)
    largest, seen = 0, set[int]()
    try:
        (offset,) = struct.unpack_from(order + pointer, content, 8 if is_big else 4)
        while offset and offset not in seen and len(seen) < _MOST_PAGES:
            seen.add(offset)
            (count,) = struct.unpack_from(order + count_type, content, offset)
            first = offset + struct.calcsize(count_type)
            sides = {_WIDTH: 0, _HEIGHT: 0}
            for place in range(first, first + count * entry_bytes, entry_bytes):
                tag, kind, _ = struct.unpack_from(order + entry_type, content, place)
                if tag in sides and kind in _TIFF_NUMBERS:
                    value_place = place + struct.calcsize("=" + entry_type)
                    (sides[tag],) = struct.unpack_from(order + _TIFF_NUMBERS[kind], content, value_place)
            largest = max(largest, sides[_WIDTH] * sides[_HEIGHT])
            (offset,) = struct.unpack_from(order + pointer, content, first + count * entry_bytes)
    except struct.error:  # the rest is missing
        pass
    return largest

"""The binary form of VOT result files, in which the toolkit has written since 0.6.

Little-endian: a version (2 bytes), the number of regions (4), and for each its kind (1) and content. Found by having
the toolkit 0.9.0 write regions of every kind.
"""

import struct

import numpy as np

from starktrack.data.formats.format_error import FormatError
from starktrack.data.formats.regions import Polygon, Rectangle, Region, Special, mask_of_runs

_CODE, _RECTANGLE, _POLYGON, _MASK = range(4)


def decode_regions(content: bytes) -> list[Region]:
    """Return the regions of a binary file.

    Raises:
        FormatError: The file is cut off, or of another kind.
    """
    try:
        _, count = struct.unpack_from("<HI", content)
        regions, position = [], struct.calcsize("<HI")
        for _ in range(count):
            region, position = _decode(content, position)
            regions.append(region)
    except (struct.error, ValueError) as error:
        raise FormatError(f"must be a whole binary result of the VOT toolkit, got: {error}") from error
    return regions


def _decode(content: bytes, position: int) -> tuple[Region, int]:
    (kind,), position = struct.unpack_from("<B", content, position), position + 1
    if kind == _CODE:
        return Special(*struct.unpack_from("<I", content, position)), position + 4
    if kind == _RECTANGLE:
        return Rectangle(np.array(struct.unpack_from("<4f", content, position))), position + 16
    if kind == _POLYGON:
        (count,) = struct.unpack_from("<H", content, position)
        points = np.array(struct.unpack_from(f"<{2 * count}f", content, position + 2))
        return Polygon(points.reshape(-1, 2)), position + 2 + 8 * count
    if kind == _MASK:
        # A long run is written as several, with runs of no pixels between them.
        x, y, width, height, count = struct.unpack_from("<2h3H", content, position)
        runs = struct.unpack_from(f"<{count}H", content, position + 10)
        return mask_of_runs(list(runs), (x, y), (width, height)), position + 10 + 2 * count
    raise ValueError(f"a region of kind {kind}")

"""Run lengths of masks as COCO has them: column by column over the whole frame, as numbers or packed in text.

Source: the COCO API's mask format, https://github.com/cocodataset/cocoapi (`common/maskApi.h`): each count is
the difference to the one two places before it, from the fourth on, in groups of five bits with a sign, lowest
first; the sixth bit says that more follow, and 48 is added to make a letter.
"""

import numpy as np
from jaxtyping import Bool

from starktrack.data.formats.coco_masks import unpack_runs
from starktrack.data.formats.regions import mask_of_runs, run_lengths
from starktrack.interchange.tracks import Mask
from starktrack.interchange.values import Value

LARGEST_SIDE = 100_000
LARGEST_AREA = 2**28


def mask_of_coco(value: Value) -> Mask | None:
    """Return the mask of `{"size": [height, width], "counts": ...}`, or None when it is empty.

    Raises:
        AnnotationError: Not of that form, or runs that do not fit the size.
    """
    height, width = (side.integer(1, LARGEST_SIDE) for side in value["size"].items(2))
    if height * width > LARGEST_AREA:
        raise value["size"].wrong(f"have at most {LARGEST_AREA:,} pixels")
    counts = value["counts"]
    runs = unpacked(counts) if isinstance(counts.raw, str) else [item.integer(0) for item in counts.items()]
    if sum(runs) != height * width or min(runs) < 0:
        raise counts.wrong(f"have runs of {height * width} pixels in all")
    # Columns first: the rows of the mask that is read are the columns of the frame.
    return Mask.of_pixels(mask_of_runs(runs, (0, 0), (height, width)).pixels.T)


def coco_of_mask(mask: Mask, size_hw: tuple[int, int]) -> dict[str, object]:
    """Return a mask as `{"size", "counts"}` with counts packed in text, as the COCO API writes them."""
    return {"size": list(size_hw), "counts": packed(run_lengths(mask.pixels(size_hw).T))}


def packed(runs: list[int]) -> str:
    """Return runs packed in text."""
    letters = []
    for index, run in enumerate(runs):
        rest = run - runs[index - 2] if index > 2 else run
        more = True
        while more:
            group, rest = rest & 31, rest >> 5
            more = rest != (-1 if group & 16 else 0)
            letters.append(chr((group | 32 if more else group) + 48))
    return "".join(letters)


def unpacked(counts: Value) -> list[int]:
    """Return the runs that a text packs.

    Raises:
        AnnotationError: A letter that none of them may be, or a text that is cut off.
    """
    try:
        return unpack_runs(counts.text())
    except ValueError as error:
        raise counts.wrong("be run lengths packed in text, whole ones") from error


def filled(polygons_xy: list[list[tuple[float, float]]]) -> Mask | None:
    """Return the pixels whose centres lie in an odd number of polygons."""
    points = np.concatenate([np.array(each) for each in polygons_xy])
    low = np.clip(np.floor(points.min(axis=0)), -LARGEST_SIDE, LARGEST_SIDE).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)), low, low + 2**14).astype(int)
    width, height = (high - low).tolist()
    pixels = np.zeros((height, width), bool)
    for polygon in polygons_xy:
        pixels ^= _inside(np.array(polygon) - low, height, width)
    return Mask.of_pixels(pixels, (int(low[0]), int(low[1])))


def _inside(points: np.ndarray, height: int, width: int) -> Bool[np.ndarray, "height width"]:
    crossings = np.zeros((height, width + 1), np.int64)
    rows = np.arange(height) + 0.5
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        crossed = np.flatnonzero((rows >= min(y1, y2)) & (rows < max(y1, y2)))
        where = x1 + (rows[crossed] - y1) * (x2 - x1) / (y2 - y1 if y1 != y2 else 1)
        # Every pixel whose centre lies right of the edge changes sides.
        np.add.at(crossings, (crossed, np.clip(np.ceil(where - 0.5), 0, width).astype(int)), 1)
    return crossings.cumsum(axis=1)[:, :-1] % 2 == 1

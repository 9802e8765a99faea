"""Need for Speed: 100 sequences at 30 or 240 frames per second, as published or re-packed.

Published: `<seq>/30/<seq>.txt` of VATIC lines `id x1 y1 x2 y2 lost occluded generated "label"` (or with a frame
number before `lost`), the 30 fps text often still with all 240 rows a second, of which every eighth counts.
Re-packed: `sequences/<seq>` and `anno/nfs_<seq>.txt` of x,y,w,h at 30 fps. The two end at different frames for
some sequences.

Source: Kiani Galoogahi et al., Need for Speed, ICCV 2017.
"""

import re

import numpy as np
from jaxtyping import Bool

from starktrack.arrays import Boxes
from starktrack.data.formats.format_error import named_errors
from starktrack.data.formats.number_text import parse_table
from starktrack.data.sources.dataset import Entry, Found, Reader, select, video_spec
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import (
    MissingFrames,
    NumberedFrames,
    all_frames,
    find_frames,
)
from starktrack.data.sources.lists import read_words
from starktrack.data.sources.tables import has_area, read_boxes
from starktrack.data.video_sequence import BenchmarkInfo, VideoSequence
from starktrack.errors import DatasetError
from starktrack.geometry.boxes import xyxy_to_xywh

_RATIO = 240 // 30
_PACKED_PREFIX = "nfs_"
_NUM_COLUMNS = 8


def _find(root: Folder, split: str) -> Found:
    names = read_words("nfs")
    rate = split.removesuffix("fps")
    published = root.folders()
    folders = {n: published[n].unwrapped(n).below(rate) for n in names if n in published}
    entries = {n: Entry(n, folder.below(n), folder, f"{n}.txt") for n, folder in folders.items()}
    if rate == "30":
        entries |= _packed(root, names)
    return select(names, entries)


def _packed(root: Folder, names: list[str]) -> dict[str, Entry]:
    videos, labels = root.below("sequences").folders(), root.below("anno")
    files = set(labels.files())
    return {
        name: Entry(name, videos[name].unwrapped(name), labels, f"{_PACKED_PREFIX}{name}.txt")
        for name in names
        if name in videos and f"{_PACKED_PREFIX}{name}.txt" in files
    }


def _read(entry: Entry) -> VideoSequence:
    if entry.annotation.startswith(_PACKED_PREFIX):
        boxes = read_boxes(entry.labels, entry.annotation)
        frames = find_frames(entry.frames, 1, len(boxes), digits=(5,))
        return VideoSequence(entry.name, frames, boxes, has_area(boxes))
    return _read_published(entry)


def _read_published(entry: Entry) -> VideoSequence:
    label = entry.labels.label(entry.annotation)
    boxes, lost = _read_rows(entry)
    if not entry.frames.files():
        missing = MissingFrames(entry.frames.label("00001.jpg"), len(boxes))
        # Only the frames say which rows count.
        info = BenchmarkInfo(rows_per_frame=_RATIO if str(entry.labels).endswith("/30") else 1)
        return VideoSequence(entry.name, missing, boxes, has_area(boxes) & ~lost, benchmark=info)
    frames = all_frames(entry.frames)
    if not isinstance(frames, NumberedFrames):
        raise DatasetError(f"{entry.frames} must hold frames numbered without gaps")
    rows = rows_of_frames(len(boxes), len(frames), _RATIO)
    if rows is None:
        raise DatasetError(
            f"{label} must have a row per frame, got {len(boxes)} rows for {len(frames)} frames"
        )
    boxes, lost = boxes[rows], lost[rows]
    numbered = NumberedFrames(frames.folder, frames.pattern, frames.first, len(boxes))
    return VideoSequence(entry.name, numbered, boxes, has_area(boxes) & ~lost)


def _read_rows(entry: Entry) -> tuple[Boxes, Bool[np.ndarray, " num_rows"]]:
    """Return boxes and where the target is lost; a column of frame numbers may stand before the flags."""
    text = re.sub(r'"[^"]*"', "", entry.labels.read_text(entry.annotation))
    has_numbers = len(text.partition("\n")[0].split()) > _NUM_COLUMNS
    with named_errors(entry.labels.label(entry.annotation), DatasetError):
        rows = parse_table(text, _NUM_COLUMNS)
    return xyxy_to_xywh(rows[:, 1:5]), rows[:, 6 if has_numbers else 5] != 0


def rows_of_frames(num_rows: int, num_frames: int, ratio: int) -> slice | None:
    """Return which rows belong to the frames: every `ratio`-th or all, one too many or too few allowed.

    Returns:
        None where they do not fit.
    """
    step = ratio if abs(num_rows / num_frames - ratio) < 1 else 1
    count = len(range(0, num_rows, step))
    return slice(0, min(count, num_frames) * step, step) if abs(count - num_frames) <= 1 else None


NFS = video_spec("nfs", "Need for Speed", ("30fps", "240fps"), _find, Reader(_read))

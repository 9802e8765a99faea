"""Need for Speed: 100 sequences at 30 or 240 frames per second, as published or re-packed.

Published: `<seq>/30/<seq>.txt` of VATIC lines `id x1 y1 x2 y2 lost occluded generated "label"`, the 30 fps
text often still with all 240 rows a second, of which every eighth counts. Re-packed: `sequences/<seq>` and
`anno/nfs_<seq>.txt` of x,y,w,h at 30 fps. The two end at different frames for some sequences.

Source: Kiani Galoogahi et al., Need for Speed, ICCV 2017.
"""

import re

from starktrack.data.sequence import Sequence
from starktrack.data.sources.dataset import Entry, Found, Reader, select, video_source
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import NumberedFrames, all_frames, find_frames
from starktrack.data.sources.lists import read_words
from starktrack.data.sources.tables import has_area, parse_table, read_boxes
from starktrack.errors import DatasetError
from starktrack.geometry.boxes import xyxy_to_xywh

_RATIO = 240 // 30
_PACKED_PREFIX = "nfs_"


def _find(root: Folder, split: str) -> Found:
    names = read_words("nfs")
    rate = split.removesuffix("fps")
    published = root.folders()
    entries = {
        name: _published(name, published[name].unwrapped(name).below(rate))
        for name in names
        if name in published
    }
    if rate == "30":
        entries |= _packed(root, names)
    return select(names, entries)


def _published(name: str, folder: Folder) -> Entry:
    return Entry(name, folder.below(name), folder, f"{name}.txt")


def _packed(root: Folder, names: list[str]) -> dict[str, Entry]:
    videos, labels = root.below("sequences").folders(), root.below("anno")
    files = set(labels.files())
    return {
        name: Entry(name, videos[name].unwrapped(name), labels, f"{_PACKED_PREFIX}{name}.txt")
        for name in names
        if name in videos and f"{_PACKED_PREFIX}{name}.txt" in files
    }


def _read(entry: Entry) -> Sequence:
    if entry.annotation.startswith(_PACKED_PREFIX):
        boxes = read_boxes(entry.labels, entry.annotation)
        frames = find_frames(entry.frames, 1, len(boxes), digits=(5,))
        return Sequence(entry.name, frames, boxes, has_area(boxes))
    return _read_published(entry)


def _read_published(entry: Entry) -> Sequence:
    text = re.sub(r'"[^"]*"', "", entry.labels.read_text(entry.annotation))
    label = entry.labels.label(entry.annotation)
    rows = parse_table(text, 6, label)
    frames = all_frames(entry.frames)
    if not isinstance(frames, NumberedFrames):
        raise DatasetError(f"{entry.frames} must hold frames numbered without gaps")
    if abs(len(rows) / len(frames) - _RATIO) < 1:
        rows = rows[::_RATIO]
    count = min(len(rows), len(frames))
    if max(len(rows), len(frames)) - count > 1:
        raise DatasetError(
            f"{label} must have a row per frame, got {len(rows)} rows for {len(frames)} frames"
        )
    boxes = xyxy_to_xywh(rows[:count, 1:5])
    visible = has_area(boxes) & (rows[:count, 5] == 0)
    return Sequence(
        entry.name, NumberedFrames(frames.folder, frames.pattern, frames.first, count), boxes, visible
    )


NFS = video_source("nfs", "Need for Speed", ("30fps", "240fps"), _find, Reader(_read))

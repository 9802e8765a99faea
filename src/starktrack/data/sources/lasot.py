"""LaSOT: nested by class, flat, or one zip per class; also its toolkit's folder of annotations alone.

Convention: boxes are used as published (whole numbers, MATLAB's 1-based corner), as every toolkit does. A
target is visible when it is neither fully occluded nor out of view and its box has an area.

Source: Fan et al., LaSOT, CVPR 2019.
"""

import re

import numpy as np
from jaxtyping import Bool

from starktrack.data.sources.dataset import Entry, Found, Reader, select, video_spec
from starktrack.data.sources.folders import Folder, find_folders
from starktrack.data.sources.frames_on_disk import find_frames
from starktrack.data.sources.lists import read_words
from starktrack.data.sources.tables import has_area, read_boxes, read_flags
from starktrack.data.video_sequence import VideoSequence

_SEQUENCE = re.compile(r"[a-z]+-\d+")
_PER_CLASS = 20


def split_names(split: str) -> list[str]:
    """Return the published names of `test` (280), `train` (the other 1,120) or `all`, by class and number."""
    test = set(read_words("lasot_test"))
    classes = sorted({name.rsplit("-", 1)[0] for name in test})
    names = [f"{kind}-{number}" for kind in classes for number in range(1, _PER_CLASS + 1)]
    return [name for name in names if split == "all" or (name in test) == (split == "test")]


def _find(root: Folder, split: str) -> Found:
    annotations = root.folder("annos") or root
    wanted = split_names(split)
    if annotations.folder("absent") is not None:
        files = set(annotations.files())
        frames = annotations.below("img")
        alone = {n: Entry(n, frames, annotations, f"{n}.txt") for n in wanted if f"{n}.txt" in files}
        return select(wanted, alone)
    folders = {name: folder.unwrapped(name) for name, folder in find_folders(root, _SEQUENCE).items()}
    return select(
        wanted,
        {name: Entry(name, each.below("img"), each, "groundtruth.txt") for name, each in folders.items()},
    )


def _read(entry: Entry) -> VideoSequence:
    boxes = read_boxes(entry.labels, entry.annotation)
    frames = find_frames(entry.frames, 1, len(boxes), digits=(8,))
    absent = _absent(entry, len(boxes))
    kind = entry.name.rsplit("-", 1)[0]
    visible = has_area(boxes) & ~absent
    return VideoSequence(entry.name, frames, boxes, visible, kind, flagged_absent=absent)


def _absent(entry: Entry, count: int) -> Bool[np.ndarray, " {count}"]:
    if entry.annotation != "groundtruth.txt":
        return read_flags(entry.labels, f"absent/{entry.annotation}", count) != 0
    occluded = read_flags(entry.labels, "full_occlusion.txt", count)
    return (occluded != 0) | (read_flags(entry.labels, "out_of_view.txt", count) != 0)


LASOT = video_spec("lasot", "LaSOT", ("train", "test", "all"), _find, Reader(_read))

"""Temple-Color 128: 128 videos with 129 targets, and its 78 `_ce` sequences that are not in OTB.

Convention: boxes as published. `<seq>_frames.txt` says which frames are annotated.

Source: Liang, Blasch and Ling, Encoding Color Information for Visual Tracking, TIP 2015.
"""

import re

from starktrack.data.sources.dataset import Entry, Found, Reader, select, video_spec
from starktrack.data.sources.folders import Folder, find_folders
from starktrack.data.sources.frames_on_disk import find_frames
from starktrack.data.sources.lists import read_words
from starktrack.data.sources.tables import has_area, read_boxes, read_table
from starktrack.data.video_sequence import VideoSequence


def _find(root: Folder, split: str) -> Found:
    names = [name for name in read_words("tc128") if split == "all" or "_ce" in name]
    found = find_folders(root, re.compile("|".join(map(re.escape, names))), depth=2)
    folders = {name: folder.unwrapped(name) for name, folder in found.items()}
    return select(names, {n: Entry(n, each.below("img"), each, f"{n}_gt.txt") for n, each in folders.items()})


def _read(entry: Entry) -> VideoSequence:
    boxes = read_boxes(entry.labels, entry.annotation)
    first = int(read_table(entry.labels, f"{entry.name}_frames.txt", 2)[0, 0])
    frames = find_frames(entry.frames, first, len(boxes), digits=(4, 5))
    return VideoSequence(entry.name, frames, boxes, has_area(boxes))


TC128 = video_spec("tc128", "Temple-Color 128", ("all", "ce"), _find, Reader(_read))

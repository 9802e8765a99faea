"""OTB100: 100 targets in 98 folders, with the frame ranges and double targets of the benchmark.

Convention: boxes as published (MATLAB, 1-based corner), as every toolkit uses them. Tiger1 starts at its
sixth frame, as in the toolkits of the paper's authors.

Source: Wu, Lim and Yang, Object Tracking Benchmark, TPAMI 2015.
"""

import re

from starktrack.data.sources.dataset import Entry, Found, Reader, select, video_spec
from starktrack.data.sources.folders import Folder, find_folders
from starktrack.data.sources.frames_on_disk import find_frames
from starktrack.data.sources.lists import read_rows
from starktrack.data.sources.tables import has_area, read_boxes
from starktrack.data.video_sequence import BenchmarkInfo, VideoSequence


def _find(root: Folder, split: str) -> Found:
    rows = read_rows("otb100")
    pattern = re.compile("|".join(sorted({folder for _, folder, *_ in rows})))
    folders = {name: folder.unwrapped(name) for name, folder in find_folders(root, pattern, depth=2).items()}
    entries = {
        name: Entry(name, folders[folder].below("img"), folders[folder], annotation, int(first), int(skip))
        for name, folder, annotation, first, skip in rows
        if folder in folders and folders[folder].has(annotation)
    }
    return select([row[0] for row in rows], entries)


def _read(entry: Entry) -> VideoSequence:
    rows = read_boxes(entry.labels, entry.annotation)
    boxes = rows[entry.skip :]
    # Board's numbers have five digits, all others four.
    frames = find_frames(entry.frames, entry.first + entry.skip, len(boxes), digits=(4, 5))
    info = BenchmarkInfo(left_out_xywh=rows[: entry.skip])
    return VideoSequence(entry.name, frames, boxes, has_area(boxes), benchmark=info)


OTB = video_spec("otb", "OTB100", ("test",), _find, Reader(_read))

"""UAV123: 123 sequences in 91 videos; a part of a video is a sequence with its own annotation.

Convention: boxes as published (MATLAB, 1-based corner); NaN where the target is absent.

Source: Mueller, Smith and Ghanem, A Benchmark and Simulator for UAV Tracking, ECCV 2016.
"""

from starktrack.data.sources.dataset import Entry, Found, Reader, select, video_spec
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import find_frames
from starktrack.data.sources.lists import read_rows
from starktrack.data.sources.tables import has_area, read_boxes
from starktrack.data.video_sequence import VideoSequence


def _find(root: Folder, split: str) -> Found:
    base = root.folder("UAV123") or root
    videos, labels = base.below("data_seq").below("UAV123"), base.below("anno").below("UAV123")
    folders, annotations = videos.folders(), set(labels.files())
    rows = read_rows("uav123")
    entries = {
        name: Entry(name, folders[video].unwrapped(video), labels, f"{name}.txt", int(first))
        for name, video, first, _ in rows
        if video in folders and f"{name}.txt" in annotations
    }
    return select([row[0] for row in rows], entries)


def _read(entry: Entry) -> VideoSequence:
    boxes = read_boxes(entry.labels, entry.annotation)
    frames = find_frames(entry.frames, entry.first, len(boxes), digits=(6,))
    return VideoSequence(entry.name, frames, boxes, has_area(boxes))


UAV123 = video_spec("uav123", "UAV123", ("test",), _find, Reader(_read))

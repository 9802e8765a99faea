"""TrackingNet: twelve training chunks and a test set, frames unpacked or in one zip per sequence.

Convention: boxes as published; frame names are numbers from 0 without padding. There are no visibility flags:
a target is visible where its box has an area. The test set shows its first box only.

Source: Müller et al., TrackingNet, ECCV 2018.
"""

from starktrack.data.sources.dataset import Entry, Found, Reader, video_spec
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import find_frames
from starktrack.data.sources.got10k import first_box_only
from starktrack.data.sources.tables import has_area, read_boxes
from starktrack.data.video_sequence import VideoSequence

NUM_CHUNKS = 12
SPLITS = {
    "train": [f"TRAIN_{chunk}" for chunk in range(NUM_CHUNKS)],
    "train0-3": [f"TRAIN_{chunk}" for chunk in range(4)],
    "test": ["TEST"],
    **{f"train{chunk}": [f"TRAIN_{chunk}"] for chunk in range(NUM_CHUNKS)},
}


def _find(root: Folder, split: str) -> Found:
    chunks = {name.upper(): folder.unwrapped(name) for name, folder in root.folders().items()}
    entries: list[Entry] = []
    missing: list[str] = []
    for chunk in SPLITS[split]:
        if chunk not in chunks or chunks[chunk].folder("anno") is None:
            missing.append(chunk)
            continue
        found = _find_in_chunk(chunks[chunk])
        entries += found.entries
        missing += found.missing
    return Found(tuple(entries), tuple(missing))


def _find_in_chunk(chunk: Folder) -> Found:
    labels = chunk.below("anno")
    frames = chunk.below("zips").folders() | chunk.below("frames").folders()
    names = [name[:-4] for name in labels.files() if name.endswith(".txt")]
    return Found(
        tuple(Entry(name, frames[name], labels, f"{name}.txt", first=0) for name in names if name in frames),
        tuple(name for name in names if name not in frames),
    )


def _read(entry: Entry) -> VideoSequence:
    boxes = read_boxes(entry.labels, entry.annotation)
    folder = entry.frames.unwrapped(entry.name)
    if len(boxes) == 1:
        return first_box_only(entry, boxes)
    frames = find_frames(folder, 0, len(boxes), digits=(1,))
    # A name is that of the video on the web, and a number: several targets may be of one video.
    video = entry.name.rpartition("_")[0] or entry.name
    return VideoSequence(entry.name, frames, boxes, has_area(boxes), videos=frozenset((video,)))


TRACKINGNET = video_spec("trackingnet", "TrackingNet", tuple(SPLITS), _find, Reader(_read))

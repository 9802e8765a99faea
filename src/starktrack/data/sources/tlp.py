"""TLP and TinyTLP: long videos whose annotation has lines `frame,x,y,w,h,lost`.

Convention: boxes as published (0-based); a target is visible where it is not flagged lost.

Source: Moudgil and Gandhi, Long-Term Visual Object Tracking Benchmark, ACCV 2018.
"""

from starktrack.data.sources.dataset import Entry, Found, Reader, video_spec
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import find_frames
from starktrack.data.sources.tables import has_area, read_table
from starktrack.data.video_sequence import VideoSequence

_GROUND_TRUTH = "groundtruth_rect.txt"
_COLUMNS = 6


def _find(root: Folder, split: str) -> Found:
    folders = {name: folder.unwrapped(name) for name, folder in root.folders().items()}
    return Found(
        tuple(
            Entry(name, folder.below("img"), folder, _GROUND_TRUTH)
            for name, folder in folders.items()
            # OTB has the same names of files, but four numbers a line.
            if folder.has(_GROUND_TRUTH)
            and folder.read_text(_GROUND_TRUTH).partition("\n")[0].count(",") == _COLUMNS - 1
        ),
        (),
    )


def _read(entry: Entry) -> VideoSequence:
    table = read_table(entry.labels, entry.annotation, _COLUMNS)
    boxes = table[:, 1:5].copy()
    frames = find_frames(entry.frames, int(table[0, 0]), len(boxes), digits=(5,))
    lost = table[:, 5] != 0
    return VideoSequence(entry.name, frames, boxes, has_area(boxes) & ~lost, flagged_absent=lost)


TLP = video_spec("tlp", "TLP or TinyTLP", ("test",), _find, Reader(_read))

"""Boxes in files of one's own, without a data set's lists and rules; frames are not looked for.

Understood: `<seq>.txt`, `<seq>/groundtruth.txt`, `<seq>/groundtruth_rect.txt` (`.1.txt` … where a video has several
targets, which become `<seq>_1` …), at any depth. Lines hold x,y,w,h, or four corners: the box around them. The
labels of GOT-10k are read where they lie beside the boxes.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from starktrack.data.formats.format_error import named_errors
from starktrack.data.formats.number_text import parse_boxes, parse_table
from starktrack.data.sources.dataset import Entry, Found, Reader, video_spec
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import MissingFrames
from starktrack.data.sources.got10k import labelled
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import DatasetError

PICTURE_FOLDERS = frozenset({"img", "imgs", "color", "frames", "zips", "JPEGImages"})
"""Not searched for text: a benchmark keeps up to millions of pictures there."""

_ASIDE = frozenset({"absent", "att", "attrs", "nlp", "absence", "occlusion"})
_NOT_SEQUENCES = frozenset({"list", "readme", "full_occlusion", "out_of_view", "nlp", "attributes"})
_DEPTH = 5


def find_boxes(root: Folder, split: str, left_out: frozenset[Path] = frozenset()) -> Found:
    """Return the files of boxes below a folder, without those at or below some places."""
    found: dict[str, Entry] = {}
    for name, folder, file in _files(root, str(root).rpartition("/")[2].removesuffix(".zip"), _DEPTH):
        path = folder.path / file
        if not left_out.isdisjoint((path, *path.parents)):
            continue
        entry = Entry(name, folder.below(name), folder, file)
        if found.setdefault(name, entry) is not entry:
            places = f"{found[name].labels.label(found[name].annotation)} and {folder.label(file)}"
            raise DatasetError(
                f"{root} must hold each sequence once, got {name} in {places}; name the folder of one data set"
            )
    return Found(tuple(found[name] for name in sorted(found)), ())


def _files(folder: Folder, own_name: str, depth: int) -> Iterator[tuple[str, Folder, str]]:
    for file in folder.files():
        if name := _sequence_name(file, own_name):
            yield name, folder, file
    for name, inner in folder.folders().items() if depth else ():
        if name not in PICTURE_FOLDERS | _ASIDE:
            yield from _files(inner, name, depth - 1)


def _sequence_name(file: str, folder: str) -> str | None:
    if match := re.fullmatch(r"groundtruth(?:_rect)?(?:\.(\d+))?\.txt", file):
        return folder + (f"_{match[1]}" if match[1] else "")
    stem, dot, ending = file.rpartition(".")
    return stem if dot and ending == "txt" and stem.lower() not in _NOT_SEQUENCES else None


def read_boxes(entry: Entry) -> VideoSequence:
    """Return the sequence of a file of boxes."""
    text, label = entry.labels.read_text(entry.annotation), entry.labels.label(entry.annotation)
    with named_errors(label, DatasetError):
        if text.partition("\n")[0].count(",") == 7:
            corners = parse_table(text, 8).reshape(-1, 4, 2)
            first = corners.min(axis=1)
            boxes = np.concatenate([first, corners.max(axis=1) - first], axis=1)
        else:
            boxes = parse_boxes(text)
    return labelled(entry, boxes, MissingFrames(f"the pictures of {entry.name}", len(boxes)))


PLAIN = video_spec("custom", "boxes of one's own", ("all",), find_boxes, Reader(read_boxes))

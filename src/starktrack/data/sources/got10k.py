"""GOT-10k, and your own videos in its layout.

Convention: boxes are 0-based as published; a target is visible when it is not flagged absent and its cover is
above 0. A split file's numbers count the sequences of the training set from 0.

Source: Huang et al., GOT-10k, TPAMI 2019. The 1,000 sequences that VOT forbids, and the 7,086 / 1,249 that
`vottrain` / `votval` leave, are the published lists.
"""

import configparser
import re

import numpy as np
from jaxtyping import Float

from starktrack.data.sources.dataset import Entry, Found, Reader, select, video_spec
from starktrack.data.sources.folders import Folder, find_folders
from starktrack.data.sources.frames_on_disk import (
    EXTENSIONS,
    MissingFrames,
    NamedFrames,
    NumberedFrames,
    all_frames,
    find_frames,
)
from starktrack.data.sources.lists import read_words
from starktrack.data.sources.tables import has_area, read_boxes, read_flags
from starktrack.data.video_sequence import BenchmarkInfo, FrameSource, VideoSequence
from starktrack.errors import DatasetError

NUM_TRAIN = 9335
NUM_VAL = 180

_SEQUENCE = re.compile(r"GOT-10k_(Train|Val|Test)_\d{6}")
_GROUND_TRUTH = "groundtruth.txt"


def split_names(split: str) -> list[str]:
    """Return the published names of a split's sequences.

    `train` has all 9,335; `ltrtrain` and `ltrval` divide it into 7,934 and 1,401; `vottrain` and `votval` are
    what the published lists leave of these for VOT (7,086 and 1,249); `vot_allowed` is all 9,335 without the
    1,000 forbidden names.

    Convention: the published lists leave out the numbers in the forbidden names, but a list's numbers
    count from 0 and names from 1: the sequence after each forbidden one was left out, and most forbidden ones
    stayed. They are kept as published, for parity; `vot_allowed` is what VOT's rule asks for.
    """
    if split in ("val", "test"):
        return [f"GOT-10k_{split.title()}_{number:06d}" for number in range(1, NUM_VAL + 1)]
    return [f"GOT-10k_Train_{number + 1:06d}" for number in _train_numbers(split)]


def _train_numbers(split: str) -> list[int]:
    held_out = set(map(int, read_words("got10k_ltrval")))
    forbidden = set(map(int, read_words("got10k_vot_forbidden")))
    keep = {
        "train": lambda number: True,
        "ltrtrain": lambda number: number not in held_out,
        "ltrval": lambda number: number in held_out,
        "vottrain": lambda number: number not in held_out and number not in forbidden,
        "votval": lambda number: number in held_out and number not in forbidden,
        "vot_allowed": lambda number: number + 1 not in forbidden,
    }[split]
    return [number for number in range(NUM_TRAIN) if keep(number)]


def _find(root: Folder, split: str) -> Found:
    folders = find_folders(root, _SEQUENCE)
    return select(split_names(split), {name: _entry(name, folder) for name, folder in folders.items()})


def _find_own(root: Folder, split: str) -> Found:
    base = root if split == "all" else root.folder(split)
    if base is None:
        raise DatasetError(f"{root} has no folder {split}; the split of one's own videos is a folder, or all")
    folders = {name: folder.unwrapped(name) for name, folder in base.folders().items()}
    if base.has("list.txt"):
        wanted = base.read_text("list.txt").split("\n")
        wanted = [line.strip() for line in wanted if line.strip()]
    else:
        wanted = [name for name, folder in folders.items() if folder.has(_GROUND_TRUTH)]
    return select(wanted, {name: _entry(name, folder) for name, folder in folders.items()})


def _own_folders(root: Folder) -> list[str]:
    return [name for name, folder in root.folders().items() if folder.has("list.txt")]


def _entry(name: str, folder: Folder) -> Entry:
    folder = folder.unwrapped(name)
    return Entry(name, folder, folder, _GROUND_TRUTH)


def _read(entry: Entry) -> VideoSequence:
    boxes = read_boxes(entry.labels, entry.annotation)
    if len(boxes) == 1:
        return first_box_only(entry, boxes)
    return labelled(entry, boxes, find_frames(entry.frames, 1, len(boxes), digits=(8,)))


def _read_own(entry: Entry) -> VideoSequence:
    boxes = read_boxes(entry.labels, entry.annotation)
    frames = _pictures(entry.frames, len(boxes))
    if len(boxes) == 1 and len(frames) > 1:
        return first_box_only(entry, boxes)
    if len(frames) != len(boxes):
        raise DatasetError(
            f"{entry.labels.label(entry.annotation)} must hold a box for each frame: "
            f"{len(boxes)} boxes, {len(frames)} pictures; write 0,0,0,0 where there is no target"
        )
    return labelled(entry, boxes, frames)


def _frame_marks(sequence: VideoSequence) -> frozenset[str]:
    """Return a fingerprint of each frame: your own videos may have several targets in the same frames."""
    frames = sequence.frames
    assert isinstance(frames, NumberedFrames | NamedFrames)
    return frozenset(frames.folder.fingerprint(frames.name(index)) for index in range(len(frames)))


def first_box_only(entry: Entry, boxes: Float[np.ndarray, "1 4"]) -> VideoSequence:
    """Return a sequence of a test set, which has its first box only; its frames give the length."""
    return VideoSequence(entry.name, _pictures(entry.frames.unwrapped(entry.name), 1), boxes, has_area(boxes))


def _pictures(folder: Folder, num_boxes: int) -> FrameSource:
    if any(name.endswith(EXTENSIONS) for name in folder.files()):
        return all_frames(folder)
    return MissingFrames(folder.label("00000001.jpg"), num_boxes)


def labelled(entry: Entry, boxes: Float[np.ndarray, "num_frames 4"], frames: FrameSource) -> VideoSequence:
    """Return a sequence with the labels beside its boxes.

    Convention: a target is visible where it is not flagged absent and its cover is above 0; who scores goes by
    the cover alone, as GOT-10k's toolkit, and by the flags only where there is no cover.
    """
    labels, count = entry.labels, len(boxes)
    flags = [np.zeros(count, bool)]
    if labels.has("absence.label"):
        flags.append(read_flags(labels, "absence.label", count) != 0)
    if labels.has("cover.label"):
        flags.append(read_flags(labels, "cover.label", count) == 0)
    visible = has_area(boxes) & ~np.logical_or.reduce(flags)
    absent = flags[-1] if len(flags) > 1 else None
    meta = _meta(labels)
    numbers = re.findall(r"\d+", meta.get("resolution", ""))
    info = BenchmarkInfo((int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else None)
    return VideoSequence(
        entry.name,
        frames,
        boxes,
        visible,
        meta.get("object_class"),
        flagged_absent=absent,
        benchmark=info,
    )


def _meta(labels: Folder) -> dict[str, str]:
    """Return `meta_info.ini` by key: its lines were not always in the same order."""
    if not labels.has("meta_info.ini"):
        return {}
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(labels.read_text("meta_info.ini"))
        return {key: value or "" for key, value in parser["METAINFO"].items()}
    except (configparser.Error, KeyError) as error:
        raise DatasetError(f"{labels.label('meta_info.ini')} must hold [METAINFO]: {error}") from error


SPLITS = ("train", "vottrain", "votval", "vot_allowed", "ltrtrain", "ltrval", "val", "test")
GOT10K = video_spec("got10k", "GOT-10k", SPLITS, _find, Reader(_read))
VIDEOS = video_spec(
    "videos",
    "one's own videos in the GOT-10k layout",
    ("all", "*"),
    _find_own,
    Reader(_read_own, marks=_frame_marks),
    _own_folders,
)

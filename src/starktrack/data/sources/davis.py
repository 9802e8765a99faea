"""DAVIS 2016 and 2017 at 480p: boxes are computed from masks; each object of a video is a sequence.

Convention: boxes are 0-based and tight: x of the first pixel column, w the number of columns. The objects of
a video are those of its first mask; an object is visible where its mask has a pixel.

Source: Perazzi et al., CVPR 2016; Pont-Tuset et al., 2017.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from starktrack.data.sources.dataset import Entry, Found, Reader, select, video_spec
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import (
    MissingFrames,
    NamedFrames,
    NumberedFrames,
    all_frames,
    read_labels,
)
from starktrack.data.sources.tables import has_area
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import DatasetError
from starktrack.geometry.boxes import box_of_mask

_IGNORED = 255
"""In a mask with several labels, 255 marks pixels of no object."""


@dataclass(frozen=True)
class LabelMasks:
    """Masks of one object from pictures of labels; `label` None takes every pixel that is not 0."""

    labels: NumberedFrames | NamedFrames
    label: int | None

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> Bool[np.ndarray, "height width"]:
        """Return the mask of frame `index`, True on the object."""
        labels = read_labels(self.labels.folder, self.labels.name(index))
        return labels > 0 if self.label is None else labels == self.label


def _find(root: Folder, split: str) -> Found:
    frames, masks = root.folder("JPEGImages/480p"), root.folder("Annotations/480p")
    if masks is None:
        raise DatasetError(f"{root} must hold Annotations/480p to be DAVIS; it is missing")
    # Masks alone can be scored; with pictures of some videos, only these videos are taken.
    pictures = masks.folders() if frames is None else frames.folders()
    videos = {name: folder for name, folder in masks.folders().items() if name in pictures}
    year, _, part = split.rpartition("/")
    listed = f"ImageSets/{year or '2017'}/{part}.txt"
    wanted = sorted(pictures) if split == "all" else root.read_text(listed).split()
    place = frames or root.below("JPEGImages").below("480p")
    entries = [entry for name in wanted if name in videos for entry in _objects(name, place, videos[name])]
    return select(
        [entry.name for entry in entries] + [name for name in wanted if name not in videos],
        {entry.name: entry for entry in entries},
    )


def _objects(name: str, frames: Folder, masks: Folder) -> list[Entry]:
    pictures = frames.folder(name) or frames.below(name)
    first = all_frames(masks)
    present = np.unique(read_labels(masks, first.name(0)))
    numbers = [int(label) for label in present if label not in (0, _IGNORED)]
    if len(numbers) <= 1:
        return [Entry(name, pictures, masks, first.name(0))]
    return [Entry(f"{name}_{number}", pictures, masks, first.name(0), target=number) for number in numbers]


def _masks(entry: Entry) -> LabelMasks:
    return LabelMasks(all_frames(entry.labels), entry.target or None)


def _read(entry: Entry) -> VideoSequence:
    masks = _masks(entry)
    pictures = entry.frames.files()
    frames = all_frames(entry.frames) if pictures else MissingFrames(str(entry.frames), len(masks))
    if len(masks) != len(frames):
        raise DatasetError(
            f"{entry.labels} must hold a mask per frame: {len(masks)} masks, {len(frames)} frames"
        )
    boxes = np.array([box_of_mask(masks.read(index)) for index in range(len(masks))])
    video = entry.name.removesuffix(f"_{entry.target}") if entry.target else entry.name
    return VideoSequence(entry.name, frames, boxes, has_area(boxes), videos=frozenset((video,)), masks=masks)


DAVIS = video_spec(
    "davis",
    "DAVIS 480p",
    ("all", "train", "val", "2016/train", "2016/val"),
    _find,
    Reader(_read, masks=_masks),
)

"""Clips on which a network with fewer bits is calibrated and checked: videos, and sequences of data sets."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from starktrack.arrays import Box, Boxes, Image
from starktrack.data.check import recognise
from starktrack.data.frames import local_path, open_frames
from starktrack.data.sources.folders import open_folder
from starktrack.data.video_sequence import VideoSequence

FRAMES_OF_CLIP = 150
"""Frames from the first box on that are looked at; a slip of the network shows in these."""


@dataclass(frozen=True)
class CalibrationClip:
    """The beginning of a video with one target.

    Attributes:
        name: The file's, or the data set's and the sequence's.
        start_xywh: The target in the first frame; without annotations a quarter of its sides, in the middle.
        true_xywh: The target in each frame, NaN where it is not visible; None without annotations.
    """

    name: str
    start_xywh: Box
    true_xywh: Boxes | None
    source: str | VideoSequence

    def images(self) -> Iterator[Image]:
        """Yield the frames."""
        if isinstance(self.source, VideoSequence):
            count = min(len(self.source), FRAMES_OF_CLIP)
            yield from (self.source.frames.read(index) for index in range(count))
            return
        with open_frames(self.source) as frames:
            yield from (frame.image for frame in islice(frames, FRAMES_OF_CLIP))


def open_clips(places: list[str]) -> list[CalibrationClip]:
    """Return the clips in some videos and folders of data sets.

    Args:
        places: What `data.frames.open_frames` takes, or the folder or zip of a data set that `starktrack data check`
            recognises, with annotations.

    Raises:
        VideoError: A video cannot be read.
        DatasetError: A data set is damaged.
    """
    return [clip for place in places for clip in _clips_of(place)]


def _clips_of(place: str) -> list[CalibrationClip]:
    path = local_path(place)
    if path is not None and (path.is_dir() or path.suffix.lower() == ".zip"):
        sequences = _sequences(path)
        if sequences:
            return sequences
    with open_frames(place) as frames:
        height, width = frames.peek().image.shape[:2]
    middle = np.array([0.375 * width, 0.375 * height, 0.25 * width, 0.25 * height])
    return [CalibrationClip(Path(place).name, middle, None, place)]


def _sequences(path: Path) -> list[CalibrationClip]:
    found = []
    for folder, source in recognise(open_folder(path)):
        for split in source.splits[:1]:
            dataset = source.open(folder, "all" if "all" in source.splits else split)
            found += [_of_sequence(f"{source.name}/{name}", dataset[name]) for name in dataset.names]
    return [clip for clip in found if clip is not None]


def _of_sequence(name: str, sequence: VideoSequence) -> CalibrationClip | None:
    """Return a sequence from its first frame; None where the target is not visible in it."""
    if not len(sequence) or not sequence.visible[0]:
        return None
    boxes = sequence.boxes_xywh[:FRAMES_OF_CLIP].astype(np.float64)
    true = np.where(sequence.visible[:FRAMES_OF_CLIP, None], boxes, np.nan)
    return CalibrationClip(name, boxes[0], true, sequence)

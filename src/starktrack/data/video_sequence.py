"""A sequence: frames that can be read in any order, with a true box for each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from starktrack.arrays import Image
from starktrack.data.formats.regions import Region


@runtime_checkable
class FrameSource(Protocol):
    """Frames that can be read in any order, from any thread or process.

    Example:
        >>> from starktrack.data.video.random_access import RandomFrames
        >>> isinstance(RandomFrames("dog.mp4"), FrameSource)
        True
    """

    def __len__(self) -> int: ...

    def read(self, index: int) -> Image:
        """Return frame `index` (from 0).

        Raises:
            DatasetError: The frame is missing or cannot be decoded; names the file.
        """
        ...


@runtime_checkable
class MaskSource(Protocol):
    """The target's outline in every frame, for data sets that have it."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Bool[np.ndarray, "height width"]:
        """Return the mask of frame `index` (True on the target), as large as the frame.

        Raises:
            DatasetError: The mask is missing or cannot be decoded; names the file.
        """
        ...


@dataclass(frozen=True, eq=False)
class OtherTarget:
    """Another target of the same video, known to be a different object.

    Attributes:
        boxes_xywh: Its boxes, image pixels; rows of frames in which it is not labelled may hold NaN.
        visible: In which frames it is labelled.
        object_class: What it is, where the data set says so.
    """

    boxes_xywh: Float[np.ndarray, "num_frames 4"]
    visible: Bool[np.ndarray, " num_frames"]
    object_class: str | None = None


@dataclass(frozen=True, eq=False)
class BenchmarkInfo:
    """What a benchmark says of a sequence beyond boxes, for those who score it.

    Attributes:
        resolution_wh: Width and height of the frames, where the annotation states them (GOT-10k, VOT).
        attributes: What makes the sequence hard (`fast motion` …), where known.
        left_out_xywh: Boxes before the first frame of the sequence, which some toolkits keep (OTB's Tiger1).
        rows_per_frame: 0 for a box per frame; else the boxes may be so many per frame, and one too many
            (NFS as published, where only the frames say which rows count, and the frames are not there).
        regions: The target as published, one region per frame, where boxes are only derived from it (VOT).
        anchors: Frame at which a run starts -> its direction, 1 forward or -1 backward (VOT).
        tags: By name of a tag, which frames carry it (VOT).
    """

    resolution_wh: tuple[int, int] | None = None
    attributes: tuple[str, ...] = ()
    left_out_xywh: Float[np.ndarray, "num_left_out 4"] = field(default_factory=lambda: np.zeros((0, 4)))
    rows_per_frame: int = 0
    regions: tuple[Region, ...] = ()
    anchors: dict[int, int] = field(default_factory=dict)
    tags: dict[str, Bool[np.ndarray, " num_frames"]] = field(default_factory=dict)


@dataclass(frozen=True)
class VideoSequence:
    """A video for one of its targets (or a still image as a video of one frame).

    Attributes:
        name: Unique within its data set.
        frames: Where the pictures come from.
        boxes_xywh: True boxes in image pixels; rows without a target may hold NaN or zeros.
        visible: Whether the target can be seen in a frame, well enough to be looked for.
        object_class: What the target is, where the data set says so.
        videos: The videos or pictures that its frames are of or made of, where other sequences may share them;
            empty where it has its frames for itself.
        masks: The target's outlines, where the data set has them.
        absent: Whether nothing of the target shows in a frame; None where that is whenever it is not visible.
        flagged_absent: Frames that the data set flags as without target, for those who score; None without flags.
            `visible` asks for more: a flagged frame, and one without a box, is not visible.
        others: The other targets of the video, where the data set has several in one.
        benchmark: What a benchmark says beyond boxes.

    Example:
        >>> from starktrack.data.video.random_access import RandomFrames
        >>> boxes = np.array([[231.0, 38, 59, 47]])
        >>> sequence = VideoSequence("dog", RandomFrames("dog.mp4"), boxes, visible=np.array([True]))
        >>> len(sequence), sequence.size_wh
        (1, (320, 240))
    """

    name: str
    frames: FrameSource
    boxes_xywh: Float[np.ndarray, "num_frames 4"]
    visible: Bool[np.ndarray, " num_frames"]
    object_class: str | None = None
    videos: frozenset[str] = frozenset()
    masks: MaskSource | None = None
    absent: Bool[np.ndarray, " num_frames"] | None = None
    flagged_absent: Bool[np.ndarray, " num_frames"] | None = None
    others: tuple[OtherTarget, ...] = ()
    benchmark: BenchmarkInfo = field(default_factory=BenchmarkInfo)

    def __len__(self) -> int:
        return len(self.boxes_xywh)

    @cached_property
    def size_wh(self) -> tuple[int, int]:
        """Return width and height of the frames: as the annotation states them, else of the first frame.

        Raises:
            DatasetError: Nothing states them, and the frame is missing or cannot be decoded.
        """
        if self.benchmark.resolution_wh is not None:
            return self.benchmark.resolution_wh
        height, width = self.frames.read(0).shape[:2]
        return width, height

    @property
    def origins(self) -> frozenset[str]:
        """Return what its frames are of; sequences that share an origin may show each other's targets."""
        return self.videos or frozenset((self.name,))

    @property
    def is_absent(self) -> Bool[np.ndarray, " num_frames"]:
        """Return in which frames nothing of the target shows."""
        return ~self.visible if self.absent is None else self.absent

    def others_in(self, index: int) -> Float[np.ndarray, "num_others 4"]:
        """Return the boxes of the other targets that are labelled in frame `index`, image pixels."""
        boxes = [other.boxes_xywh[index] for other in self.others if other.visible[index]]
        return np.array(boxes, np.float64).reshape(-1, 4)

    def distance_to_others(self) -> Float[np.ndarray, " num_frames"]:
        """Return how far the nearest other target of the same class is in each frame.

        Between the middles of the boxes, in square roots of the area of the target's own box. Infinite where the
        target or every such other is not labelled.
        """
        nearest = np.full(len(self), np.inf)
        centre, side = _centres(self.boxes_xywh), np.sqrt(self.boxes_xywh[:, 2:].prod(axis=1))
        for other in self.others:
            if other.object_class == self.object_class:
                both = np.flatnonzero(self.visible & other.visible)
                gap = np.hypot(*(_centres(other.boxes_xywh[both]) - centre[both]).T)
                nearest[both] = np.minimum(nearest[both], gap / side[both])
        return nearest


def _centres(boxes_xywh: Float[np.ndarray, "num_boxes 4"]) -> Float[np.ndarray, "num_boxes 2"]:
    return boxes_xywh[:, :2] + boxes_xywh[:, 2:] / 2


@runtime_checkable
class SequenceCollection(Protocol):
    """A data set: sequences by position. Reading one must be cheap and must not decode pictures."""

    @property
    def names(self) -> Sequence[str]:
        """Return the name of every sequence."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> VideoSequence:
        """Return sequence `index` (from 0)."""
        ...


@dataclass(frozen=True)
class TargetClasses:
    """What the targets of a data set are.

    Attributes:
        names: The classes; an empty name is that of targets whose class is not known.
        number: For each target, which of the names it has.
    """

    names: tuple[str, ...] = ()
    number: Int[np.ndarray, " num_targets"] = field(default_factory=lambda: np.zeros(0, np.int64))


@runtime_checkable
class Classified(Protocol):
    """A data set that tells the class of each target without making its sequence."""

    def target_classes(self) -> TargetClasses:
        """Return what its targets are."""
        ...


def classes_of(collection: SequenceCollection) -> TargetClasses:
    """Return what the targets of a data set are; no names where it does not tell."""
    return collection.target_classes() if isinstance(collection, Classified) else TargetClasses()

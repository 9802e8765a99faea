"""A sequence: frames that can be read in any order, with a true box for each."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from starktrack.arrays import Image


@runtime_checkable
class FrameSource(Protocol):
    """Frames that can be read in any order, from any thread or process."""

    def __len__(self) -> int:
        """Return the number of frames."""
        ...

    def read(self, index: int) -> Image:
        """Return frame `index` (from 0).

        Raises:
            DatasetError: The frame is missing or cannot be decoded; names the file.
        """
        ...


@runtime_checkable
class MaskSource(Protocol):
    """The target's outline in every frame, for data sets that have it."""

    def __len__(self) -> int:
        """Return the number of frames."""
        ...

    def read(self, index: int) -> Bool[np.ndarray, "height width"]:
        """Return the mask of frame `index` (True on the target), as large as the frame.

        Raises:
            DatasetError: The mask is missing or cannot be decoded; names the file.
        """
        ...


@dataclass(frozen=True)
class Sequence:
    """One target in one video (or a still image as a video of one frame).

    Attributes:
        name: Unique within its data set.
        frames: Where the pictures come from.
        boxes_xywh: True boxes in image pixels; rows without a target may hold NaN or zeros.
        visible: Whether the target can be seen in a frame.
        object_class: What the target is, where the data set says so.
        video: The video or picture that was annotated, where several sequences share one; sequences of one
            video may show each other's targets.
        masks: The target's outlines, where the data set has them.
        absent: Frames that the data set flags as without target, for those who score; None without flags.
            `visible` asks for more: a flagged frame, and one without a box, is not visible.
    """

    name: str
    frames: FrameSource
    boxes_xywh: Float[np.ndarray, "num_frames 4"]
    visible: Bool[np.ndarray, " num_frames"]
    object_class: str | None = None
    video: str | None = None
    masks: MaskSource | None = None
    absent: Bool[np.ndarray, " num_frames"] | None = None

    def __len__(self) -> int:
        """Return the number of annotated frames."""
        return len(self.boxes_xywh)

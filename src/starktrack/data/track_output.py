"""What a tracker reports: one record for a target in a frame, one for a frame with all of its targets."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import numpy as np
from jaxtyping import Bool

from starktrack.arrays import Box, Image
from starktrack.data.video.frame_stream import Frame
from starktrack.errors import InputError
from starktrack.geometry.boxes import xywh_to_xyxy


class TargetState(StrEnum):
    """Whether the tracker believes that a target is in the frame.

    Example:
        >>> TargetState("lost") is TargetState.LOST
        True
    """

    TRACKED = "tracked"
    UNCERTAIN = "uncertain"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TrackOutput:
    """Where one target is in one frame.

    Attributes:
        target_id: Which target.
        frame_index: Position of the frame in its source, from 0.
        seconds: When the frame is shown, on the clock of the source; None where the source has no clock.
        box_xywh: Image pixels; read-only.
        score: Probability that the target is there, [0, 1]; None for a model without a score head, and in the
            frame in which the box was given.
        state: Whether the target is tracked, uncertain or lost; None where there is no score.
        mask: Which pixels of the frame are the target's; None without a refiner.
        template_updated: Whether this frame became a dynamic template.

    Example:
        >>> output = TrackOutput(target_id=0, frame_index=3, box_xywh=np.array([10.0, 20.0, 30.0, 40.0]), score=0.9)
        >>> output.box_xyxy.tolist()
        [10.0, 20.0, 40.0, 60.0]
        >>> output.to_dict()["score"]
        0.9
    """

    box_xywh: Box
    target_id: int = 0
    frame_index: int = 0
    seconds: float | None = None
    score: float | None = None
    state: TargetState | None = None
    mask: Bool[np.ndarray, "height width"] | None = None
    template_updated: bool = False

    @property
    def box_xyxy(self) -> Box:
        """Top-left and bottom-right corner, image pixels."""
        return xywh_to_xyxy(self.box_xywh)

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON knows them; the mask is left out, see `data.formats.mask_files`."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "mask"}
        state = None if self.state is None else str(self.state)
        return {**values, "box_xywh": self.box_xywh.tolist(), "state": state}

    def __eq__(self, other: object) -> bool:
        """Return whether all values are equal, arrays element by element."""
        if not isinstance(other, TrackOutput):
            return NotImplemented
        masks = (self.mask, other.mask)
        same_mask = masks[0] is masks[1] or (
            masks[0] is not None and masks[1] is not None and np.array_equal(masks[0], masks[1])
        )
        return same_mask and self.to_dict() == other.to_dict()

    def __repr__(self) -> str:
        """Return the values in one line; of a mask its size and the number of its pixels."""
        shown = {**self.to_dict(), "box_xywh": [round(value, 2) for value in self.box_xywh.tolist()]}
        if self.mask is not None:
            shown["mask"] = f"{self.mask.sum()} of {self.mask.shape[1]} x {self.mask.shape[0]} pixels"
        return f"TrackOutput({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


@dataclass(frozen=True)
class TrackedFrame:
    """One frame of a video with the outputs of all targets in it.

    Attributes:
        frame: The picture (`frame.image`, RGB), its index and its time.
        outputs: By target id; empty while there are no targets.

    Example:
        >>> image = np.zeros((48, 64, 3), np.uint8)
        >>> found = TrackOutput(frame_index=7, box_xywh=np.array([10.0, 20.0, 30.0, 20.0]))
        >>> tracked = TrackedFrame(Frame(image, 7, None), {0: found})
        >>> tracked.output is tracked.outputs[0], tracked.index
        (True, 7)
    """

    frame: Frame
    outputs: Mapping[int, TrackOutput]

    @property
    def image(self) -> Image:
        """The picture, RGB."""
        return self.frame.image

    @property
    def index(self) -> int:
        """Position of the frame in its source, from 0."""
        return self.frame.index

    @property
    def seconds(self) -> float | None:
        """When the frame is shown, on the clock of the source."""
        return self.frame.seconds

    @property
    def output(self) -> TrackOutput:
        """The output of the one target.

        Raises:
            InputError: There is not exactly one target.
        """
        if len(self.outputs) != 1:
            raise InputError(
                f"output is for exactly one target, got {len(self.outputs)}; use outputs[target_id]"
            )
        return next(iter(self.outputs.values()))

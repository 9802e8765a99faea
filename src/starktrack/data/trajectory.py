"""A trajectory: what a tracker said about one target, frame by frame."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Trajectory:
    """Boxes of one target over consecutive frames.

    Attributes:
        boxes_xywh: Image pixels; row 0 is the box that was given.
        scores: How likely the target is there, [0, 1]; NaN where the model has no score.
        seconds: Time spent on each frame, without decoding; row 0 is the initialisation.
    """

    boxes_xywh: Float[np.ndarray, "num_frames 4"]
    scores: Float[np.ndarray, " num_frames"]
    seconds: Float[np.ndarray, " num_frames"]

    def __len__(self) -> int:
        return len(self.boxes_xywh)

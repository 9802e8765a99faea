"""The templates of one target: the initial one stays, dynamic ones are replaced over time."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from starktrack.arrays import Box, Image
from starktrack.config.schema import ModelConfig
from starktrack.geometry.crop import crop_transform
from starktrack.tracking.protocol import Template


@dataclass(frozen=True)
class Sight:
    """A target as one frame showed it, from which a template can still be cut later.

    Attributes:
        image: The part of the frame that the template's window shows, and a pixel or two around it; a copy.
        box_xywh: The target's box, pixels of `image`.
        score: Of the frame.
    """

    image: Image
    box_xywh: Box
    score: float

    @classmethod
    def of(cls, frame: Image, box_xywh: Box, score: float, model: ModelConfig) -> "Sight":
        """Return what this frame shows of the target; the template cut from it equals the one cut from the frame."""
        window = crop_transform(box_xywh[None], model.template.factor, model.template.side)
        size_wh = np.array(frame.shape[1::-1])
        # With a pixel more on every side, a window that ends inside the frame does not end at the picture's border.
        # Windows begin at whole pixels, and halves are rounded to even ones, so the part begins at even ones.
        start_xy = np.clip(window.origin_xy[0] - 1, 0, size_wh - 1).astype(int) // 2 * 2
        end_xy = np.clip(window.origin_xy[0] + window.side[0] + 1, start_xy + 1, size_wh).astype(int)
        (left, top), (right, bottom) = start_xy.tolist(), end_xy.tolist()
        return cls(frame[top:bottom, left:right].copy(), box_xywh - [left, top, 0, 0], score)


@dataclass
class TemplateMemory:
    """Templates in the order the network expects: initial first, then dynamic from old to new.

    Source: section 3.2, Input; all slots hold the initial template at the start.
    """

    initial: Template
    dynamic: deque[Template]

    @classmethod
    def start(cls, initial: Template, num_templates: int) -> "TemplateMemory":
        """Return a memory of `num_templates` slots, all with the template of the first frame."""
        return cls(initial, deque([initial] * (num_templates - 1), maxlen=num_templates - 1))

    def templates(self) -> list[Template]:
        """Return every template, initial first."""
        return [self.initial, *self.dynamic]

    def replace_oldest(self, template: Template) -> None:
        """Replace the oldest dynamic template by a new one."""
        self.dynamic.append(template)

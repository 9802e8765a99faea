"""Outlines of targets: drawn by a refiner from the boxes of a track, shown on the page and exported as masks."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from jaxtyping import Bool

from starktrack.arrays import Image
from starktrack.data.formats.mask_files import MaskWriter
from starktrack.data.video.random_access import RandomFrames
from starktrack.errors import InputError
from starktrack.studio.project import Kind, Target
from starktrack.tracking.protocol import BoxQueries, Refiner, Template
from starktrack.tracking.refinement import refine

TEMPLATE_FRAMES = 20
"""Frames that share a template where no key box lies between them."""

Outline: TypeAlias = list[list[list[int]]]
"""Closed lines of image pixels, each a list of x and y."""


def outline_of(mask: Bool[np.ndarray, "height width"]) -> Outline:
    """Return the lines around the pixels of a mask, exact to about a pixel."""
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [cv2.approxPolyDP(line, 0.75, closed=True)[:, 0].tolist() for line in lines]


class Outliner:
    """Draws the outlines of targets in the boxes that they have.

    Args:
        refiner: The network.
        frames: Of the video.
        targets: By the number that the masks get.
    """

    def __init__(self, refiner: Refiner, frames: RandomFrames, targets: Mapping[int, Target]) -> None:
        self._refiner, self._frames, self._targets = refiner, frames, targets
        self._templates: dict[int, tuple[int, Template]] = {}

    def masks(self, image: Image, frame: int) -> dict[int, Bool[np.ndarray, "height width"]]:
        """Return the mask of every target that has a box in a frame."""
        shown = [number for number, target in self._targets.items() if target.has_box(frame)]
        if not shown:
            return {}
        for number in shown:
            start = self._template_frame(self._targets[number], frame)
            if self._templates.get(number, (None,))[0] != start:
                boxes = self._targets[number].boxes_xywh[start]
                template = self._refiner.embed(_queries(self._frames.read(start), [boxes]))[0]
                self._templates[number] = (start, template)
        found = _queries(image, [self._targets[number].boxes_xywh[frame] for number in shown])
        refined = refine(self._refiner, found, [self._templates[number][1] for number in shown])
        return {number: each.mask for number, each in zip(shown, refined, strict=True)}

    @staticmethod
    def _template_frame(target: Target, frame: int) -> int:
        """Return the frame of the template: the latest key box, or a box of at most `TEMPLATE_FRAMES` before.

        A template of long ago shows another view: on the clip of the demo it leaves most of the target out.
        """
        recent = range(frame, frame // TEMPLATE_FRAMES * TEMPLATE_FRAMES - 1, -1)
        keys = (each for each in recent if target.kinds[each] == Kind.KEY)
        return next(keys, recent[-1] if target.has_box(recent[-1]) else frame)


def export_masks(
    folder: Path,
    refiner: Refiner,
    frames: RandomFrames,
    targets: Sequence[Target],
    on_frame: Callable[[int], None],
) -> None:
    """Write the masks of every frame with a box, as `starktrack track --masks`; targets count from 0 in their order.

    Raises:
        InputError: There is no box.
    """
    outliner = Outliner(refiner, frames, dict(enumerate(targets)))
    has_box = np.any([~np.isnan(target.boxes_xywh[:, 0]) for target in targets], axis=0)
    if not has_box.any():
        raise InputError("an export needs at least one box, got none; draw one first")
    with MaskWriter(folder) as writer:
        for frame in np.flatnonzero(has_box).tolist():
            writer.write(frame, outliner.masks(frames.read(frame), frame))
            on_frame(frame)


def _queries(image: Image, boxes: Sequence[np.ndarray]) -> BoxQueries:
    return BoxQueries([image], np.zeros(len(boxes), np.int64), np.stack(boxes).astype(np.float64))

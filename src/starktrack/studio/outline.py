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
from starktrack.studio.project import Target
from starktrack.tracking.protocol import BoxQueries, Refiner, Template
from starktrack.tracking.refinement import refine

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
        self._templates: dict[int, Template] = {}

    def masks(self, image: Image, frame: int) -> dict[int, Bool[np.ndarray, "height width"]]:
        """Return the mask of every target that has a box in a frame."""
        shown = [number for number, target in self._targets.items() if target.has_box(frame)]
        if not shown:
            return {}
        for number in shown:
            if number not in self._templates:
                start = self._targets[number].reference_frame(frame)
                boxes = self._targets[number].boxes_xywh[start]
                self._templates[number] = self._refiner.embed(_queries(self._frames.read(start), [boxes]))[0]
        found = _queries(image, [self._targets[number].boxes_xywh[frame] for number in shown])
        refined = refine(self._refiner, found, [self._templates[number] for number in shown])
        return {number: each.mask for number, each in zip(shown, refined, strict=True)}


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

"""A batch tracker with a refiner after it: corrected boxes, and outlines on request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from starktrack.arrays import Box, Image
from starktrack.data.formats.regions import Mask
from starktrack.data.track_output import TrackOutput
from starktrack.geometry.boxes import clip_xywh
from starktrack.tracking.batch_tracker import BatchTracker
from starktrack.tracking.protocol import BoxQueries, Refiner, Template
from starktrack.tracking.refinement import Refined, mask_region, refine

MARGIN = 10.0
"""Pixels of a box that lie inside the frame before refinement, or all of a smaller box; not every tracker clips."""


@dataclass
class RefinedTarget:
    """State of a target.

    Attributes:
        tracked: State of the tracker itself.
        template: The refiner's template.
        regions: The outline in every frame so far, the first included; of an `OutlineBatchTracker` alone.
    """

    tracked: Any
    template: Template
    regions: list[Mask] = field(default_factory=list)


class RefinedBatchTracker:
    """A `BatchTracker` with corrected boxes; the inner tracker continues from its own boxes.

    Args:
        tracker: What tracks.
        refiner: The network that corrects its boxes.
    """

    def __init__(self, tracker: BatchTracker, refiner: Refiner) -> None:
        self.capacity = tracker.capacity
        self._tracker = tracker
        self._refiner = refiner

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """Return the seconds of the inner tracker; the refiner takes the rest of the tracking time."""
        return self._tracker.stage_seconds

    def start(self, image: Image, box_xywh: Box) -> RefinedTarget:
        """Return the state of a target in its first frame."""
        (template,) = self._refiner.embed(_queries([image], [box_xywh]))
        return RefinedTarget(self._tracker.start(image, box_xywh), template)

    def advance(self, targets: Sequence[RefinedTarget], images: Sequence[Image]) -> list[TrackOutput]:
        """Find each target in its next frame."""
        found = self._tracker.advance([target.tracked for target in targets], images)
        refined = self._refine(targets, images, [output.box_xywh for output in found])
        return [
            replace(output, box_xywh=exact.box_xywh) for output, exact in zip(found, refined, strict=True)
        ]

    def _refine(
        self, targets: Sequence[RefinedTarget], images: Sequence[Image], boxes: Sequence[Box]
    ) -> list[Refined]:
        return refine(self._refiner, _queries(images, boxes), [target.template for target in targets])


class OutlineBatchTracker(RefinedBatchTracker):
    """Refined boxes, and the outline of every frame in the state of its target."""

    def start(self, image: Image, box_xywh: Box) -> RefinedTarget:
        """Return the state of a target in its first frame, with its outline there."""
        target = super().start(image, box_xywh)
        self._refine([target], [image], [box_xywh])
        return target

    def _refine(
        self, targets: Sequence[RefinedTarget], images: Sequence[Image], boxes: Sequence[Box]
    ) -> list[Refined]:
        refined = super()._refine(targets, images, boxes)
        for target, each in zip(targets, refined, strict=True):
            target.regions.append(mask_region(each.mask, each.box_xywh))
        return refined


def _queries(images: Sequence[Image], boxes: Sequence[Box]) -> BoxQueries:
    clipped = []
    for image, box in zip(images, boxes, strict=True):
        boxes_xywh = np.asarray(box, float)[None]
        margins_wh = np.clip(boxes_xywh[:, 2:], 1.0, MARGIN)
        clipped.append(clip_xywh(boxes_xywh, image.shape[:2], margins_wh)[0])
    return BoxQueries(images, np.arange(len(images)), np.stack(clipped))

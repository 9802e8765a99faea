"""Any team with a refiner behind it: refined boxes, and where they are wanted the outlines of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from starktrack.arrays import Box, Image
from starktrack.data.regions import Mask
from starktrack.geometry.boxes import clip_xywh
from starktrack.tracking.protocol import BoxQueries, Refiner, Template
from starktrack.tracking.refinement import Refined, mask_region, refine
from starktrack.tracking.team import Sighting, Team

MARGIN = 10.0
"""Pixels of a box that stay in the frame before it is refined; not every tracker sees to it."""


@dataclass
class RefinedTarget:
    """What is remembered of a target.

    Attributes:
        own: What the team itself remembers.
        look: What the refiner remembers.
        regions: The outline in every frame so far, the first included; of a `RefinedTeam` alone.
    """

    own: Any
    look: Template
    regions: list[Mask] = field(default_factory=list)


class ExactTeam:
    """Fulfils `tracking.team.Team` with refined boxes; the team goes on from its own.

    Args:
        team: What tracks.
        refiner: What makes its boxes exact.
    """

    def __init__(self, team: Team, refiner: Refiner) -> None:
        self.capacity = team.capacity
        self._team = team
        self._refiner = refiner

    @property
    def stages(self) -> Mapping[str, float]:
        """Return the seconds of the team's stages; the refiner is the rest of the tracking time."""
        return self._team.stages

    def start(self, image: Image, box_xywh: Box) -> RefinedTarget:
        """Return what is remembered of a target from its first frame."""
        (look,) = self._refiner.embed(_queries([image], [box_xywh]))
        return RefinedTarget(self._team.start(image, box_xywh), look)

    def advance(self, targets: Sequence[RefinedTarget], images: Sequence[Image]) -> list[Sighting]:
        """Find each target in its next frame."""
        found = self._team.advance([target.own for target in targets], images)
        refined = self._refined(targets, images, [box for box, _ in found])
        return [(exact.box_xywh, score) for exact, (_, score) in zip(refined, found, strict=True)]

    def _refined(
        self, targets: Sequence[RefinedTarget], images: Sequence[Image], boxes: Sequence[Box]
    ) -> list[Refined]:
        return refine(self._refiner, _queries(images, boxes), [target.look for target in targets])


class RefinedTeam(ExactTeam):
    """A team with refined boxes that keeps the outline of every frame with its target."""

    def start(self, image: Image, box_xywh: Box) -> RefinedTarget:
        """Return what is remembered of a target from its first frame, its outline there included."""
        target = super().start(image, box_xywh)
        self._refined([target], [image], [box_xywh])
        return target

    def _refined(
        self, targets: Sequence[RefinedTarget], images: Sequence[Image], boxes: Sequence[Box]
    ) -> list[Refined]:
        refined = super()._refined(targets, images, boxes)
        for target, each in zip(targets, refined, strict=True):
            target.regions.append(mask_region(each.mask, each.box_xywh))
        return refined


def _queries(images: Sequence[Image], boxes: Sequence[Box]) -> BoxQueries:
    clipped = [
        clip_xywh(np.asarray(box, float)[None], image.shape[:2], MARGIN)[0]
        for image, box in zip(images, boxes, strict=True)
    ]
    return BoxQueries(images, np.arange(len(images)), np.stack(clipped))

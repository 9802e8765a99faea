"""Whether two engines of one network give the same answers, on crops of a clip."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.geometry.boxes import cxcywh_to_xyxy, overlap
from starktrack.kinds import kind_of
from starktrack.tracking.protocol import BoxQueries, Engine, Refiner

LEAST_OVERLAP = 0.999
LARGEST_DIFFERENCE = 1e-3
"""Of probabilities, such as that the target is there or that a cell is the target's."""
SAME_CORNERS = 1e-5
"""Of the crop. Boxes with corners this close overlap fully, whatever their area: those of an untrained network
have hardly any."""


@dataclass(frozen=True)
class Parity:
    """How far an exported network is from the one it was made of, over all crops of the check.

    Attributes:
        overlap: Least overlap of the boxes; 1 where corners are within `SAME_CORNERS`.
        corner_difference: Largest distance of box edges, in crops.
        probability_difference: Largest distance of the probabilities in the answers, 0 where there are none.
        num_crops: Search crops that were compared.
    """

    overlap: float
    corner_difference: float
    probability_difference: float
    num_crops: int

    @property
    def holds(self) -> bool:
        """Whether both may be called the same network; never where an answer is not finite."""
        return self.overlap > LEAST_OVERLAP and self.probability_difference <= LARGEST_DIFFERENCE


def compare(reference: Engine | Refiner, exported: Engine | Refiner) -> Parity:
    """Return how two engines of one network agree on crops of a clip, some of them padded, in one batch and alone."""
    kind = kind_of(reference.config)
    pairs = [
        (_predict(reference, queries, others), _predict(exported, queries, others))
        for queries, others in _queries_to_compare()
    ]
    corners = [
        cxcywh_to_xyxy(np.concatenate([answer.boxes_cxcywh for answer in side]))
        for side in zip(*pairs, strict=True)
    ]
    distance = np.abs(corners[0] - corners[1]).max(axis=1)
    overlaps = np.where(distance <= SAME_CORNERS, 1.0, overlap(*corners))
    probabilities = [(kind.probabilities(first), kind.probabilities(second)) for first, second in pairs]
    differences = [np.abs(first - second).max() for first, second in probabilities if first is not None]
    largest = float(np.max(differences, initial=0.0))
    return Parity(float(overlaps.min()), float(distance.max()), largest, len(distance))


def _queries_to_compare() -> Iterator[tuple[BoxQueries, Sequence[int]]]:
    """Yield queries of a batch of three and of each alone, and for each query whose template to take after its own."""
    frames = [next(synthetic_clip(1, seed=seed, object_seed=seed)) for seed in range(3)]
    height, width = frames[0].image.shape[:2]
    images = [frame.image for frame in frames]
    over_a_corner = np.array([[-20.0, -15, 90, 60], [width - 30.0, height - 40, 60, 50]])
    for boxes in (
        np.stack([frame.box_xywh for frame in frames]),
        np.stack([frames[0].box_xywh, *over_a_corner]),
    ):
        yield BoxQueries(images, np.arange(3), boxes), (1, 2, 0)
        for index in range(3):
            yield BoxQueries(images[index : index + 1], np.zeros(1, np.int64), boxes[index : index + 1]), (0,)


def _predict(engine: Engine | Refiner, queries: BoxQueries, others: Sequence[int]) -> Any:
    own: list[Any] = engine.embed(queries)
    num_others = engine.config.model.crops.num_templates - 1
    templates = [[template, *[own[other]] * num_others] for template, other in zip(own, others, strict=True)]
    return engine.predict(queries, templates)

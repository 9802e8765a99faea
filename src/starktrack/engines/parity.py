"""Whether two engines of one network give the same answers, on crops of a clip."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.geometry.boxes import cxcywh_to_xyxy, overlap
from starktrack.tracking.protocol import BoxQueries, Engine, Prediction, Refinement, Refiner

LEAST_OVERLAP = 0.999
LARGEST_SCORE_DIFFERENCE = 1e-3
"""Of probabilities: that the target is there, or that a cell is the target's."""
SAME_CORNERS = 1e-5
"""Of the crop. Boxes with corners this close overlap fully, whatever their area: those of an untrained network
have hardly any."""


@dataclass(frozen=True)
class Parity:
    """How far an exported network is from the one it was made of, over all crops of the check.

    Attributes:
        overlap: Least overlap of the boxes; 1 where corners are within `SAME_CORNERS`.
        corner_difference: Largest distance of box edges, in crops.
        score_difference: Largest distance of scores, 0 without a score head.
        num_crops: Search crops that were compared.
    """

    overlap: float
    corner_difference: float
    score_difference: float
    num_crops: int

    @property
    def holds(self) -> bool:
        """Whether both may be called the same network; never where an answer is not finite."""
        return self.overlap > LEAST_OVERLAP and self.score_difference <= LARGEST_SCORE_DIFFERENCE


@dataclass(frozen=True)
class RefinerParity:
    """How far an exported refiner is from the one it was made of, over all crops of the check.

    Attributes:
        overlap: Least overlap of the boxes; 1 where corners are within `SAME_CORNERS`.
        corner_difference: Largest distance of box edges, in crops.
        mask_difference: Largest distance of a cell's probability of being the target's.
        num_crops: Crops that were compared.
    """

    overlap: float
    corner_difference: float
    mask_difference: float
    num_crops: int

    @property
    def holds(self) -> bool:
        """Whether both may be called the same network; never where an answer is not finite."""
        return self.overlap > LEAST_OVERLAP and self.mask_difference <= LARGEST_SCORE_DIFFERENCE


def compare(reference: Engine, exported: Engine) -> Parity:
    """Return how two engines of one network agree on crops of a clip, some of them padded, in one batch and alone."""
    pairs = [
        (_predict(reference, queries, others), _predict(exported, queries, others))
        for queries, others in _queries_to_compare()
    ]
    least, distance, count = _boxes_compared(*zip(*pairs, strict=True))
    scores = [np.abs(a.scores - b.scores).max() for a, b in pairs if a.scores is not None]
    return Parity(least, distance, float(np.max(scores, initial=0.0)), count)


def compare_refiners(reference: Refiner, exported: Refiner) -> RefinerParity:
    """Return how two engines of one refiner agree on crops of a clip, each with the template of its own box."""
    asked = [queries for queries, _ in _queries_to_compare()]
    pairs = [
        tuple(each.refine(queries, each.embed(queries)) for each in (reference, exported))
        for queries in asked
    ]
    least, distance, count = _boxes_compared(*zip(*pairs, strict=True))
    masks = [np.abs(_probability(a) - _probability(b)).max() for a, b in pairs]
    return RefinerParity(least, distance, float(np.max(masks)), count)


def _boxes_compared(
    expected: Sequence[Prediction | Refinement], found: Sequence[Prediction | Refinement]
) -> tuple[float, float, int]:
    """Return the least overlap, the largest distance of edges (crops), and how many boxes there are."""
    corners = [
        cxcywh_to_xyxy(np.concatenate([each.boxes_cxcywh for each in side])) for side in (expected, found)
    ]
    distance = np.abs(corners[0] - corners[1]).max(axis=1)
    overlaps = np.where(distance <= SAME_CORNERS, 1.0, overlap(*corners))
    return float(overlaps.min()), float(distance.max()), len(distance)


def _probability(refinement: Refinement) -> Float[np.ndarray, "batch cells cells"]:
    return 1 / (1 + np.exp(-refinement.mask_logits.astype(np.float64)))


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


def _predict(engine: Engine, queries: BoxQueries, others: Sequence[int]) -> Prediction:
    own: list[Any] = engine.embed(queries)
    num_others = engine.config.model.num_templates - 1
    templates = [[template, *[own[other]] * num_others] for template, other in zip(own, others, strict=True)]
    return engine.predict(queries, templates)

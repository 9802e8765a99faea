"""Searches the whole picture for a lost target: windows in one batch, coarse to fine, confirmed by the next frames.

Not in the paper; off by default (`TrackingConfig.redetect`). The paper searches around the latest box alone.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from starktrack.arrays import Box, Boxes, Image
from starktrack.config.schema import TrackingConfig
from starktrack.errors import InputError
from starktrack.geometry.boxes import clip_xywh, cxcywh_to_xywh, xywh_to_cxcywh
from starktrack.tracking.box_fit import BoxFit
from starktrack.tracking.protocol import BoxQueries, Engine, Template
from starktrack.tracking.search import predict_boxes

COARSE = 2.0
"""Width of the windows of the first pass over that of the tracker's search region."""

NUM_WINDOWS = 16
"""Windows in the first pass. If a picture needs more, the next searches take the others."""

NUM_FINALISTS = 3
"""Boxes of the first pass that are searched again at the tracker's own scale."""

CLIP_MARGIN = 2.0
"""Pixels of a box that stay inside the picture."""

CONFIRMATIONS = 2
"""Consecutive frames after the detection that must confirm the box."""


@dataclass(frozen=True)
class Redetection:
    """The state of the search for one target.

    Attributes:
        num_searches: Searches of the picture since the target was lost; they divide the windows.
        home_xywh: The tracker's box before it moved to a detected box. It returns there if the next frames do not
            confirm the detection. None without a pending detection.
        num_confirmed: Consecutive frames that confirmed it.
    """

    num_searches: int = 0
    home_xywh: Box | None = None
    num_confirmed: int = 0

    @property
    def is_pending(self) -> bool:
        """Whether a detected box awaits confirmation by the next frames."""
        return self.home_xywh is not None

    def after(self, score: float, settings: TrackingConfig) -> "Redetection":
        """Return the state of a pending search after a frame with this score."""
        if score < settings.tracked_score or self.num_confirmed + 1 == CONFIRMATIONS:
            return Redetection(self.num_searches)
        return Redetection(self.num_searches, self.home_xywh, self.num_confirmed + 1)


def windows(size_hw: tuple[int, int], seen_xywh: Box, factor: float, num_searches: int) -> Boxes:
    """Return boxes around which the windows of the next search are cut, the nearest to the last sure box first.

    Windows overlap by half, so that a target lies well inside one of them.

    Args:
        size_hw: Of the picture.
        seen_xywh: The last sure box, image pixels; its size is the size to search for.
        factor: Side of the tracker's search region over the square root of a box's area.
        num_searches: Searches before this one.
    """
    height, width = size_hw
    seen = xywh_to_cxcywh(seen_xywh)
    step = COARSE * factor * float(np.sqrt(seen[2:].prod())) / 2
    x, y = (step / 2 + step * np.arange(max(1, round(length / step))) for length in (width, height))
    # Centred in the picture, so that what does not divide evenly is shared by both edges.
    x, y = x + (width - step * len(x)) / 2, y + (height - step * len(y)) / 2
    centres = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    centres = centres[np.argsort(np.linalg.norm(centres - seen[:2], axis=1), kind="stable")]
    first = num_searches * NUM_WINDOWS % len(centres)
    chosen = centres[first : first + NUM_WINDOWS]
    sizes = np.broadcast_to(COARSE * seen[2:], chosen.shape)
    return cxcywh_to_xywh(np.concatenate([chosen, sizes], axis=1))


def search_picture(
    engine: Engine,
    image: Image,
    seen_xywh: Box,
    initial: Template,
    num_searches: int,
    fit: BoxFit | None = None,
) -> tuple[Box, float]:
    """Return the box that looks most like the target of the first frame, and its score.

    The dynamic templates are left out: what made the tracker lose its target may be in them.

    Args:
        engine: The network.
        image: The frame.
        seen_xywh: The last sure box; image pixels.
        initial: The template of the first frame.
        num_searches: Searches before this one.
        fit: The correction of the target's boxes.
    """
    size_hw, factor = image.shape[:2], engine.config.model.search.factor
    boxes, scores = _predict(
        engine, image, windows(size_hw, seen_xywh, factor, num_searches), seen_xywh, initial, fit
    )
    best = np.argsort(-scores, kind="stable")[:NUM_FINALISTS]
    best = best[scores[best] >= 0]
    if not len(best):
        return seen_xywh, -1.0
    boxes, scores = _predict(engine, image, boxes[best], seen_xywh, initial, fit)
    at = int(np.argmax(scores))
    return boxes[at], float(scores[at])


def _predict(
    engine: Engine, image: Image, around: Boxes, seen_xywh: Box, initial: Template, fit: BoxFit | None
) -> tuple[Boxes, Float[np.ndarray, " windows"]]:
    """Return the box in each window and its score, -1 for a box that cannot be the target."""
    model = engine.config.model
    queries = BoxQueries([image], np.zeros(len(around), np.int64), around)
    raw, scores = predict_boxes(engine, queries, [[initial] * model.num_templates] * len(around))
    if scores is None:
        raise InputError(
            f"redetect needs a network with a score, {engine.config.name} has none; leave it out"
        )
    if fit is not None:
        raw = np.stack([fit.apply(box) for box in raw])
    height, width = (np.full(len(around), length) for length in image.shape[:2])
    boxes = clip_xywh(np.nan_to_num(raw), (height, width), np.full((len(around), 2), CLIP_MARGIN))
    # A box as large as its window, or a grain in it, is no target: the size changes little while a target is away.
    area = boxes[:, 2:].prod(axis=1) / seen_xywh[2:].prod()
    is_possible = np.isfinite(raw).all(axis=1) & np.isfinite(scores) & (area > 0.1) & (area < 10)
    return boxes, np.where(is_possible, scores, -1.0)

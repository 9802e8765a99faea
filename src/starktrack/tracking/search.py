"""Asks a network for boxes and returns them in image pixels."""

from collections.abc import Sequence

import numpy as np

from starktrack.arrays import Boxes, Scores
from starktrack.geometry.crop import decode_transform
from starktrack.tracking.protocol import BoxQueries, Engine, Template


def predict_boxes(
    engine: Engine, windows: BoxQueries, templates: Sequence[Sequence[Template]]
) -> tuple[Boxes, Scores | None]:
    """Return the target's box in each search region as x,y,w,h in image pixels, not clipped, and its score.

    Args:
        engine: The network.
        windows: The boxes around which the search regions are cut.
        templates: Those of each target.
    """
    model = engine.config.model
    prediction = engine.predict(windows, templates)
    transform = decode_transform(windows.boxes_xywh, model.search.factor, model.search.side, model.geometry)
    return transform.to_image(prediction.boxes_cxcywh.astype(np.float64)), prediction.scores

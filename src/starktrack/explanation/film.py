"""Tracked frames beside their explanations."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

from starktrack.arrays import Image
from starktrack.explanation.engine import Explanation
from starktrack.explanation.pictures import score_curve, summary_tiles
from starktrack.tracking.overlay import image_grid

_CURVE_HEIGHT, _TILE_WIDTH, _COLUMNS = 80, 240, 2


def film_frame(
    tracked: UInt8[np.ndarray, "_ _ 3"],
    explanation: Explanation,
    scores: Sequence[float | None],
    threshold: float,
) -> Image:
    """Return one picture of even size: the tracked frame, the tiles of its explanation, the score below.

    Args:
        tracked: The frame with its box drawn.
        explanation: The explanation of this frame.
        scores: Of all frames so far, this one last; no curve is drawn where the network has none.
        threshold: Above it a frame may become a template.
    """
    tiles = summary_tiles(explanation)
    panel = image_grid(list(tiles.values()), _COLUMNS, list(tiles), width=_TILE_WIDTH)
    width = round(tracked.shape[1] * len(panel) / len(tracked))
    picture = np.concatenate([cv2.resize(tracked, (width, len(panel))), panel], axis=1)
    if explanation.score is not None:
        curve = score_curve(scores, (_CURVE_HEIGHT, picture.shape[1]), threshold)
        picture = np.concatenate([picture, curve])
    return np.ascontiguousarray(picture[: len(picture) // 2 * 2, : picture.shape[1] // 2 * 2])

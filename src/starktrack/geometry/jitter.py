"""Random motion and scale of a box, like the error of a tracker's last box."""

import numpy as np

from starktrack.arrays import Box
from starktrack.geometry.boxes import cxcywh_to_xywh, xywh_to_cxcywh


def jitter_box(
    box_xywh: Box, rng: np.random.Generator, *, scale: float, centre: float, concentration: float = 1.0
) -> Box:
    """Return the box with each side times exp(N(0, 1) * scale), then moved within its reach.

    Args:
        box_xywh: Image pixels.
        scale: Deviation of the logarithm of each side; 0 keeps the size.
        rng: The source of randomness.
        centre: Side of the square in which the new centre falls, over the square root of the new area; 0
            keeps the centre.
        concentration: Power of each distance from the middle over the largest: 1 is uniform, more is nearer.

    Source: section 4.1 and the authors' configurations (scale 0.5, centre 4.5 for the search region).
    """
    cxcywh = xywh_to_cxcywh(box_xywh)
    size = cxcywh[2:] * np.exp(rng.standard_normal(2) * scale)
    reach = np.sqrt(size.prod()) * centre
    drawn = rng.uniform(-0.5, 0.5, 2)
    moved = drawn * np.abs(2 * drawn) ** (concentration - 1)
    return cxcywh_to_xywh(np.concatenate([cxcywh[:2] + reach * moved, size]))

"""The target's outline in a crop, for networks that learn to draw it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from starktrack.arrays import Box
from starktrack.geometry.crop import CropTransform, cut


@dataclass(frozen=True)
class Outline:
    """What a refiner learns from beyond the box.

    Attributes:
        template_box_cxcywh: The target in the initial template, crop units, after mirroring.
        pixels: Which pixels of the search crop are the target's, before mirroring; None where the data set
            does not say.
    """

    template_box_cxcywh: Box
    pixels: Bool[np.ndarray, "side side"] | None


def cut_outline(
    mask: Bool[np.ndarray, "height width"], window: CropTransform
) -> Bool[np.ndarray, "side side"]:
    """Return a mask as a crop of its frame shows it: pixels of which at least half is the target's."""
    shades = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255
    return cut(shades, window, "exact").image[..., 0] >= 128

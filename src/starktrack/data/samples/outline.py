"""The target's outline in a crop, for networks that predict it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from starktrack.arrays import Box
from starktrack.geometry.crop import CropTransform, cut


@dataclass(frozen=True)
class Outline:
    """The target of a refiner beyond the box.

    Attributes:
        template_box_cxcywh: The target in the initial template, crop units, after mirroring.
        pixels: Which pixels of the search crop are the target's, before mirroring; None without a mask in the data
            set.
    """

    template_box_cxcywh: Box
    pixels: Bool[np.ndarray, "side side"] | None


def cut_outline(
    mask: Bool[np.ndarray, "height width"], window: CropTransform
) -> Bool[np.ndarray, "side side"]:
    """Return the crop of a mask: pixels of which at least half is the target's."""
    shades = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255
    return cut(shades, window, "exact").image[..., 0] >= 128

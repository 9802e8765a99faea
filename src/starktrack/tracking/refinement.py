"""Refinement: a second network corrects a tracker's box and predicts the target's outline.

It works with any tracker: its output is not fed back, so it does not change the tracker's own boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from starktrack.arrays import Box
from starktrack.data.formats.regions import Mask
from starktrack.errors import StarktrackError
from starktrack.geometry.boxes import box_of_mask, clip_xywh, whole_pixels
from starktrack.geometry.crop import crop_transform
from starktrack.tracking.protocol import BoxQueries, Refiner, Template

CLIP_MARGIN = 1.0
"""Pixels of a refined box that always stay inside the image."""


@dataclass(frozen=True)
class Refined:
    """One target in one frame.

    Attributes:
        box_xywh: Image pixels; read-only.
        mask: Which pixels of the frame are the target's.
    """

    box_xywh: Box
    mask: Bool[np.ndarray, "height width"]


def refine(refiner: Refiner, found: BoxQueries, templates: Sequence[Template]) -> list[Refined]:
    """Return corrected boxes and outlines for a tracker's boxes.

    Args:
        refiner: The network.
        found: The tracker's boxes.
        templates: The result of `refiner.embed` for each target in its first frame.

    Raises:
        StarktrackError: The network's answer is not finite.
    """
    crop = refiner.config.model.crop
    answer = refiner.predict(found, [[template] for template in templates])
    if not np.isfinite(answer.boxes_cxcywh).all() or not np.isfinite(answer.mask_logits).all():
        raise StarktrackError("a refiner's answer must be finite, got NaN; the weights are damaged")
    windows = crop_transform(found.boxes_xywh, crop.factor, crop.side)
    sizes = np.array([found.images[image].shape[:2] for image in found.image_index])
    threshold = refiner.config.model.mask_threshold
    least = float(np.log(threshold / (1 - threshold)))
    masks = [
        paste_mask(logits, (int(left), int(top)), int(side), (int(height), int(width)), least)
        for logits, (left, top), side, (height, width) in zip(
            answer.mask_logits, windows.origin_xy, windows.side, sizes, strict=True
        )
    ]
    exact = windows.to_image(answer.boxes_cxcywh.astype(np.float64))
    boxes = exact if refiner.config.model.box == "corners" else found.boxes_xywh
    boxes = clip_xywh(boxes, (sizes[:, 0], sizes[:, 1]), CLIP_MARGIN)
    boxes.setflags(write=False)
    return [Refined(box, mask) for box, mask in zip(boxes, masks, strict=True)]


def mask_region(mask: Bool[np.ndarray, "height width"], box_xywh: Box) -> Mask:
    """Return the pixels of an outline inside its bounds; those of the box where there is no outline.

    An empty outline would mean that the target is absent, so the box replaces it.
    """
    if not mask.any():
        left, top, columns, rows = whole_pixels(box_xywh)
        return Mask(np.ones((rows, columns), bool), (left, top))
    x, y, width, height = (int(value) for value in box_of_mask(mask))
    return Mask(mask[y : y + height, x : x + width].copy(), (x, y))


def paste_mask(
    logits: Float[np.ndarray, "cells cells"],
    corner_xy: tuple[int, int],
    side: int,
    size_hw: tuple[int, int],
    least: float,
) -> Bool[np.ndarray, "height width"]:
    """Return which pixels of an image have a logit above `least`; none outside the window.

    Args:
        logits: Of the cells of a square window, interpolated between their middles.
        corner_xy: Top-left pixel of the window.
        side: Of the window, image pixels.
        size_hw: Of the image.
        least: Logit of the threshold.
    """
    mask = np.zeros(size_hw, bool)
    corner = np.array(corner_xy)
    first, last = np.maximum(corner, 0), np.minimum(corner + side, size_hw[::-1])
    if (first >= last).any():
        return mask
    scale = logits.shape[0] / side
    # OpenCV counts from the middles of cells and pixels.
    shift = (first - corner + 0.5) * scale - 0.5
    shown = cv2.warpAffine(
        logits.astype(np.float32),
        np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]),
        (last - first).tolist(),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    mask[first[1] : last[1], first[0] : last[0]] = shown > least
    return mask

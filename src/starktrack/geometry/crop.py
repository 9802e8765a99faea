"""The one map between image and crop: the window that is cut, and its points.

Convention: a window is a square of `side` image pixels with its top-left corner at `origin_xy`, shown as a
crop of `size` x `size` pixels. What is cut always lies on whole image pixels. The authors' code reads labels
and decodes predictions as if it did not; those two quirks are `label_transform` and `decode_transform`.
"""

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float

from starktrack.arrays import Boxes, Image, PaddingMask, SquareImage
from starktrack.errors import BoxError
from starktrack.geometry import boxes as box_arithmetic
from starktrack.geometry.sampling import BORDER_PIXELS, bilinear_taps, resample

Geometry = Literal["published", "exact"]

LARGEST_PADDED_SIDE = 4096
"""Windows with a larger side are sampled in place, so that memory does not grow with them."""


@dataclass(frozen=True)
class CropTransform:
    """The map between image pixels and a crop, for a batch of windows.

    Attributes:
        origin_xy: Top-left corner of each window, image pixels.
        side: Side of each window, image pixels.
        size: Side of the crop, crop pixels.

    `to_crop` and `to_image` are inverse.
    """

    origin_xy: Float[np.ndarray, "batch 2"]
    side: Float[np.ndarray, " batch"]
    size: int

    def to_crop(self, boxes_xywh: Boxes) -> Boxes:
        """Return boxes in image pixels as cxcywh in crop units [0, 1]."""
        boxes_cxcywh = box_arithmetic.xywh_to_cxcywh(boxes_xywh)
        return (boxes_cxcywh - self._offset()) / self.side[:, None]

    def to_image(self, boxes_cxcywh: Boxes) -> Boxes:
        """Return boxes in crop units [0, 1] as xywh in image pixels."""
        return box_arithmetic.cxcywh_to_xywh(boxes_cxcywh * self.side[:, None] + self._offset())

    def _offset(self) -> Boxes:
        return np.concatenate([self.origin_xy, np.zeros_like(self.origin_xy)], axis=1)


@dataclass(frozen=True)
class Crop:
    """A square picture cut from an image.

    Attributes:
        image: RGB crop, black outside the image.
        padding_mask: True where the crop lies outside the image.
        transform: Where it was cut (a batch of one).
    """

    image: SquareImage
    padding_mask: PaddingMask
    transform: CropTransform


def crop_transform(boxes_xywh: Boxes, factor: float, size: int) -> CropTransform:
    """Return the windows to cut around boxes: `factor` times the square root of their area, whole pixels.

    Raises:
        BoxError: A box has no area.

    Source: the authors' sample_target; rounding is half to even (golden `sample_target`).
    """
    side = _window_side(boxes_xywh, factor)
    return CropTransform(np.round(_centre_xy(boxes_xywh) - side[:, None] / 2), side, size)


def decode_transform(boxes_xywh: Boxes, factor: float, size: int, geometry: Geometry) -> CropTransform:
    """Return the map by which predictions on such a crop go back to the image.

    Convention: `exact` is the window that was cut; `published` ignores the rounding of its corner.
    """
    if geometry == "exact":
        return crop_transform(boxes_xywh, factor, size)
    side = _window_side(boxes_xywh, factor)
    return CropTransform(_centre_xy(boxes_xywh) - side[:, None] / 2, side, size)


def label_transform(boxes_xywh: Boxes, factor: float, size: int, geometry: Geometry) -> CropTransform:
    """Return the map by which true boxes become training labels on such a crop.

    Convention: `exact` is the window that was cut; `published` puts the centre of the box that was cropped
    at (size - 1) / 2 crop pixels, half a pixel from where `decode_transform` has it (docs/parity.md).
    """
    if geometry == "exact":
        return crop_transform(boxes_xywh, factor, size)
    side = _window_side(boxes_xywh, factor)
    return CropTransform(_centre_xy(boxes_xywh) - ((size - 1) / 2 * side / size)[:, None], side, size)


def cut(image: Image, transform: CropTransform, geometry: Geometry, index: int = 0) -> Crop:
    """Return the crop of window `index`, black and masked outside the image.

    Convention: `published` counts the last image column and row as outside wherever the window reaches the
    border, and masks every crop pixel with a contribution of padding; `exact` masks pixels that are mostly padding.
    """
    window = CropTransform(
        transform.origin_xy[index : index + 1], transform.side[index : index + 1], transform.size
    )
    left, top, side = int(window.origin_xy[0, 0]), int(window.origin_xy[0, 1]), int(window.side[0])
    rows = visible_range(top, side, image.shape[0], geometry)
    columns = visible_range(left, side, image.shape[1], geometry)
    if side > LARGEST_PADDED_SIDE:
        picture = resample(image, (top, left), side, rows, columns, window.size)
    else:
        picture = _pad_and_resize(image, (top, left), side, rows, columns, window.size)
    masked = padded_pixels(rows, top, side, window.size, geometry)[:, None] | padded_pixels(
        columns, left, side, window.size, geometry
    )
    return Crop(picture, masked, window)


def visible_range(start: Any, side: Any, length: Any, geometry: Geometry) -> tuple[Any, Any]:
    """Return the first and past-the-last image index that windows along one axis show.

    An empty range (both equal) means that the window lies outside the image. Numbers or arrays.
    """
    within = length - BORDER_PIXELS[geometry]
    stop = np.where(start + side > within, within, start + side)
    first = np.clip(start, 0, length)
    return first, np.maximum(first, np.clip(stop, 0, length))


def padded_pixels(
    visible: tuple[Any, Any], start: Any, side: Any, size: int, geometry: Geometry
) -> Bool[np.ndarray, "*batch size"]:
    """Return which crop pixels along one axis count as padding, given the visible image range."""
    first, second, weight = bilinear_taps(side, size)
    outside_first = (first + start < visible[0]) | (first + start >= visible[1])
    outside_second = (second + start < visible[0]) | (second + start >= visible[1])
    share = outside_first * (1.0 - weight) + outside_second * weight
    return share > 0 if geometry == "published" else share > 0.5


def _window_side(boxes_xywh: Boxes, factor: float) -> Float[np.ndarray, " num_boxes"]:
    positive = (boxes_xywh[:, 2:] > 0).all(axis=1)
    if not positive.all():
        raise BoxError(
            f"a box to crop must have positive width and height, got {boxes_xywh[~positive][0].tolist()}"
        )
    # The product of two tiny sides underflows to 0, and a window needs a pixel.
    return np.maximum(1.0, np.ceil(np.sqrt(boxes_xywh[:, 2] * boxes_xywh[:, 3]) * factor))


def _centre_xy(boxes_xywh: Boxes) -> Float[np.ndarray, "num_boxes 2"]:
    return boxes_xywh[:, :2] + 0.5 * boxes_xywh[:, 2:]


def _pad_and_resize(
    image: Image,
    corner: tuple[int, int],
    side: int,
    rows: tuple[Any, Any],
    columns: tuple[Any, Any],
    size: int,
) -> SquareImage:
    top, left = corner
    shown = image[rows[0] : rows[1], columns[0] : columns[1]]
    if shown.shape[:2] != (side, side):
        padded = np.zeros((side, side, 3), np.uint8)
        if shown.size:
            padded[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left] = shown
        shown = padded
    return cv2.resize(shown, (size, size), interpolation=cv2.INTER_LINEAR)

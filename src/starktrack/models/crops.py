"""Crops cut where the network runs: many windows on few frames, with the bytes of `geometry.crop.cut`.

On a CPU each window goes through OpenCV. Elsewhere all windows are gathered at once, four image pixels for
each crop pixel, so that a frame reaches the device once and no window is ever built.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from starktrack.geometry.crop import CropTransform, Geometry, cut, padded_pixels, visible_range
from starktrack.geometry.sampling import bilinear_taps, blend, fixed_point

PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet in [0, 1], RGB."""

PIXELS_AT_ONCE = 1 << 22
"""Crop pixels gathered together; bounds the working memory (about 60 bytes each)."""


class Crops(NamedTuple):
    """A batch of crops on one device; padding is True where a crop lies outside its image."""

    images: UInt8[Tensor, "batch size size 3"]
    padding_mask: Bool[Tensor, "batch size size"]


class _Axis(NamedTuple):
    """Taps of every window along one axis: image indices, integer weights (0 outside), padding."""

    first: Int[np.ndarray, "batch size"]
    second: Int[np.ndarray, "batch size"]
    first_weight: Int[np.ndarray, "batch size"]
    second_weight: Int[np.ndarray, "batch size"]
    padding: Int[np.ndarray, "batch size"]


def cut_batch(
    images: Sequence[UInt8[Tensor, "_h _w 3"]],
    image_index: Int[np.ndarray, " batch"],
    transform: CropTransform,
    geometry: Geometry,
) -> Crops:
    """Return the crop of every window, black and masked outside its image.

    Args:
        images: The distinct frames, all on one device, RGB.
        image_index: For each window, which frame it lies on.
        transform: The windows, on whole image pixels (`geometry.crop.crop_transform`).
        geometry: What counts as outside, see `geometry.crop.cut`.
    """
    if images[0].device.type == "cpu":
        frames = [image.numpy() for image in images]
        crops = [cut(frames[image], transform, geometry, index) for index, image in enumerate(image_index)]
        return Crops(
            torch.from_numpy(np.stack([crop.image for crop in crops])),
            torch.from_numpy(np.stack([crop.padding_mask for crop in crops])),
        )
    return gather_crops(images, image_index, transform, geometry)


def gather_crops(
    images: Sequence[UInt8[Tensor, "_h _w 3"]],
    image_index: Int[np.ndarray, " batch"],
    transform: CropTransform,
    geometry: Geometry,
) -> Crops:
    """Return what `cut_batch` does, by gathering pixels on any device."""
    device = images[0].device
    height, width = np.array([image.shape[:2] for image in images]).T[:, image_index, None]
    start_x, start_y = transform.origin_xy.astype(np.int64).T[:, :, None]
    side = transform.side.astype(np.int64)[:, None]
    pixels_before = np.cumsum([0, *(image.shape[0] * image.shape[1] for image in images[:-1])])
    rows = _axis(start_y, side, height, transform.size, geometry)
    columns = _axis(start_x, side, width, transform.size, geometry)
    base = pixels_before[image_index, None]
    rows = rows._replace(first=base + rows.first * width, second=base + rows.second * width)
    plan = torch.from_numpy(np.stack([*rows, *columns])).to(device)
    # All frames in one row of pixels, so that windows on frames of different sizes are one gather.
    pixels = torch.cat([image.reshape(-1, 3) for image in images])
    per_chunk = max(1, PIXELS_AT_ONCE // transform.size**2)
    crops = [_gather(pixels, *part.unflatten(0, (2, 5))) for part in plan.split(per_chunk, dim=1)]
    padding = plan[4].bool()[:, :, None] | plan[9].bool()[:, None, :]
    return Crops(torch.cat(crops), padding)


def normalise(crops: UInt8[Tensor, "batch size size 3"]) -> Float[Tensor, "batch 3 size size"]:
    """Return crops as network input, channels-last in memory; see `standardise_`."""
    return standardise_(crops.float().div_(255))


def standardise_(pixels: Float[Tensor, "batch size size 3"]) -> Float[Tensor, "batch 3 size size"]:
    """Subtract ImageNet's mean from colours in [0, 1] and divide by its deviation, in place.

    Returns:
        The same memory with its channels second.
    """
    mean = torch.tensor(PIXEL_MEAN, device=pixels.device)
    std = torch.tensor(PIXEL_STD, device=pixels.device)
    return pixels.sub_(mean).div_(std).permute(0, 3, 1, 2)


def _axis(start: Any, side: Any, length: Any, size: int, geometry: Geometry) -> _Axis:
    visible = visible_range(start, side, length, geometry)
    first, second, weight = bilinear_taps(side, size)
    first_weight, second_weight = fixed_point(weight)
    # A tap outside the image reads a border pixel with weight 0, which gives black padding.
    taps = []
    for index, tap_weight in ((first + start, first_weight), (second + start, second_weight)):
        taps.append((index.clip(0, length - 1), tap_weight * ((index >= visible[0]) & (index < visible[1]))))
    padding = padded_pixels(visible, start, side, size, geometry).astype(np.int64)
    return _Axis(taps[0][0], taps[1][0], taps[0][1], taps[1][1], padding)


def _gather(pixels: Tensor, rows: Tensor, columns: Tensor) -> UInt8[Tensor, "batch size size 3"]:
    top, bottom, top_weight, bottom_weight = rows[:4, :, :, None]
    left, right, left_weight, right_weight = columns[:4, :, None, :]
    return blend(
        (pixels[top + left], pixels[top + right], pixels[bottom + left], pixels[bottom + right]),
        (top_weight[..., None].int(), bottom_weight[..., None].int()),
        (left_weight[..., None].int(), right_weight[..., None].int()),
    ).to(torch.uint8)

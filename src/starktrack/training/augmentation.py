"""Applies drawn augmentations to crops: mirror, colour, blur, noise, normalisation, occlusion."""

import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor
from torch.nn import functional

from starktrack.data.samples.batch import Augmentations
from starktrack.models.crops import standardise_

BLUR_RADIUS = 4
"""Taps on each side of the blur: two deviations of the strongest blur."""


def augment(
    crops: UInt8[Tensor, "num_crops size size 3"], augmentations: Augmentations
) -> Float[Tensor, "num_crops 3 size size"]:
    """Return augmented, normalised crops, channels-last in memory."""
    coloured = recoloured(mirrored(crops, augmentations.flip), augmentations)
    varied = standardise_(add_noise(blurred(coloured, augmentations.blur), augmentations))
    painted = augmentations.occluder_xyxy.any(1).nonzero()[:, 0]
    if len(painted):
        covered = occluded(augmentations.occluder_xyxy[painted], crops.shape[1])
        varied[painted] = varied[painted].masked_fill(covered[:, None], 0.0)
    return varied


def mirrored(
    values: Shaped[Tensor, "num_crops size size *channels"], flip: Bool[Tensor, " num_crops"]
) -> Shaped[Tensor, "num_crops size size *channels"]:
    """Return crops or masks with the chosen ones mirrored left to right."""
    chosen = flip.nonzero()[:, 0]
    return values.index_copy(0, chosen, values[chosen].flip(2))


def recoloured(
    crops: UInt8[Tensor, "num_crops size size 3"], augmentations: Augmentations
) -> Float[Tensor, "num_crops size size 3"]:
    """Return crops in [0, 1] after their colour maps; only maps that mix channels cost a matrix product."""
    gains = augmentations.colour.diagonal(dim1=1, dim2=2)
    mixing = (
        (augmentations.colour != torch.diag_embed(gains)).any(2).any(1) | (augmentations.shift != 0)
    ).nonzero()[:, 0]
    pixels = crops.float().mul_(gains[:, None, None] / 255)
    if len(mixing):
        values = crops[mixing].flatten(1, 2).float()
        mixed = torch.baddbmm(
            augmentations.shift[mixing, None, None], values, augmentations.colour[mixing].mT / 255
        )
        pixels[mixing] = mixed.view(len(mixing), *crops.shape[1:])
    return pixels.clamp_(0, 1)


def blurred(
    pixels: Float[Tensor, "num_crops size size 3"], deviation: Float[Tensor, " num_crops"]
) -> Float[Tensor, "num_crops size size 3"]:
    """Return crops with a Gaussian blur of each one's deviation (crop pixels; 0 leaves it alone)."""
    chosen = deviation.nonzero()[:, 0]
    if not len(chosen):
        return pixels
    offsets = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=pixels.device)
    taps = torch.exp(-0.5 * (offsets / deviation[chosen, None]) ** 2)
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(3, 0)[:, None]
    planes = pixels[chosen].permute(0, 3, 1, 2).flatten(0, 1)[None]
    padded = functional.pad(planes, (BLUR_RADIUS,) * 4, mode="replicate")
    rows = functional.conv2d(padded, taps[..., None], groups=len(taps))
    both = functional.conv2d(rows, taps[:, :, None], groups=len(taps))
    return pixels.index_copy(0, chosen, both[0].unflatten(0, (-1, 3)).permute(0, 2, 3, 1))


def add_noise(
    pixels: Float[Tensor, "num_crops size size 3"], augmentations: Augmentations
) -> Float[Tensor, "num_crops size size 3"]:
    """Return crops with each one's Gaussian noise, the same for the same seed on the same kind of device."""
    chosen = augmentations.noise.nonzero()[:, 0]
    if not len(chosen):
        return pixels
    generator = torch.Generator(pixels.device)
    grain = torch.stack(
        [
            torch.randn(pixels.shape[1:], generator=generator.manual_seed(seed), device=pixels.device)
            for seed in augmentations.noise_seed[chosen].tolist()
        ]
    )
    noisy = pixels[chosen] + grain * augmentations.noise[chosen, None, None, None]
    return pixels.index_copy(0, chosen, noisy.clamp(0, 1))


def occluded(rectangle_xyxy: Float[Tensor, "num_crops 4"], size: int) -> Bool[Tensor, "num_crops size size"]:
    """Return which crop pixels have their centre inside each rectangle (crop units)."""
    centre = (torch.arange(size, device=rectangle_xyxy.device) + 0.5) / size
    left, top, right, bottom = rectangle_xyxy.T[:, :, None]
    columns = (centre >= left) & (centre < right)
    rows = (centre >= top) & (centre < bottom)
    return rows[:, :, None] & columns[:, None, :]

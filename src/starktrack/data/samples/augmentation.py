"""Draws the augmentations of each crop of a sample; the device applies them to the whole batch.

Convention: colours are a linear map of RGB in [0, 1], so that all colour changes of a crop are one matrix. The order
is colour, blur, noise, occluder. Boxes are those of the crop after mirroring.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from starktrack.arrays import Box
from starktrack.config.data import AugmentConfig

LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Share of red, green and blue in grey (ITU-R BT.601)."""

BLUR_DEVIATIONS = (0.5, 2.0)
MAX_NOISE = 0.06
OCCLUDED_SHARES = (0.3, 0.7)
"""An occluder covers this share of each side of the target."""


@dataclass(frozen=True)
class Augmentation:
    """The augmentation of one crop.

    Attributes:
        flip: Whether it is mirrored left to right.
        colour: Matrix that maps RGB in [0, 1].
        shift: Added to it afterwards.
        blur: Deviation of a Gaussian blur, crop pixels; 0 is none.
        noise: Deviation of Gaussian noise, of the range [0, 1]; 0 is none.
        noise_seed: Seed of that noise.
        occluder_xyxy: Rectangle painted over, crop units; zeros are none.
    """

    flip: bool
    colour: Float[np.ndarray, "3 3"]
    shift: float
    blur: float
    noise: float
    noise_seed: int
    occluder_xyxy: Float[np.ndarray, "4"]


def flip_box(box_cxcywh: Float[np.ndarray, "*boxes 4"]) -> Float[np.ndarray, "*boxes 4"]:
    """Return the box of a crop mirrored left to right, crop units."""
    return np.array([1.0, 0.0, 0.0, 0.0]) + box_cxcywh * np.array([-1.0, 1.0, 1.0, 1.0])


def draw_augmentations(
    config: AugmentConfig, boxes_cxcywh: Float[np.ndarray, "num_crops 4"], rng: np.random.Generator
) -> tuple[Augmentation, ...]:
    """Return the augmentations of the crops of one sample, templates first and search last.

    Args:
        config: Probabilities and strengths.
        boxes_cxcywh: The target in each crop before mirroring, crop units.
        rng: The source of randomness.
    """
    all_grey, all_flipped = rng.random() < config.grayscale, rng.random() < config.joint_flip
    augmentations = []
    for index, box in enumerate(boxes_cxcywh):
        flip = bool(all_flipped ^ (rng.random() < config.flip))
        is_search = index == len(boxes_cxcywh) - 1
        occlusion = config.search_occlusion if is_search else config.template_occlusion
        colour, shift = _draw_colour(config, bool(all_grey), rng)
        augmentations.append(
            Augmentation(
                flip=flip,
                colour=colour,
                shift=shift,
                blur=_draw_or_zero(config.blur, *BLUR_DEVIATIONS, rng),
                noise=_draw_or_zero(config.noise, 0.0, MAX_NOISE, rng),
                noise_seed=int(rng.integers(2**31)),
                occluder_xyxy=_draw_occluder(flip_box(box) if flip else box, occlusion, rng),
            )
        )
    return tuple(augmentations)


def _draw_colour(
    config: AugmentConfig, grey: bool, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "3 3"], float]:
    brightness, contrast, saturation = 1 + rng.uniform(-1, 1, 3) * [
        config.brightness,
        config.contrast,
        config.saturation,
    ]
    gains = 1 + rng.uniform(-1, 1, 3) * config.gain
    saturation = 0.0 if grey else saturation
    to_grey = np.tile(LUMINANCE, (3, 1))
    mixed = saturation * np.eye(3) + (1 - saturation) * to_grey
    gains = np.full(3, gains.mean()) if grey else gains
    return contrast * brightness * gains[:, None] * mixed, float(0.5 * (1 - contrast))


def _draw_or_zero(probability: float, low: float, high: float, rng: np.random.Generator) -> float:
    wanted, value = rng.random() < probability, rng.uniform(low, high)
    return float(value) if wanted else 0.0


def _draw_occluder(box_cxcywh: Box, probability: float, rng: np.random.Generator) -> Box:
    wanted = rng.random() < probability
    size = box_cxcywh[2:] * rng.uniform(*OCCLUDED_SHARES, 2)
    corner = box_cxcywh[:2] - box_cxcywh[2:] / 2 + (box_cxcywh[2:] - size) * rng.random(2)
    return np.concatenate([corner, corner + size]) if wanted else np.zeros(4)

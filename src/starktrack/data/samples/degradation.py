"""Degrades frames before cropping, as small and distant targets look: few pixels, compression, motion blur.

Convention: only the part of the frame that a window shows is changed, in a copy. It works on frames, so that crops are
the same wherever they are cut.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from starktrack.arrays import Image
from starktrack.config.data import AugmentConfig
from starktrack.errors import DatasetError
from starktrack.geometry.crop import CropTransform

SMALL_SIDES = (8.0, 20.0)
"""Square root of the area of a target after downsampling, pixels."""

QUALITIES = (25, 90)
"""JPEG qualities of compressed crops."""

STREAKS = (0.1, 0.5)
"""Length of a streak of motion blur, in square roots of the area of the target."""

MAX_STREAK = 31
"""Longest streak, pixels of the shown part: after longer ones no target is visible."""


@dataclass(frozen=True)
class Degradation:
    """The degradation of the picture in one window.

    Attributes:
        scale: It is downsampled by this and enlarged again; 1 leaves it.
        quality: Of JPEG compression at that size; 0 is none.
        streak_xy: Motion of the camera while the shutter was open, frame pixels; zeros are none.
    """

    scale: float
    quality: int
    streak_xy: Float[np.ndarray, "2"]

    @property
    def changes_anything(self) -> bool:
        """Whether the picture is changed."""
        return self.scale < 1 or self.quality > 0 or bool(self.streak_xy.any())


def draw_degradations(
    config: AugmentConfig, target_sides: list[float], rng: np.random.Generator
) -> tuple[Degradation, ...]:
    """Return the degradations of the crops of one sample, templates first and search last.

    All crops of a sample are small or compressed together, as the frames of one video are; each has motion blur of its
    own.

    Args:
        config: How often.
        target_sides: Square root of the target's area for each crop, frame pixels.
        rng: The source of randomness.
    """
    small, compressed = rng.random() < config.small, rng.random() < config.compression
    wanted, quality = rng.uniform(*SMALL_SIDES), int(rng.integers(*QUALITIES))
    drawn = []
    for side in target_sides:
        scale = min(1.0, wanted * float(np.exp(rng.normal(0, 0.1))) / side) if small else 1.0
        length, angle = rng.uniform(*STREAKS) * side, rng.uniform(0, np.pi)
        streak = length * np.array([np.cos(angle), np.sin(angle)])
        is_blurred = rng.random() < config.motion_blur
        drawn.append(Degradation(scale, quality if compressed else 0, streak if is_blurred else np.zeros(2)))
    return tuple(drawn)


def degraded(frame: Image, window: CropTransform, degradation: Degradation) -> Image:
    """Return a copy of a frame, degraded inside the window."""
    side = window.side[0]
    size_wh = np.array(frame.shape[1::-1])
    low = np.clip(np.floor(window.origin_xy[0]), 0, size_wh).astype(int)
    high = np.clip(np.ceil(window.origin_xy[0] + side), 0, size_wh).astype(int)
    if (high - low).min() < 2:
        return frame
    shown = frame[low[1] : high[1], low[0] : high[0]]
    full_wh = tuple((high - low).tolist())
    small_wh = tuple(max(1, round(length * degradation.scale)) for length in full_wh)
    worse = shown
    if degradation.streak_xy.any():
        worse = cv2.filter2D(worse, -1, _streak(degradation.streak_xy), borderType=cv2.BORDER_REPLICATE)
    if small_wh != full_wh:
        worse = cv2.resize(worse, small_wh, interpolation=cv2.INTER_AREA)
    if degradation.quality:
        worse = _compressed(worse, degradation.quality)
    if small_wh != full_wh:
        worse = cv2.resize(worse, full_wh, interpolation=cv2.INTER_LINEAR)
    copy = frame.copy()
    copy[low[1] : high[1], low[0] : high[0]] = worse
    return copy


def _streak(streak_xy: Float[np.ndarray, "2"]) -> Float[np.ndarray, "taps taps"]:
    """Return the kernel of a straight motion: the weight of each pixel along it, with a sum of 1."""
    length = min(float(np.hypot(*streak_xy)), MAX_STREAK)
    reach = int(np.ceil(length / 2))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    steps = np.linspace(-length / 2, length / 2, 4 * reach + 1)
    direction = streak_xy / np.hypot(*streak_xy)
    columns, rows = np.rint(reach + steps[:, None] * direction).astype(int).T
    np.add.at(kernel, (rows, columns), 1.0)
    return kernel / kernel.sum()


def _compressed(image: Image, quality: int) -> Image:
    # The order of the channels matters to JPEG: its colour planes are those of BGR.
    done, packed = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise DatasetError(f"a crop must be a picture that JPEG can hold, got {image.shape}")
    unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    assert unpacked is not None, "what was just packed can be unpacked"
    return cv2.cvtColor(unpacked, cv2.COLOR_BGR2RGB)

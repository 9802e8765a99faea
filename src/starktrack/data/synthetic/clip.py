"""A short clip with a moving object and its true boxes, computed for the demo and the profiler."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from starktrack.arrays import Box, Image, SquareImage
from starktrack.geometry.boxes import box_of_mask


@dataclass(frozen=True)
class ClipFrame:
    """One frame and the true box of its object, image pixels."""

    image: Image
    box_xywh: Box


def synthetic_clip(
    num_frames: int, *, seed: int = 0, size_hw: tuple[int, int] = (360, 480), object_seed: int = 0
) -> Iterator[ClipFrame]:
    """Yield frames in which an object moves, turns and changes its size over a drifting background.

    The same arguments give the same frames. `seed` chooses background and path, `object_seed` the object.
    """
    height, width = size_hw
    rng = np.random.default_rng([seed, 1])
    background = _texture((height + 80, width + 80), 24, rng) // 3 + 80
    face = _object(96, object_seed)
    phase = rng.uniform(0, 2 * np.pi, 6)
    for index in range(num_frames):
        time = index / 30.0
        left, top = (40 + 36 * np.sin(time * np.array([0.5, 0.4]) + phase[:2])).astype(int)
        image = background[top : top + height, left : left + width].copy()
        centre = (
            width * (0.5 + 0.32 * np.sin(time * 0.9 + phase[2])),
            height * (0.5 + 0.28 * np.sin(time * 1.3 + phase[3])),
        )
        object_side = 0.22 * height * (1 + 0.25 * np.sin(time * 0.8 + phase[4]))
        yield ClipFrame(image, _paste(image, face, centre, object_side, 15 * np.sin(time + phase[5])))


def _paste(
    image: Image, face: SquareImage, centre: tuple[float, float], side: float, degrees: float
) -> np.ndarray:
    """Draw the turned object over the image in place and return its box."""
    height, width = image.shape[:2]
    scale = side / face.shape[0]
    turn = cv2.getRotationMatrix2D((face.shape[1] / 2 - 0.5, face.shape[0] / 2 - 0.5), degrees, scale)
    turn[:, 2] += np.array(centre) - np.array([face.shape[1] / 2, face.shape[0] / 2])
    drawn = cv2.warpAffine(face, turn, (width, height), flags=cv2.INTER_LINEAR)
    ellipse = np.zeros(face.shape[:2], np.uint8)
    middle = (face.shape[1] // 2, face.shape[0] // 2)
    cv2.ellipse(ellipse, middle, (middle[0] - 2, int(middle[1] * 0.75)), 0, 0, 360, 255, -1)
    mask = cv2.warpAffine(ellipse, turn, (width, height), flags=cv2.INTER_LINEAR)
    share = mask[..., None] / np.float32(255)
    image[:] = (image * (1 - share) + drawn * share).astype(np.uint8)
    return np.array(box_of_mask(mask > 127))


def _object(side: int, seed: int) -> SquareImage:
    rng = np.random.default_rng([seed, 2])
    stripes = _texture((side, side), 4, rng).astype(np.int64)
    rows, columns = np.mgrid[:side, :side] * 5 // side
    colour = rng.permutation([230, 60, 40])
    return np.where(((rows + columns) % 2 == 1)[..., None], (stripes + 3 * colour) // 4, stripes // 3).astype(
        np.uint8
    )


def _texture(size_hw: tuple[int, int], cells: int, rng: np.random.Generator) -> Image:
    grid = rng.integers(0, 255, (cells, cells, 3), dtype=np.uint8)
    return cv2.resize(grid, size_hw[::-1], interpolation=cv2.INTER_CUBIC)

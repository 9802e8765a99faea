"""Cut-outs painted onto a frame: placed, blurred by their motion, blended by their opacity."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from starktrack.arrays import Image
from starktrack.data.synthetic.cutouts import CutOut
from starktrack.data.synthetic.motion import Poses

LONGEST_BLUR = 31
"""Motion blur is cut off at this many pixels."""


def paint(frame: Image, cutout: CutOut, poses: Poses, index: int, *, exposure: float) -> None:
    """Paint a cut-out into a frame, in place, as it lies in frame `index`.

    Args:
        frame: Changed where the cut-out lies.
        cutout: What to paint.
        poses: Where it lies.
        index: In which frame of the video.
        exposure: Time that the shutter is open, frames; a moving cut-out is blurred along its way.
    """
    streak = _velocity(cutout, poses, index) * exposure
    reach = int(np.ceil(np.abs(streak).max() / 2)) + 1
    height, width = cutout.pixels.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    placed = corners @ poses.linear[index].T + poses.offset[index]
    left, top = (np.floor(placed.min(axis=0)).astype(int) - reach).clip(0)
    right, bottom = np.minimum(np.ceil(placed.max(axis=0)).astype(int) + reach, frame.shape[1::-1])
    if left >= right or top >= bottom:
        return
    offset = poses.offset[index] - [left, top]
    matrix = _on_pixel_centres(poses.linear[index], offset)
    layer = cv2.warpAffine(
        cutout.pixels, matrix, (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR
    )
    if np.hypot(*streak) >= 2:
        layer = cv2.filter2D(layer, -1, _streak(streak), borderType=cv2.BORDER_CONSTANT)
    region = frame[top:bottom, left:right]
    clear = 1 - layer[..., 3:].astype(np.float32) / 255
    region[:] = np.minimum(region * clear + layer[..., :3] + 0.5, 255)


def paint_background(
    picture: Image, poses: Poses, index: int, size_wh: tuple[int, int]
) -> UInt8[np.ndarray, "frame_height frame_width 3"]:
    """Return a frame filled with a picture as it lies in frame `index`, mirrored beyond its edges."""
    matrix = _on_pixel_centres(poses.linear[index], poses.offset[index])
    return cv2.warpAffine(picture, matrix, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def relight(frame: Image, light: Float[np.ndarray, "3"]) -> Image:
    """Return the frame with its channels times their light."""
    table = np.minimum(np.arange(256)[:, None] * light + 0.5, 255).astype(np.uint8)
    return cv2.LUT(frame, table[:, None])


def _on_pixel_centres(linear: np.ndarray, offset: np.ndarray) -> Float[np.ndarray, "2 3"]:
    """Return the map for OpenCV, which counts from pixel centres, of one that counts from edges."""
    half = np.array([0.5, 0.5])
    return np.column_stack([linear, offset + linear @ half - half])


def _velocity(cutout: CutOut, poses: Poses, index: int) -> Float[np.ndarray, "2"]:
    before, after = max(index - 1, 0), min(index + 1, len(poses.offset) - 1)
    middle = np.array(cutout.pixels.shape[1::-1]) / 2
    moved = (poses.linear[after] - poses.linear[before]) @ middle + poses.offset[after] - poses.offset[before]
    return moved / max(after - before, 1)


def _streak(step_xy: Float[np.ndarray, "2"]) -> Float[np.ndarray, "size size"]:
    step = step_xy * min(1.0, LONGEST_BLUR / np.hypot(*step_xy))
    radius = int(np.ceil(np.abs(step).max() / 2))
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    along = np.linspace(-0.5, 0.5, 4 * radius + 1)
    columns, rows = (np.rint(along * step[axis]).astype(int) + radius for axis in (0, 1))
    np.add.at(kernel, (rows, columns), 1.0)
    return kernel / kernel.sum()

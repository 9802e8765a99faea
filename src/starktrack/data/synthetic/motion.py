"""Smooth random motion: the place of a cut-out in every frame of a video.

Convention: a pose maps cut-out pixels to frame pixels, edges continuous.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

TURN = 0.25
"""Typical rotation, radians."""

GROWTH = 0.25
"""Typical change of size, logarithm."""

SINES = np.array([1.0, 2.0, 4.0])
"""Most swings of the sines of a random curve in a video; the amplitude of each is divided by its number of
swings.
"""

SQUEEZE = 0.08
"""Typical change of the ratio of sides, logarithm, as if turning in depth."""


@dataclass(frozen=True)
class Poses:
    """The place of a cut-out in each frame: its point p is at `linear[t] @ p + offset[t]`."""

    linear: Float[np.ndarray, "num_frames 2 2"]
    offset: Float[np.ndarray, "num_frames 2"]

    def to_frame(
        self, points_xy: Float[np.ndarray, "num_points 2"]
    ) -> Float[np.ndarray, "num_frames num_points 2"]:
        """Return where points of the cut-out lie in each frame."""
        return points_xy @ self.linear.swapaxes(1, 2) + self.offset[:, None]

    def to_cutout(
        self, points_xy: Float[np.ndarray, "num_frames num_points 2"]
    ) -> Float[np.ndarray, "num_frames num_points 2"]:
        """Return which points of the cut-out lie at these points of each frame."""
        return (points_xy - self.offset[:, None]) @ np.linalg.inv(self.linear).swapaxes(1, 2)


def wave(num_frames: int, amplitude: float, rng: np.random.Generator) -> Float[np.ndarray, " num_frames"]:
    """Return a smooth random curve of about this amplitude: three sines, the faster the smaller."""
    time = np.arange(num_frames)[:, None] / max(num_frames - 1, 1)
    cycles = SINES * rng.uniform(0.3, 1.0, 3)
    return np.sin(2 * np.pi * (cycles * time + rng.random(3))) @ (amplitude / SINES)


def wandering(
    num_frames: int, size_wh: tuple[int, int], rng: np.random.Generator
) -> Float[np.ndarray, "num_frames 2"]:
    """Return a path that stays inside a frame, slow or fast, frame pixels."""
    size = np.array(size_wh, float)
    reach = np.exp(rng.uniform(np.log(0.02), np.log(0.5))) * size.max()
    path = size * rng.uniform(0.2, 0.8, 2) + np.stack(
        [wave(num_frames, reach, rng) for _ in range(2)], axis=1
    )
    return size / 2 + 0.46 * size * np.tanh((path - size / 2) / (0.46 * size))


def excursion(
    num_frames: int, size_wh: tuple[int, int], distance: float, rng: np.random.Generator
) -> Float[np.ndarray, "num_frames 2"]:
    """Return what to add to a path so that it leaves the frame once, by `distance`, and comes back."""
    centre, width = rng.uniform(0.2, 0.9), rng.uniform(0.05, 0.15)
    bump = np.exp(-(((np.linspace(0, 1, num_frames) - centre) / width) ** 2))
    axis, sign = rng.integers(2), rng.choice([-1.0, 1.0])
    step = np.zeros(2)
    step[axis] = sign * (size_wh[axis] + distance)
    return bump[:, None] * step


def passing(
    path: Float[np.ndarray, "num_frames 2"], distance: float, rng: np.random.Generator
) -> Float[np.ndarray, "num_frames 2"]:
    """Return a path that crosses another one once, starting and ending about `distance` away from it."""
    num_frames = len(path)
    moment, duration = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.5)
    angle, miss = rng.uniform(0, 2 * np.pi), rng.uniform(-0.2, 0.2) * distance
    direction, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    progress = (np.linspace(0, 1, num_frames) - moment) * 2 / duration
    return path + distance * progress[:, None] * direction + miss * across


def draw_poses(
    path: Float[np.ndarray, "num_frames 2"], cutout_size_wh: tuple[int, int], rng: np.random.Generator
) -> Poses:
    """Return the poses of a cut-out whose middle follows a path while it turns, grows and is squeezed."""
    num_frames, vigour = len(path), rng.uniform(0.2, 1.5)
    angle = rng.normal(0, TURN / 2) + wave(num_frames, TURN * vigour, rng)
    size = np.exp(wave(num_frames, GROWTH * vigour, rng))
    ratio = np.exp(wave(num_frames, SQUEEZE * vigour, rng))
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    linear = rotation * np.stack([size * ratio, size / ratio], -1)[:, None, :]
    middle = np.array(cutout_size_wh) / 2
    return Poses(linear, path - linear @ middle)

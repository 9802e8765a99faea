"""A search region bent out of shape: what a still picture cannot show of a target that turns and moves its limbs.

Without it the target of a picture looks the same in template and search region, but for light, size and mirroring.
Convention: the region is sampled backwards; `places` are points of the old region (pixels, edges continuous), one
for each point of the new one.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from starktrack.arrays import Box, Image
from starktrack.data.staging import SearchView

TURN, ASPECT, SHEAR = 0.15, 0.12, 0.08
"""Deviation of the rotation (radians), of the logarithm of the ratio of sides, and of the shear."""

KNOTS_PER_TARGET, BEND = 2.0, 0.05
"""Knots of the bending along one side of the target, and their deviation in sides of the target."""

MAX_KNOTS = 16

ROUNDNESS = 4.0
"""Exponent of the outline of a target without a mask: between an ellipse (2) and its box."""

FINE = 384
"""Points along one side of the region at which the new box is looked for."""

MIN_SEEN = 0.5
"""The view stays as it is where less than this share of the box lies in the region."""

MEAN_COLOUR = (124, 116, 104)
"""Where the frame ends: what the network sees as nothing (the mean that pictures are normalised with)."""


def warped(view: SearchView, rng: np.random.Generator) -> SearchView:
    """Return the search region turned, sheared and bent around its target, with the target's new box.

    Only the region is kept: the new frame is as large, and what lay outside the frame is grey.
    """
    side = int(view.window.side[0])
    origin = view.window.origin_xy[0].astype(int)
    box = view.box_xywh - [*origin, 0, 0]
    seen = (np.minimum(box[:2] + box[2:], side) - np.maximum(box[:2], 0)).clip(0)
    if seen.prod() < MIN_SEEN * box[2:].prod():
        return view
    bend = _draw_bend(box, side, rng)
    mask = None if view.mask is None else _cropped(view.mask.astype(np.uint8), origin, side, 0)
    new_box = _box_of(_on_target(bend.places(FINE), box, mask), side)
    if new_box is None:
        return view
    places = (bend.places(side) - 0.5).astype(np.float32)
    frame = cv2.remap(
        _cropped(view.frame, origin, side, MEAN_COLOUR),
        places,
        None,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    if mask is not None:
        mask = cv2.remap(mask, places, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT).astype(bool)
    window = replace(view.window, origin_xy=np.zeros((1, 2)))
    return replace(view, frame=frame, box_xywh=new_box, mask=mask, window=window)


@dataclass(frozen=True)
class _Bend:
    """Where each point of the new region comes from: a linear map around the target's centre, and a bending.

    Attributes:
        linear: The linear map.
        centre_xy: What it leaves where it is, region pixels.
        knots: Offsets at the knots of an even grid, x and y, region pixels.
        side: Side of the region, pixels.
    """

    linear: Float[np.ndarray, "2 2"]
    centre_xy: Float[np.ndarray, "2"]
    knots: Float[np.ndarray, "knots knots 2"]
    side: int

    def places(self, count: int) -> Float[np.ndarray, "count count 2"]:
        """Return the places of `count` x `count` points that lie evenly over the new region."""
        along = (np.arange(count) + 0.5) * self.side / count
        points = np.stack(np.meshgrid(along, along), axis=-1) - self.centre_xy
        bending = cv2.resize(self.knots, (count, count), interpolation=cv2.INTER_CUBIC)
        return points @ self.linear.T + self.centre_xy + bending


def _draw_bend(box_xywh: Box, side: int, rng: np.random.Generator) -> _Bend:
    angle, ratio, shear = rng.normal(0, [TURN, ASPECT / 2, SHEAR])
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.array([[np.exp(ratio), shear], [0, np.exp(-ratio)]])
    target = float(np.sqrt(box_xywh[2:].prod()))
    num_knots = int(np.clip(np.ceil(KNOTS_PER_TARGET * side / target), 3, MAX_KNOTS))
    knots = rng.normal(0, BEND * target, (num_knots, num_knots, 2))
    return _Bend(linear, box_xywh[:2] + box_xywh[2:] / 2, knots, side)


def _cropped(
    picture: Image | UInt8[np.ndarray, "height width"], origin_xy: np.ndarray, side: int, border: object
) -> np.ndarray:
    """Return the region of a picture, with a border where the picture ends."""
    shift = np.array([[1.0, 0, -origin_xy[0]], [0, 1, -origin_xy[1]]])
    return cv2.warpAffine(
        picture,
        shift,
        (side, side),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border,
    )


def _on_target(
    places: Float[np.ndarray, "count count 2"], box_xywh: Box, mask: UInt8[np.ndarray, "side side"] | None
) -> Bool[np.ndarray, "count count"]:
    """Return which places lie on the target: on its mask, or else inside its box with rounded corners."""
    if mask is not None:
        found = cv2.remap(mask, (places - 0.5).astype(np.float32), None, cv2.INTER_NEAREST)
        return found.astype(bool)
    away = np.abs((places - box_xywh[:2]) * 2 / box_xywh[2:] - 1) ** ROUNDNESS
    return away.sum(axis=-1) <= 1


def _box_of(shown: Bool[np.ndarray, "count count"], side: int) -> Box | None:
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if not len(rows):
        return None
    low, high = np.array([columns[0], rows[0]]), np.array([columns[-1], rows[-1]]) + 1
    return np.concatenate([low, high - low]) * side / len(shown)

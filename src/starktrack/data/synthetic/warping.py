"""Warps a search region, as if the target of a still picture turned and moved its limbs. Without it the target looks
the same in template and search region, except for light, size and mirroring.
Convention: the region is sampled backwards; `places` are points of the old region (pixels, edges continuous), one
for each point of the new one.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from starktrack.arrays import Box
from starktrack.data.samples.distractors import MAX_INSIDE, SearchView, share_inside
from starktrack.geometry.boxes import box_of_mask, overlap, xywh_to_xyxy
from starktrack.geometry.crop import LARGEST_PADDED_SIDE, CropTransform

TURN, ASPECT, SHEAR = 0.15, 0.12, 0.08
"""Deviation of the rotation (radians), of the logarithm of the ratio of sides, and of the shear."""

KNOTS_PER_TARGET, BEND = 2.0, 0.05
"""Knots of the bending along one side of the target, and their deviation in sides of the target."""

MAX_KNOTS = 16
"""Most knots along one side of a region, which bounds the work for small targets."""

ROUNDNESS = 4.0
"""Exponent of the outline of a target without a mask: between an ellipse (2) and its box."""

FINE = 384
"""Points along one side of the region from which the new box is computed."""

MIN_AGREEMENT = 0.9
"""Least overlap of the box and the extent of the mask for the mask to define the box."""

MAX_ENLARGED = 2
"""Points along one side of the new frame are at most so many times the pixels of the crop."""

MIN_SEEN = 0.5
"""The view does not change if less than this share of the box lies in the region."""

MEAN_COLOUR = (124, 116, 104)
"""Colour beyond the frame: the mean that normalises pictures (`models.crops`)."""


def warped(view: SearchView, rng: np.random.Generator) -> SearchView:
    """Return the search region turned, sheared and bent around its target, with the target's new box.

    The region becomes a frame of its own, grey outside the old frame; regions with much padding do not change. The
    mask is warped too. It defines the new box only if it agreed with the old one: boxes include hidden parts, masks
    do not.
    """
    side = int(view.window.side[0])
    origin = view.window.origin_xy[0]
    # From pixels of the frame to pixels of the region.
    box = view.box_xywh - [*origin, 0, 0]
    seen = (np.minimum(box[:2] + box[2:], side) - np.maximum(box[:2], 0)).clip(0)
    if (
        side > LARGEST_PADDED_SIDE
        or share_inside(view) < MAX_INSIDE
        or seen.prod() < MIN_SEEN * box[2:].prod()
    ):
        return view
    bend = _draw_bend(box, side, rng)
    # On a fine grid of its own: the grid of the crop may be too coarse for a small target.
    shown = _on_target(bend.places(FINE), box, _telling_mask(view), origin)
    if not shown.any():
        return view
    new_box = np.array(box_of_mask(shown)) * side / FINE
    count = min(side, MAX_ENLARGED * view.window.size)  # more is not seen in the crop
    # OpenCV counts from the middle of a pixel, `places` from its edge.
    places = (bend.places(count) + origin - 0.5).astype(np.float32)
    # One map of both coordinates; OpenCV's stubs do not know that the second may be None.
    frame = cv2.remap(view.frame, places, None, cv2.INTER_LINEAR, borderValue=MEAN_COLOUR)  # pyright: ignore[reportCallIssue, reportArgumentType]
    mask = None if view.mask is None else _sampled(view.mask, places)
    window = CropTransform(np.zeros((1, 2)), np.array([float(count)]), view.window.size)
    return SearchView(frame, new_box * count / side, mask, window)


def _telling_mask(view: SearchView) -> Bool[np.ndarray, "height width"] | None:
    """Return the mask where its extent is the box."""
    if view.mask is None or not view.mask.any():
        return None
    extent, box = (xywh_to_xyxy(np.array([each])) for each in (box_of_mask(view.mask), view.box_xywh))
    return view.mask if overlap(extent, box)[0] >= MIN_AGREEMENT else None


@dataclass(frozen=True)
class _Bend:
    """The source of each point of the new region: a linear map around the target's centre, and a bending.

    Attributes:
        linear: The linear map.
        centre_xy: The fixed point of the linear map, region pixels.
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
    # The sides change by opposite factors, so that the target keeps its area.
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.array([[np.exp(ratio), shear], [0, np.exp(-ratio)]])
    target = float(np.sqrt(box_xywh[2:].prod()))
    num_knots = int(np.clip(np.ceil(KNOTS_PER_TARGET * side / target), 3, MAX_KNOTS))
    knots = rng.normal(0, BEND * target, (num_knots, num_knots, 2))
    return _Bend(linear, box_xywh[:2] + box_xywh[2:] / 2, knots, side)


def _sampled(mask: Bool[np.ndarray, "height width"], places: np.ndarray) -> Bool[np.ndarray, "count count"]:
    sampled = cv2.remap(mask.astype(np.uint8), places, None, cv2.INTER_NEAREST)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return sampled.astype(bool)


def _on_target(
    places: Float[np.ndarray, "count count 2"],
    box_xywh: Box,
    mask: Bool[np.ndarray, "height width"] | None,
    origin_xy: Float[np.ndarray, "2"],
) -> Bool[np.ndarray, "count count"]:
    """Return which places lie on the target: on its mask, or else inside its box with rounded corners."""
    if mask is not None:
        return _sampled(mask, (places + origin_xy - 0.5).astype(np.float32))
    away = np.abs((places - box_xywh[:2]) * 2 / box_xywh[2:] - 1) ** ROUNDNESS
    return away.sum(axis=-1) <= 1

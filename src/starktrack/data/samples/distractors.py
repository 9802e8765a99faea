"""Distractors in a search region: copies of the target, other objects, another picture in place of padding.

Copies lie farther from the middle of the search region than the target, because the middle is the target's last
place: so a network learns to prefer the nearest of equal objects. Other objects may lie anywhere, also in the
middle, so that it does not learn to prefer the nearest object of any kind. Pictures often end close to their object;
without a second picture the search region would be mostly padding and too easy.
"""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float

from starktrack.arrays import Box, Image
from starktrack.config.data import DistractorConfig
from starktrack.data.synthetic.cutouts import CutOut, cut_out, recolour
from starktrack.data.synthetic.motion import Poses
from starktrack.data.synthetic.painting import paint
from starktrack.errors import DatasetError
from starktrack.geometry.crop import CropTransform

MIN_SIDE = 8
"""Narrower or lower targets are not copied, image pixels."""

MAX_COVERED = 0.1
"""A copy as large as the target hides at most this share of its box."""

LEAD = 0.5
"""Least difference between the distances of a copy and of the target to the middle, in square roots of its area."""

MAX_PLACES = 10
"""Attempts to place a copy before it is left out."""

SIZE_DEVIATION = 0.12
"""Deviation of the logarithm of a copy's size over that of the target."""

TINTED, MAX_TINT = 0.5, 0.1
"""Share of the copies whose channels are at most about this share darker or lighter."""

MAX_HIDDEN = 0.5
"""Another object hides at most this share of the target's box."""

DISTRACTOR_DISTANCE, DISTRACTOR_SIZES = 0.8, (0.5, 1.2)
"""Deviation of its place from the target's, and its size, both in square roots of the target's area."""

MAX_INSIDE = 0.8
"""Regions with more than this share on their picture do not change."""

ZOOMS = (1.0, 2.0)
"""Scale of the background picture over the scale that would just fill the region."""


@dataclass(frozen=True)
class SearchView:
    """A search region, its frame, and the target in it.

    Attributes:
        frame: The whole frame.
        box_xywh: The true box, frame pixels.
        mask: The target's pixels, where they are known.
        window: The search region, a batch of one.
        others_xywh: Known boxes of other targets, frame pixels: those of the video, and inserted distractors.
    """

    frame: Image
    box_xywh: Box
    mask: Bool[np.ndarray, "height width"] | None
    window: CropTransform
    others_xywh: Float[np.ndarray, "num_others 4"] = field(default_factory=lambda: np.zeros((0, 4)))

    def others_inside(self) -> Float[np.ndarray, "num_inside 4"]:
        """Return the boxes of others whose middle lies in the search region, cxcywh, crop units."""
        boxes = self.window.to_crop(self.others_xywh) if len(self.others_xywh) else self.others_xywh
        return boxes[((boxes[:, :2] >= 0) & (boxes[:, :2] < 1)).all(axis=1)]


def with_background_fill(view: SearchView, picture: Image, rng: np.random.Generator) -> SearchView:
    """Return the same region on a frame that another picture continues beyond the border.

    A region that lies mostly on its frame does not change.
    """
    if share_inside(view) > MAX_INSIDE:
        return view
    side = int(view.window.side[0])
    left, top = (int(edge) for edge in view.window.origin_xy[0])
    height, width = view.frame.shape[:2]
    canvas = _filled(picture, side, rng)
    outline = None if view.mask is None else np.zeros((side, side), bool)
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    place = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    canvas[place] = view.frame[rows, columns]
    if outline is not None and view.mask is not None:
        outline[place] = view.mask[rows, columns]
    window = CropTransform(np.zeros((1, 2)), view.window.side, view.window.size)
    moved = view.others_xywh - [left, top, 0, 0]
    return SearchView(canvas, view.box_xywh - [left, top, 0, 0], outline, window, moved)


def with_target_copies(view: SearchView, config: DistractorConfig, rng: np.random.Generator) -> SearchView:
    """Return the view with copies of its target in the search region, as many as fit."""
    if view.box_xywh[2:].min() < MIN_SIDE:
        return view
    side = float(np.sqrt(view.box_xywh[2:].prod()))
    painted, boxes = view.frame.copy(), [*view.others_xywh]
    for _ in range(rng.integers(1, config.most_target_copies + 1)):
        place = _place(view, rng)
        share = float(np.exp(rng.normal(0, SIZE_DEVIATION)))
        gains = np.exp(rng.uniform(-MAX_TINT, MAX_TINT, 3)) if rng.random() < TINTED else np.ones(3)
        copy = _cut(view.frame, view.box_xywh, view.mask, side * share, rng)
        if place is not None and copy is not None:
            copy = recolour(copy, gains)
            paint(painted, copy, _pose(copy, place, rng), 0, exposure=0.0)
            size = view.box_xywh[2:] * share
            boxes.append(np.concatenate([place - size / 2, size]))
    return replace(view, frame=painted, others_xywh=np.array(boxes).reshape(-1, 4))


def with_distractor(
    view: SearchView,
    picture: Image,
    box_xywh: Box,
    mask: Bool[np.ndarray, "height width"] | None,
    rng: np.random.Generator,
) -> SearchView:
    """Return the view with an object of another picture near its target, or the view itself if none fits.

    Args:
        view: The search region.
        picture: Shows the other object.
        box_xywh: Where in that picture.
        mask: Its pixels, where they are known.
        rng: The source of randomness.
    """
    target, size = view.box_xywh[:2] + view.box_xywh[2:] / 2, view.box_xywh[2:]
    side = float(np.sqrt(size.prod()))
    wanted = side * float(rng.uniform(*DISTRACTOR_SIZES))
    copy = _cut(picture, box_xywh, mask, wanted, rng)
    if copy is None or min(box_xywh[2:].min(), size.min()) < MIN_SIDE:
        return view
    extent = np.array(copy.pixels.shape[1::-1])
    for _ in range(MAX_PLACES):
        place = target + rng.normal(0, DISTRACTOR_DISTANCE * side, 2)
        shared = (
            np.minimum(place + extent / 2, target + size / 2)
            - np.maximum(place - extent / 2, target - size / 2)
        ).clip(0)
        if shared.prod() <= MAX_HIDDEN * size.prod():
            painted = view.frame.copy()
            paint(painted, copy, _pose(copy, place, rng), 0, exposure=0.0)
            shown = box_xywh[2:] * wanted / np.sqrt(box_xywh[2:].prod())
            box = np.concatenate([place - shown / 2, shown])
            return replace(view, frame=painted, others_xywh=np.concatenate([view.others_xywh, box[None]]))
    return view


def share_inside(view: SearchView) -> float:
    """Return which share of the region lies on the frame."""
    side, size_wh = view.window.side[0], np.array(view.frame.shape[1::-1])
    start = view.window.origin_xy[0]
    covered = (np.minimum(start + side, size_wh) - np.maximum(start, 0)).clip(0)
    return float(covered.prod() / side**2)


def _filled(picture: Image, side: int, rng: np.random.Generator) -> Image:
    """Return a random part of a picture, scaled to a square."""
    part = max(2, int(min(picture.shape[:2]) / rng.uniform(*ZOOMS)))
    top, left = (int(rng.integers(length - part + 1)) for length in picture.shape[:2])
    square = picture[top : top + part, left : left + part]
    method = cv2.INTER_AREA if part > side else cv2.INTER_LINEAR
    return cv2.resize(square, (side, side), interpolation=method)


def _place(view: SearchView, rng: np.random.Generator) -> Float[np.ndarray, "2"] | None:
    """Return the middle of a copy, frame pixels."""
    origin, side, size_wh = view.window.origin_xy[0], view.window.side[0], view.frame.shape[1::-1]
    target, size = view.box_xywh[:2] + view.box_xywh[2:] / 2, view.box_xywh[2:]
    middle = origin + side / 2
    nearest = np.hypot(*(target - middle)) + LEAD * np.sqrt(size.prod())
    for _ in range(MAX_PLACES):
        place = origin + side * rng.random(2)
        is_clear = (size - np.abs(place - target)).clip(0).prod() <= MAX_COVERED * size.prod()
        is_inside = bool(((place >= 0) & (place < size_wh)).all())
        if is_clear and is_inside and np.hypot(*(place - middle)) >= nearest:
            return place
    return None


def _cut(
    picture: Image,
    box_xywh: Box,
    mask: Bool[np.ndarray, "height width"] | None,
    side: float,
    rng: np.random.Generator,
) -> CutOut | None:
    try:
        return cut_out(picture, box_xywh, mask, side=side, roundness=float(rng.uniform(2, 5)))
    except DatasetError:
        return None  # the box lies outside the picture, or its mask is empty: there is nothing to cut out


def _pose(copy: CutOut, place_xy: Float[np.ndarray, "2"], rng: np.random.Generator) -> Poses:
    mirror = np.diag([float(rng.choice([-1.0, 1.0])), 1.0])
    middle = np.array(copy.pixels.shape[1::-1]) / 2
    return Poses(mirror[None], (place_xy - mirror @ middle)[None])

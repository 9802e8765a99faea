"""The windows of a sample's crops, around jittered boxes as in tracking, and the labels in them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from starktrack.arrays import Box
from starktrack.config.data import JitterConfig
from starktrack.config.network import CropConfig, CropPlan, NetworkConfig
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import BoxError, ConfigError
from starktrack.geometry.crop import (
    CropTransform,
    crop_transform,
    label_transform,
    padded_pixels,
    visible_range,
)
from starktrack.geometry.jitter import jitter_box

SEARCH_REACH = 0.9
"""Centre jitter of search regions over their factor (4.5 of 5 in the authors' configurations)."""

ABSENT_SHARE = 1 / 8
"""Sides of the search box in a frame without a target, over the frame's (the authors' sampler)."""

NEIGHBOUR_SCALE, NEIGHBOUR_CENTRE = 0.1, 0.5
"""Jitter of regions around earlier boxes and around other targets, since a tracker's boxes are not exact."""

DRIFT_DISTANCE = (0.75, 1.5)
"""Least and largest distance of a template that drifted beside the target, in square roots of the area of its box."""

MAX_NEIGHBOUR_DRAWS = 10
"""Attempts at a jittered region around another target before the region is taken without jitter."""


@dataclass(frozen=True)
class Cropper:
    """Windows and labels of a sample's crops.

    Attributes:
        model: Crop sides and factors, geometry.
        jitter: Distance of windows from the true box.

    Raises:
        ConfigError: The jitter would move targets out of the search region or of a template.
    """

    model: NetworkConfig
    jitter: JitterConfig

    def __post_init__(self) -> None:
        factor = self.model.crops.search.factor
        if self.search_centre >= factor:
            raise ConfigError(
                f"jitter.search_centre must be less than search.factor={factor:g}, or a target may lie "
                f"outside its crop, got {self.search_centre:g}; leave it out"
            )
        factor = self.model.crops.template.factor
        for name in ("template_centre", "dynamic_centre"):
            centre = getattr(self.jitter, name)
            if centre is not None and centre >= factor:
                raise ConfigError(
                    f"jitter.{name} must be less than template.factor={factor:g}, or a target may lie "
                    f"outside its crop, got {centre:g}; leave it out"
                )
        names, default = ("dynamic_centre", "dynamic_scale", "drift_share", "initial_share"), JitterConfig()
        given = [name for name in names if getattr(self.jitter, name) != getattr(default, name)]
        if self.model.crops.num_templates < 2 and given:
            raise ConfigError(
                f"jitter.{given[0]} is about dynamic templates, so num_templates must be at least 2, got "
                f"{self.model.crops.num_templates}; leave it out"
            )

    @property
    def search_centre(self) -> float:
        """Return the centre jitter of search regions, see `JitterConfig`."""
        given = self.jitter.search_centre
        return SEARCH_REACH * self.model.crops.search.factor if given is None else given

    def template(
        self,
        sequence: VideoSequence,
        frame: int,
        size_hw: tuple[int, int],
        rng: np.random.Generator,
        *,
        is_dynamic: bool = False,
    ) -> tuple[CropTransform, Box]:
        """Return the window of a template, and in its crop the true box of what it shows.

        A dynamic template is cut around a tracker's own box: it is less exact, and may show something else.
        """
        box, jitter = sequence.boxes_xywh[frame], self.jitter
        scale, centre = jitter.template_scale, jitter.template_centre
        if is_dynamic:
            scale = scale if jitter.dynamic_scale is None else jitter.dynamic_scale
            centre = centre if jitter.dynamic_centre is None else jitter.dynamic_centre
            if jitter.drift_share and rng.random() < jitter.drift_share:
                box = drifted_box(
                    box, sequence.others_in(frame), size_hw, rng, search_factor=self.model.crops.search.factor
                )
        guess = jitter_box(box, rng, scale=scale, centre=centre)
        return self._window(guess, box, self.model.crops.template, size_hw, f"{sequence.name}, frame {frame}")

    def search(
        self,
        sequence: VideoSequence,
        frame: int,
        size_hw: tuple[int, int],
        rng: np.random.Generator,
        *,
        around_xywh: Box | None = None,
    ) -> tuple[CropTransform, Box]:
        """Return the window of a search region that holds the target, and the true box in its crop.

        Args:
            sequence: The target's.
            frame: Which frame is searched.
            size_hw: Size of the frame.
            rng: The source of randomness.
            around_xywh: Box at the middle of the region, as far as the target stays in the region; by default the
                true box with jitter, or that of a frame close by.
        """
        jitter = self.jitter
        visible = bool(sequence.visible[frame])
        box = sequence.boxes_xywh[frame] if visible else absent_box(size_hw)
        # A setting that is off draws no number, so that the samples of other recipes do not change.
        if around_xywh is None and jitter.motion_share and visible and rng.random() < jitter.motion_share:
            around_xywh = self._earlier_box(sequence, frame, rng)
        if around_xywh is not None:
            guess = kept_inside(around_xywh, box, self.model.crops.search.factor)
        else:
            guess = jitter_box(
                box,
                rng,
                scale=jitter.search_scale,
                centre=self.search_centre,
                concentration=jitter.search_concentration,
            )
        return self._window(guess, box, self.model.crops.search, size_hw, f"{sequence.name}, frame {frame}")

    def neighbour(
        self,
        sequence: VideoSequence,
        frame: int,
        size_hw: tuple[int, int],
        rng: np.random.Generator,
        *,
        neighbour_xywh: Box,
    ) -> tuple[CropTransform, Box]:
        """Return the window of a search region around another target, without the sequence's own, and its box.

        Raises:
            BoxError: The target's own box reaches into the region, however it is placed.
        """
        box, factor = sequence.boxes_xywh[frame], self.model.crops.search.factor
        for attempt in range(MAX_NEIGHBOUR_DRAWS + 1):
            exact = attempt == MAX_NEIGHBOUR_DRAWS
            guess = (
                neighbour_xywh
                if exact
                else jitter_box(neighbour_xywh, rng, scale=NEIGHBOUR_SCALE, centre=NEIGHBOUR_CENTRE)
            )
            if lies_outside(box[None], guess, factor)[0]:
                name = f"{sequence.name}, frame {frame}"
                return self._window(guess, box, self.model.crops.search, size_hw, name)
        raise BoxError(
            f"{sequence.name}, frame {frame}: the target must lie outside the region of its neighbour"
        )

    def _earlier_box(self, sequence: VideoSequence, frame: int, rng: np.random.Generator) -> Box | None:
        """Return the true box of a frame close by, as a tracker's last box: real motion in place of random
        motion.
        """
        shown = np.flatnonzero(sequence.visible)
        near = shown[(np.abs(shown - frame) <= self.jitter.motion_gap) & (shown != frame)]
        if not len(near):
            return None
        return jitter_box(
            sequence.boxes_xywh[rng.choice(near)], rng, scale=NEIGHBOUR_SCALE, centre=NEIGHBOUR_CENTRE
        )

    def _window(
        self, guess_xywh: Box, box_xywh: Box, crop: CropConfig, size_hw: tuple[int, int], name: str
    ) -> tuple[CropTransform, Box]:
        """Return the window around a guess, and the true box in the crop of it."""
        around = (guess_xywh[None], crop.factor, crop.side)
        try:
            window = crop_transform(*around)
        except BoxError as error:
            raise BoxError(f"{name}: {error}") from error
        if shows_nothing(window, size_hw, self.model.crops):
            raise BoxError(
                f"{name}: a crop must show some of it, got only padding around {guess_xywh.tolist()}"
            )
        return window, label_transform(*around, self.model.crops.geometry).to_crop(box_xywh[None])[0]


def drifted_box(
    box_xywh: Box,
    others_xywh: Float[np.ndarray, "num_others 4"],
    size_hw: tuple[int, int],
    rng: np.random.Generator,
    *,
    search_factor: float,
) -> Box:
    """Return the box of something that a tracker may drift to.

    It is that of another target whose middle lies in the search region around the target's. Where there is none, it is
    as large as the target's and `DRIFT_DISTANCE` away, with its middle in the picture.

    Args:
        box_xywh: The target's; image pixels.
        others_xywh: Those of other targets in the frame.
        size_hw: Size of the frame, pixels.
        rng: The source of randomness.
        search_factor: Sides of a search region over those of the box that it lies around.
    """
    side, centre = np.sqrt(box_xywh[2:].prod()), box_xywh[:2] + box_xywh[2:] / 2
    away = np.abs(others_xywh[:, :2] + others_xywh[:, 2:] / 2 - centre).max(axis=1)
    near = others_xywh[away < search_factor * side / 2]
    if len(near):
        return near[rng.integers(len(near))]
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(*DRIFT_DISTANCE) * side
    moved = centre + distance * np.array([np.cos(angle), np.sin(angle)])
    return np.concatenate([np.clip(moved, 0, size_hw[::-1]) - box_xywh[2:] / 2, box_xywh[2:]])


def kept_inside(guess_xywh: Box, box_xywh: Box, factor: float) -> Box:
    """Return the guess, moved towards a box until the region around the guess holds the middle of the box.

    Regions have `factor` times the side of the guess; the middle stays in the inner `SEARCH_REACH` of them. A guess of
    no area gets that of the box.
    """
    size = guess_xywh[2:] if (guess_xywh[2:] > 0).all() else box_xywh[2:]
    centre = box_xywh[:2] + box_xywh[2:] / 2
    away = guess_xywh[:2] + guess_xywh[2:] / 2 - centre
    reach = SEARCH_REACH * factor * np.sqrt(size.prod()) / 2
    return np.concatenate([centre + np.clip(away, -reach, reach) - size / 2, size])


def lies_outside(
    boxes_xywh: Float[np.ndarray, "num_boxes 4"], guess_xywh: Box, factor: float
) -> Bool[np.ndarray, " num_boxes"]:
    """Return which boxes share no pixel with the search region around a guess."""
    centre = guess_xywh[:2] + guess_xywh[2:] / 2
    # Windows lie on whole pixels: up to one pixel more on each side.
    reach = factor * np.sqrt(guess_xywh[2:].prod()) / 2 + 1
    low, high = boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]
    return ((low >= centre + reach) | (high <= centre - reach)).any(axis=1)


def shows_nothing(window: CropTransform, size_hw: tuple[int, int], plan: CropPlan) -> bool:
    """Return whether every feature cell of the crop counts as padding."""
    for start, length in zip(window.origin_xy[0].astype(int), size_hw[::-1], strict=True):
        side = int(window.side[0])
        visible = visible_range(start, side, length, plan.geometry)
        padding = padded_pixels(visible, start, side, window.size, plan.geometry)
        if padding[:: plan.stride].all():
            return True
    return False


def absent_box(size_hw: tuple[int, int]) -> Box:
    """Return the box to search around in a frame without a target: an eighth of it, in the middle."""
    size = np.array([size_hw[1], size_hw[0]], float)
    return np.concatenate([size * (1 - ABSENT_SHARE) / 2, size * ABSENT_SHARE])

"""A training sample: frames, the windows to cut from them, how each crop is varied, and the true box."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import UInt8

from starktrack.arrays import Box, Image
from starktrack.config.data import DataConfig
from starktrack.config.refine import RefineModel
from starktrack.config.schema import CropConfig, ModelConfig
from starktrack.data.same_class import TargetsByClass
from starktrack.data.samples.augmentation import Augmentation, draw_augmentations, flip_box
from starktrack.data.samples.distractors import (
    SearchView,
    with_background_fill,
    with_distractor,
    with_target_copies,
)
from starktrack.data.samples.drawing import FramePlace, Mixture, draw_triplet, find, sample_generator
from starktrack.data.samples.outline import Outline, cut_outline
from starktrack.data.synthetic.warping import warped
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import BoxError, ConfigError, DatasetError, InputError, NothingUsableError
from starktrack.geometry.crop import (
    CropTransform,
    crop_transform,
    label_transform,
    padded_pixels,
    visible_range,
)
from starktrack.geometry.jitter import jitter_box

MAX_ATTEMPTS = 50
"""Attempts at one sample before its frames are said to be unusable."""

SEARCH_REACH = 0.9
"""Centre jitter of search regions over their factor (4.5 of 5 in the authors' configurations)."""

ABSENT_SHARE = 1 / 8
"""Sides of the box that is searched in a frame without a target, over the frame's (the authors' sampler)."""


@dataclass(frozen=True)
class Sample:
    """What one row of a batch is made of.

    Attributes:
        frames: The distinct frames.
        frame_index: For each crop (templates first, search last), which frame it lies on.
        windows: For each crop, a window (a batch of one) of that frame.
        augmentations: For each crop, how it is varied.
        box_cxcywh: The true box in the search crop, crop units, after mirroring; may reach beyond [0, 1].
        is_positive: Whether the search crop shows the target.
        name: The sequence of the templates, and that of the search region where it is another.
        outline: What a refiner learns from beyond the box; None for trackers.
        skipped: What was wrong with frames that had to be passed over.
    """

    frames: tuple[UInt8[np.ndarray, "_height _width 3"], ...]
    frame_index: tuple[int, ...]
    windows: tuple[CropTransform, ...]
    augmentations: tuple[Augmentation, ...]
    box_cxcywh: Box
    is_positive: bool
    name: str = ""
    outline: Outline | None = None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Samples:
    """All samples there are: one for each (epoch, index), drawn when asked for.

    Attributes:
        mixture: Where frames come from.
        model: Crop sides and factors, number of templates, geometry.
        data: How frames are chosen and varied.
        seed: Another seed gives other samples.

    Raises:
        ConfigError: The jitter would move targets out of the search region or of a template, or search regions
            would be staged for a refiner.
    """

    mixture: Mixture
    model: ModelConfig | RefineModel
    data: DataConfig
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.model, RefineModel) and self.data.staging.changes_anything:
            raise ConfigError(
                "data.staging must be left out for a refiner, whose outlines are those of the frames as they are, "
                f"got {self.data.staging}"
            )
        factor = self.model.search.factor
        if self.search_centre >= factor:
            raise ConfigError(
                f"jitter.search_centre must be less than search.factor={factor:g}, or a target may lie "
                f"outside its crop, got {self.search_centre:g}; leave it out"
            )
        factor, centre = self.model.template.factor, self.data.jitter.template_centre
        if centre >= factor:
            raise ConfigError(
                f"jitter.template_centre must be less than template.factor={factor:g}, or a target may lie "
                f"outside its crop, got {centre:g}; leave it out"
            )

    @cached_property
    def _by_class(self) -> tuple[TargetsByClass, ...]:
        """By class, the targets of each data set."""
        return tuple(TargetsByClass(collection) for collection in self.mixture.collections)

    @property
    def search_centre(self) -> float:
        """Return the centre jitter of search regions, see `JitterConfig`."""
        given = self.data.jitter.search_centre
        return SEARCH_REACH * self.model.search.factor if given is None else given

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """Return sample `(epoch, index)`.

        A sample whose frames cannot be read or whose crop shows nothing is drawn again.

        Raises:
            NothingUsableError: No sequence of a data set fits the sampling; told at the first attempt.
            DatasetError: Every attempt failed; names the sequences.
        """
        failures: list[InputError] = []
        for attempt in range(MAX_ATTEMPTS):
            unreadable = tuple(str(error) for error in failures if isinstance(error, DatasetError))
            try:
                return self._draw(sample_generator(self.seed, *key, attempt), unreadable)
            except NothingUsableError:
                raise
            except (DatasetError, BoxError) as error:
                failures.append(error)
        raise DatasetError(
            f"a sample must show its target, got none in {MAX_ATTEMPTS} attempts at sample {key}; "
            f"the last ones: {'; '.join(map(str, failures[-3:]))}"
        )

    def _draw(self, rng: np.random.Generator, skipped: tuple[str, ...]) -> Sample:
        config, num_templates = self.data.sampling, self.model.num_templates
        triplet = draw_triplet(self.mixture, config, rng, num_templates=num_templates)
        places = (*triplet.templates, triplet.search)
        distinct = tuple(dict.fromkeys(places))
        frames = tuple(find(self.mixture, place).frames.read(place.frame) for place in distinct)
        frame_index = tuple(distinct.index(place) for place in places)
        sizes = [frames[index].shape[:2] for index in frame_index]
        aimed = [
            self._aim_template(place, size, rng) for place, size in zip(places[:-1], sizes, strict=False)
        ]
        aimed.append(self._aim_search(places[-1], sizes[-1], rng))
        windows, labels = zip(*aimed, strict=True)
        if triplet.is_positive and self.data.staging.changes_anything:
            plain = self._view(places[-1], frames[frame_index[-1]], windows[-1])
            view = self._staged(plain, places[-1], rng)
            frames, frame_index = _with_search_frame(frames, frame_index, view.frame)
            windows = (*windows[:-1], view.window)
            labels = (*labels[:-1], _label_of(view, plain, labels[-1]))
        augmentations = draw_augmentations(self.data.augment, np.stack(labels), rng)
        box_cxcywh = flip_box(labels[-1]) if augmentations[-1].flip else labels[-1]
        name = " / ".join(dict.fromkeys(find(self.mixture, place).name for place in places))
        outline = self._outline(places[-1], windows[-1], labels[0], augmentations[0])
        return Sample(
            frames,
            frame_index,
            windows,
            augmentations,
            box_cxcywh,
            triplet.is_positive,
            name,
            outline,
            skipped,
        )

    def _view(self, place: FramePlace, frame: Image, window: CropTransform) -> SearchView:
        sequence = find(self.mixture, place)
        mask = None if sequence.masks is None else sequence.masks.read(place.frame)
        return SearchView(frame, sequence.boxes_xywh[place.frame], mask, window)

    def _staged(self, view: SearchView, place: FramePlace, rng: np.random.Generator) -> SearchView:
        """Return the search region with what else it shall show."""
        config = self.data.staging
        if rng.random() < config.background_fill:
            other, index = self._other(place, rng)
            view = view if other is None else with_background_fill(view, other.frames.read(index), rng)
        # Off, it draws no number, so that samples of recipes without it stay what they were.
        if config.warps and rng.random() < config.warps:
            view = warped(view, rng)
        if rng.random() < config.target_copies:
            view = with_target_copies(view, config, rng)
        if rng.random() < config.distractors:
            other, index = self._of_same_class(place, rng) or self._other(place, rng)
            if other is not None and other.visible[index]:
                mask = None if other.masks is None else other.masks.read(index)
                view = with_distractor(view, other.frames.read(index), other.boxes_xywh[index], mask, rng)
        return view

    def _other(self, place: FramePlace, rng: np.random.Generator) -> tuple[VideoSequence | None, int]:
        """Return a sequence of any data set and a frame of it; None where it may show the target."""
        which = int(rng.integers(len(self.mixture.collections)))
        other = self.mixture.sequence(which, int(rng.integers(len(self.mixture.collections[which]))))
        shares = other.origins & find(self.mixture, place).origins
        return None if shares else other, int(rng.integers(len(other)))

    def _of_same_class(self, place: FramePlace, rng: np.random.Generator) -> tuple[VideoSequence, int] | None:
        """Return another target of the same class and a frame of it; None if any will do."""
        # Off, it draws no number, see above.
        if not self.data.staging.same_class or rng.random() >= self.data.staging.same_class:
            return None
        target = find(self.mixture, place)
        for which in rng.permutation(len(self._by_class)):
            other = self._by_class[which].draw(
                target.object_class, target.origins, rng, fits=lambda sequence: bool(sequence.visible.any())
            )
            if other is not None:
                return other, int(rng.choice(np.flatnonzero(other.visible)))
        return None

    def _outline(
        self, search: FramePlace, window: CropTransform, template_box: Box, augmentation: Augmentation
    ) -> Outline | None:
        if not isinstance(self.model, RefineModel):
            return None
        masks = find(self.mixture, search).masks
        pixels = None if masks is None else cut_outline(masks.read(search.frame), window)
        return Outline(flip_box(template_box) if augmentation.flip else template_box, pixels)

    def _aim_template(
        self, place: FramePlace, size_hw: tuple[int, int], rng: np.random.Generator
    ) -> tuple[CropTransform, Box]:
        sequence, jitter = find(self.mixture, place), self.data.jitter
        box = sequence.boxes_xywh[place.frame]
        guess = jitter_box(box, rng, scale=jitter.template_scale, centre=jitter.template_centre)
        return self._window(guess, box, self.model.template, size_hw, f"{sequence.name}, frame {place.frame}")

    def _aim_search(
        self, place: FramePlace, size_hw: tuple[int, int], rng: np.random.Generator
    ) -> tuple[CropTransform, Box]:
        sequence, jitter = find(self.mixture, place), self.data.jitter
        box = sequence.boxes_xywh[place.frame] if sequence.visible[place.frame] else absent_box(size_hw)
        guess = jitter_box(
            box,
            rng,
            scale=jitter.search_scale,
            centre=self.search_centre,
            concentration=jitter.search_concentration,
        )
        return self._window(guess, box, self.model.search, size_hw, f"{sequence.name}, frame {place.frame}")

    def _window(
        self, guess_xywh: Box, box_xywh: Box, crop: CropConfig, size_hw: tuple[int, int], name: str
    ) -> tuple[CropTransform, Box]:
        """Return the window around a guess, and the true box in the crop of it."""
        around = (guess_xywh[None], crop.factor, crop.side)
        try:
            window = crop_transform(*around)
        except BoxError as error:
            raise BoxError(f"{name}: {error}") from error
        if shows_nothing(window, size_hw, self.model):
            raise BoxError(
                f"{name}: a crop must show some of it, got only padding around {guess_xywh.tolist()}"
            )
        return window, label_transform(*around, self.model.geometry).to_crop(box_xywh[None])[0]


def _label_of(view: SearchView, plain: SearchView, label_cxcywh: Box) -> Box:
    """Return the label of a staged view, crop units, from that of the plain one.

    What staging did to the box in the region is added to the label, whose quirks (`label_transform`) stay.
    """
    now, before = (each.window.to_crop(each.box_xywh[None])[0] for each in (view, plain))
    return label_cxcywh + (now - before)


def _with_search_frame(
    frames: tuple[Image, ...], frame_index: tuple[int, ...], searched: Image
) -> tuple[tuple[Image, ...], tuple[int, ...]]:
    """Return the frames with another one for the search region, and for each crop which it lies on."""
    own = frame_index[-1]
    if own in frame_index[:-1]:
        return (*frames, searched), (*frame_index[:-1], len(frames))
    return (*frames[:own], searched, *frames[own + 1 :]), frame_index


def shows_nothing(window: CropTransform, size_hw: tuple[int, int], model: ModelConfig | RefineModel) -> bool:
    """Return whether every feature cell of the crop counts as padding."""
    for start, length in zip(window.origin_xy[0].astype(int), size_hw[::-1], strict=True):
        side = int(window.side[0])
        visible = visible_range(start, side, length, model.geometry)
        padding = padded_pixels(visible, start, side, window.size, model.geometry)
        if padding[:: model.backbone.stride].all():
            return True
    return False


def absent_box(size_hw: tuple[int, int]) -> Box:
    """Return the box to search around in a frame without a target: an eighth of it, in the middle."""
    size = np.array([size_hw[1], size_hw[0]], float)
    return np.concatenate([size * (1 - ABSENT_SHARE) / 2, size * ABSENT_SHARE])

"""A training sample: frames, the windows to cut from them, the augmentation of each crop, and the true box."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from starktrack.arrays import Box, Image
from starktrack.config.data import DataConfig
from starktrack.config.network import NetworkConfig
from starktrack.data.samples.augmentation import Augmentation, draw_augmentations, flip_box
from starktrack.data.samples.cropping import Cropper
from starktrack.data.samples.degradation import degraded, draw_degradations
from starktrack.data.samples.distractors import SearchView
from starktrack.data.samples.drawing import FramePlace, Mixture, draw_triplet, find, sample_generator
from starktrack.data.samples.insertion import DistractorInserter
from starktrack.data.samples.mistakes import Mistake, positions_of, read_mistakes
from starktrack.data.samples.outline import Outline, cut_outline
from starktrack.errors import BoxError, ConfigError, DatasetError, InputError, NothingUsableError
from starktrack.geometry.crop import CropTransform

MAX_ATTEMPTS = 50
"""Attempts at one sample before `DatasetError` names its frames."""


@dataclass(frozen=True)
class Sample:
    """The parts of one row of a batch.

    Attributes:
        frames: The distinct frames.
        frame_index: For each crop (templates first, search last), which frame it lies on.
        windows: For each crop, a window (a batch of one) of that frame.
        augmentations: The augmentation of each crop.
        box_cxcywh: The true box in the search crop, crop units, after mirroring; may reach beyond [0, 1].
        is_positive: Whether the search crop shows the target.
        name: The sequence of the templates, and that of the search region where it is another.
        outline: The target of a refiner beyond the box; None for trackers.
        skipped: Error messages of frames that were skipped.
        others_cxcywh: The boxes of other targets whose middle lies in the search crop, like `box_cxcywh`.
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
    others_cxcywh: Float[np.ndarray, "num_others 4"] = field(default_factory=lambda: np.zeros((0, 4)))


@dataclass(frozen=True)
class Samples:
    """The samples of a run: one for each (epoch, index), drawn on demand.

    Attributes:
        mixture: The data sets.
        model: Crop sides and factors, number of templates, geometry.
        data: Sampling, cropping and augmentation.
        seed: Another seed gives other samples.

    Raises:
        ConfigError: The jitter would move targets out of the search region or of a template, or search regions
            would be inserted for a refiner.
    """

    mixture: Mixture
    model: NetworkConfig
    data: DataConfig
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model.crops.outlines and self.data.distractors.changes_anything:
            raise ConfigError(
                "data.distractors must be left out for a refiner, whose outlines are those of the frames as they are, "
                f"got {self.data.distractors}"
            )
        Cropper(self.model, self.data.jitter)  # it refuses a jitter that does not fit the model

    @cached_property
    def cropper(self) -> Cropper:
        """Return where crops are cut."""
        return Cropper(self.model, self.data.jitter)

    @cached_property
    def inserter(self) -> DistractorInserter:
        """Return what inserts distractors into search regions."""
        return DistractorInserter(self.mixture, self.data.distractors)

    @cached_property
    def mistakes(self) -> list[tuple[int, int, Mistake]]:
        """Return the hard examples of `sampling.mistakes`, with the positions of their sequences.

        Raises:
            ConfigError: The file is missing or malformed.
            DatasetError: It is of other data sets.
        """
        if not self.data.sampling.mistake_share:
            return []
        mixture = self.mixture
        names = [collection.names for collection in mixture.collections]
        return positions_of(read_mistakes(Path(self.data.sampling.mistakes)), mixture.names, names)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """Return sample `(epoch, index)`.

        If a frame cannot be read, or a crop shows no target, another sample is drawn.

        Raises:
            NothingUsableError: No sequence of a data set fits the sampling; raised at the first attempt.
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
        triplet = draw_triplet(
            self.mixture,
            self.data.sampling,
            rng,
            num_templates=self.model.crops.num_templates,
            search_factor=self.model.crops.search.factor,
            mistakes=self.mistakes,
        )
        # A setting that is off draws no number, so that the samples of other recipes do not change.
        share, templates = self.data.jitter.initial_share, triplet.templates
        never_updated = bool(share) and rng.random() < share
        if never_updated:
            templates = templates[:1]  # one crop, repeated at the end
        places = (*templates, triplet.search)
        distinct = tuple(dict.fromkeys(places))
        frames = tuple(find(self.mixture, place).frames.read(place.frame) for place in distinct)
        frame_index = tuple(distinct.index(place) for place in places)
        sizes = [frames[index].shape[:2] for index in frame_index]
        aimed = [
            self.cropper.template(find(self.mixture, place), place.frame, size, rng, is_dynamic=slot > 0)
            for slot, (place, size) in enumerate(zip(places[:-1], sizes, strict=False))
        ]
        searched = find(self.mixture, places[-1])
        if triplet.neighbour_xywh is None:
            aimed.append(
                self.cropper.search(
                    searched, places[-1].frame, sizes[-1], rng, around_xywh=triplet.around_xywh
                )
            )
        else:
            aimed.append(
                self.cropper.neighbour(
                    searched, places[-1].frame, sizes[-1], rng, neighbour_xywh=triplet.neighbour_xywh
                )
            )
        windows, labels = zip(*aimed, strict=True)
        gets_distractors = triplet.is_positive and self.data.distractors.changes_anything
        mask = (
            searched.masks.read(places[-1].frame) if gets_distractors and searched.masks is not None else None
        )
        view = SearchView(
            frames[frame_index[-1]],
            searched.boxes_xywh[places[-1].frame],
            mask,
            windows[-1],
            searched.others_in(places[-1].frame),
        )
        if gets_distractors:
            plain, view = view, self.inserter.inserted(view, places[-1], rng)
            frames, frame_index = _with_frame(frames, frame_index, -1, view.frame)
            windows = (*windows[:-1], view.window)
            # The change of the box in its region is added to the label, which keeps the quirks of `label_transform`.
            now, before = (each.window.to_crop(each.box_xywh[None])[0] for each in (view, plain))
            labels = (*labels[:-1], labels[-1] + (now - before))
        if self.data.augment.degrades:
            frames, frame_index = self._degraded(frames, frame_index, windows, labels, rng)
        augmentations = draw_augmentations(self.data.augment, np.stack(labels), rng)
        box_cxcywh, others = labels[-1], view.others_inside()
        if augmentations[-1].flip:
            box_cxcywh, others = flip_box(box_cxcywh), flip_box(others)
        name = " / ".join(dict.fromkeys(find(self.mixture, place).name for place in places))
        outline = self._outline(places[-1], windows[-1], labels[0], augmentations[0])
        if never_updated:
            crops = (0,) * len(triplet.templates) + (-1,)
            windows = tuple(windows[crop] for crop in crops)
            augmentations = tuple(augmentations[crop] for crop in crops)
            frame_index = tuple(frame_index[crop] for crop in crops)
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
            others,
        )

    def _degraded(
        self,
        frames: tuple[Image, ...],
        frame_index: tuple[int, ...],
        windows: tuple[CropTransform, ...],
        labels: tuple[Box, ...],
        rng: np.random.Generator,
    ) -> tuple[tuple[Image, ...], tuple[int, ...]]:
        sides = [
            float(np.sqrt(label[2:].prod()) * window.side[0])
            for label, window in zip(labels, windows, strict=True)
        ]
        drawn = draw_degradations(self.data.augment, sides, rng)
        for crop, (window, degradation) in enumerate(zip(windows, drawn, strict=True)):
            if degradation.changes_anything:
                worse = degraded(frames[frame_index[crop]], window, degradation)
                frames, frame_index = _with_frame(frames, frame_index, crop, worse)
        return frames, frame_index

    def _outline(
        self, search: FramePlace, window: CropTransform, template_box: Box, augmentation: Augmentation
    ) -> Outline | None:
        if not self.model.crops.outlines:
            return None
        masks = find(self.mixture, search).masks
        pixels = None if masks is None else cut_outline(masks.read(search.frame), window)
        return Outline(flip_box(template_box) if augmentation.flip else template_box, pixels)


def _with_frame(
    frames: tuple[Image, ...], frame_index: tuple[int, ...], crop: int, other: Image
) -> tuple[tuple[Image, ...], tuple[int, ...]]:
    """Return the frames with another one for a crop, and for each crop which it lies on."""
    crop %= len(frame_index)
    own = frame_index[crop]
    if frame_index.count(own) > 1:
        return (*frames, other), (*frame_index[:crop], len(frames), *frame_index[crop + 1 :])
    return (*frames[:own], other, *frames[own + 1 :]), frame_index

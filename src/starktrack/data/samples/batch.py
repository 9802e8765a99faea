"""Samples joined into batches: crops cut by the loader's workers, or frames for the device to cut.

`training.batches` turns either into a `Batch`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from starktrack.data.samples.augmentation import Augmentation
from starktrack.data.samples.outline import Outline
from starktrack.data.samples.sample import Sample
from starktrack.geometry.crop import Crop, CropTransform, Geometry, cut


class Outlines(NamedTuple):
    """The targets of a refiner beyond boxes.

    Attributes:
        template_boxes: The target in each initial template, cxcywh, crop units.
        pixels: Which pixels of each search crop are the target's.
        known: Whether the data set has an outline; else the pixels are all False.
    """

    template_boxes: Float[Tensor, "batch 4"]
    pixels: Bool[Tensor, "batch side side"]
    known: Bool[Tensor, " batch"]


@dataclass(frozen=True)
class Batch:
    """The input of a training step; T templates, initial first.

    Attributes:
        templates: Normalised template crops.
        template_masks: True where a template lies outside its image.
        search: Normalised search crops.
        search_mask: True where the search region lies outside its image.
        box_cxcywh: True boxes in crop units of the search region; may reach beyond [0, 1].
        label: 1 where the search region shows the target, else 0.
        names: Each sample's sequences.
        skipped: Error messages of frames that were skipped.
        outlines: The targets of a refiner beyond boxes; None for trackers.
        others: The boxes of other targets in each search region, as `box_cxcywh`, padded with rows of zeros.
    """

    templates: Float[Tensor, "batch num_templates 3 template_side template_side"]
    template_masks: Bool[Tensor, "batch num_templates template_side template_side"]
    search: Float[Tensor, "batch 3 side side"]
    search_mask: Bool[Tensor, "batch side side"]
    box_cxcywh: Float[Tensor, "batch 4"]
    label: Float[Tensor, " batch"]
    names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    outlines: Outlines | None = None
    others: Float[Tensor, "batch num_others 4"] | None = None

    def __len__(self) -> int:
        return len(self.label)


class Augmentations(NamedTuple):
    """The augmentations of many crops, see `data.samples.augmentation.Augmentation`."""

    flip: Bool[Tensor, " num_crops"]
    colour: Float[Tensor, "num_crops 3 3"]
    shift: Float[Tensor, " num_crops"]
    blur: Float[Tensor, " num_crops"]
    noise: Float[Tensor, " num_crops"]
    noise_seed: Int[Tensor, " num_crops"]
    occluder_xyxy: Float[Tensor, "num_crops 4"]


class Answers(NamedTuple):
    """The labels of the samples."""

    box_cxcywh: Float[Tensor, "batch 4"]
    label: Float[Tensor, " batch"]
    names: tuple[str, ...]
    skipped: tuple[str, ...]
    outlines: Outlines | None
    others: Float[Tensor, "batch num_others 4"]


class CropSet(NamedTuple):
    """Crops of one size before augmentation."""

    images: UInt8[Tensor, "num_crops size size 3"]
    padding_mask: Bool[Tensor, "num_crops size size"]
    augmentations: Augmentations


class WindowSet(NamedTuple):
    """Crops of one size that are still to be cut: window c lies on frame `frame_index[c]`."""

    frame_index: Int[np.ndarray, " num_crops"]
    transform: CropTransform
    augmentations: Augmentations


class CropBatch(NamedTuple):
    """A batch cut by a worker; templates of sample b are rows b T to (b + 1) T - 1."""

    templates: CropSet
    search: CropSet
    answers: Answers


class FrameBatch(NamedTuple):
    """A batch of frames, one behind the other in one tensor, for the device to cut."""

    pixels: UInt8[Tensor, "num_pixels 3"]
    sizes_hw: Int[np.ndarray, "num_frames 2"]
    templates: WindowSet
    search: WindowSet
    answers: Answers


def join_crops(samples: list[Sample], geometry: Geometry) -> CropBatch:
    """Return the samples as crops, cut here."""
    crops = [
        [
            cut(sample.frames[index], window, geometry)
            for index, window in zip(sample.frame_index, sample.windows, strict=True)
        ]
        for sample in samples
    ]
    return CropBatch(
        _join_crops([crop for row in crops for crop in row[:-1]], _template_augmentations(samples)),
        _join_crops([row[-1] for row in crops], join_augmentations([s.augmentations[-1] for s in samples])),
        _answers(samples),
    )


def join_frames(samples: list[Sample]) -> FrameBatch:
    """Return the samples as frames and windows, to be cut where the network runs."""
    frames = [frame for sample in samples for frame in sample.frames]
    before = np.cumsum([0, *(len(sample.frames) for sample in samples[:-1])])
    index = np.array([sample.frame_index for sample in samples]) + before[:, None]
    return FrameBatch(
        torch.from_numpy(np.concatenate([frame.reshape(-1, 3) for frame in frames])),
        np.array([frame.shape[:2] for frame in frames]),
        WindowSet(
            index[:, :-1].ravel(),
            _join_windows([window for sample in samples for window in sample.windows[:-1]]),
            _template_augmentations(samples),
        ),
        WindowSet(
            index[:, -1],
            _join_windows([sample.windows[-1] for sample in samples]),
            join_augmentations([sample.augmentations[-1] for sample in samples]),
        ),
        _answers(samples),
    )


def join_augmentations(augmentations: list[Augmentation]) -> Augmentations:
    """Return augmentations as tensors, one row for each."""
    return Augmentations(
        torch.tensor([augmentation.flip for augmentation in augmentations]),
        torch.from_numpy(np.stack([augmentation.colour for augmentation in augmentations])).float(),
        torch.tensor([augmentation.shift for augmentation in augmentations]),
        torch.tensor([augmentation.blur for augmentation in augmentations]),
        torch.tensor([augmentation.noise for augmentation in augmentations]),
        torch.tensor([augmentation.noise_seed for augmentation in augmentations]),
        torch.from_numpy(np.stack([augmentation.occluder_xyxy for augmentation in augmentations])).float(),
    )


def _template_augmentations(samples: list[Sample]) -> Augmentations:
    return join_augmentations(
        [augmentation for sample in samples for augmentation in sample.augmentations[:-1]]
    )


def _join_crops(crops: list[Crop], augmentations: Augmentations) -> CropSet:
    return CropSet(
        torch.from_numpy(np.stack([crop.image for crop in crops])),
        torch.from_numpy(np.stack([crop.padding_mask for crop in crops])),
        augmentations,
    )


def _join_windows(windows: list[CropTransform]) -> CropTransform:
    return CropTransform(
        np.concatenate([window.origin_xy for window in windows]),
        np.concatenate([window.side for window in windows]),
        windows[0].size,
    )


def _answers(samples: list[Sample]) -> Answers:
    return Answers(
        torch.from_numpy(np.stack([sample.box_cxcywh for sample in samples])).float(),
        torch.tensor([float(sample.is_positive) for sample in samples]),
        tuple(sample.name for sample in samples),
        tuple(text for sample in samples for text in sample.skipped),
        _join_outlines([s.outline for s in samples if s.outline is not None], samples[0].windows[-1].size),
        _join_others([sample.others_cxcywh for sample in samples]),
    )


def _join_others(
    boxes: list[Float[np.ndarray, "_num_others 4"]],
) -> Float[Tensor, "batch num_others 4"]:
    joined = np.zeros((len(boxes), max(len(each) for each in boxes), 4), np.float32)
    for row, each in zip(joined, boxes, strict=True):
        row[: len(each)] = each
    return torch.from_numpy(joined)


def _join_outlines(outlines: list[Outline], side: int) -> Outlines | None:
    """Return the outlines in the search crops as they were cut, before they are mirrored."""
    if not outlines:
        return None
    unknown = np.zeros((side, side), bool)
    return Outlines(
        torch.from_numpy(np.stack([outline.template_box_cxcywh for outline in outlines])).float(),
        torch.from_numpy(np.stack([unknown if o.pixels is None else o.pixels for o in outlines])),
        torch.tensor([outline.pixels is not None for outline in outlines]),
    )

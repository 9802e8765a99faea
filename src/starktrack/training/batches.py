"""Makes batches of samples, partly in the loader's workers and partly on the device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.data import DataLoader

from starktrack.config.data import LoaderConfig
from starktrack.data.samples.batch import (
    Augmentations,
    Batch,
    CropBatch,
    CropSet,
    FrameBatch,
    Outlines,
    WindowSet,
    join_crops,
    join_frames,
)
from starktrack.data.samples.loader import BatchKeys, make_loader
from starktrack.data.samples.sample import Sample, Samples
from starktrack.geometry.crop import Geometry
from starktrack.models.crops import cut_batch
from starktrack.training.augmentation import augment, mirrored

RawBatch = CropBatch | FrameBatch | Batch
"""A worker's result, which `finish` completes on the device."""


@dataclass(frozen=True)
class Collate:
    """Joins samples in a loader's worker.

    For a network on the CPU the worker does all the work, since it runs beside the network. For a GPU it only cuts the
    crops, or with `device` leaves that to the GPU too.
    """

    place: Literal["worker", "device"]
    device_type: str
    geometry: Geometry

    def __call__(self, samples: list[Sample]) -> RawBatch:
        """Return the batch, complete or for `finish` to complete."""
        raw = join_frames(samples) if self.place == "device" else join_crops(samples, self.geometry)
        return finish(raw, torch.device("cpu"), self.geometry) if self.device_type == "cpu" else raw


def load_batches(
    samples: Samples, keys: BatchKeys, config: LoaderConfig, device: torch.device
) -> DataLoader[RawBatch]:
    """Return the loader of raw batches; pass each to `finish`, and begin epochs with `keys.begin`."""
    collate = Collate(crop_place(config, device), device.type, samples.model.crops.geometry)
    return make_loader(samples, keys, config, collate=collate, pin_memory=device.type == "cuda")


def crop_place(config: LoaderConfig, device: torch.device) -> Literal["worker", "device"]:
    """Return where crops are cut: as configured, or on a GPU where there is one."""
    if config.crop_in == "auto":
        return "worker" if device.type == "cpu" else "device"
    return config.crop_in


def finish(raw: RawBatch, device: torch.device, geometry: Geometry) -> Batch:
    """Return the batch on the device; every kind of raw batch gives the same numbers."""
    if isinstance(raw, Batch):
        return raw
    crops = cut_frames(raw, device, geometry) if isinstance(raw, FrameBatch) else raw
    templates, template_masks = _show(crops.templates, device)
    search, search_mask = _show(crops.search, device)
    rows = (len(search), -1)
    return Batch(
        templates.unflatten(0, rows),
        template_masks.unflatten(0, rows),
        search,
        search_mask,
        _moved(crops.answers.box_cxcywh, device),
        _moved(crops.answers.label, device),
        crops.answers.names,
        crops.answers.skipped,
        _turned(crops.answers.outlines, crops.search.augmentations, device),
        _moved(crops.answers.others, device),
    )


def cut_frames(raw: FrameBatch, device: torch.device, geometry: Geometry) -> CropBatch:
    """Return the batch with its crops cut on the device."""
    areas = (raw.sizes_hw[:, 0] * raw.sizes_hw[:, 1]).tolist()
    pixels = _moved(raw.pixels, device).split(areas)
    frames = [part.reshape(*size, 3) for part, size in zip(pixels, raw.sizes_hw.tolist(), strict=True)]
    return CropBatch(
        _cut_windows(frames, raw.templates, geometry),
        _cut_windows(frames, raw.search, geometry),
        raw.answers,
    )


def _show(
    crops: CropSet, device: torch.device
) -> tuple[Float[Tensor, "num_crops 3 size size"], Bool[Tensor, "num_crops size size"]]:
    augmentations = Augmentations(*(_moved(values, device) for values in crops.augmentations))
    padding = _moved(crops.padding_mask, device)
    return augment(_moved(crops.images, device), augmentations), mirrored(padding, augmentations.flip)


def _turned(outlines: Outlines | None, augmentations: Augmentations, device: torch.device) -> Outlines | None:
    """Return the outlines on the device, mirrored like the search crops they belong to."""
    if outlines is None:
        return None
    template_boxes, pixels, known = (_moved(values, device) for values in outlines)
    return Outlines(template_boxes, mirrored(pixels, _moved(augmentations.flip, device)), known)


def _cut_windows(frames: Sequence[Tensor], windows: WindowSet, geometry: Geometry) -> CropSet:
    crops = cut_batch(frames, windows.frame_index, windows.transform, geometry)
    return CropSet(crops.images, crops.padding_mask, windows.augmentations)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.to(device, non_blocking=True)

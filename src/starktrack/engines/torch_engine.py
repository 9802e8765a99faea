"""The network on PyTorch, behind the tracker's protocol.

Crops are cut where the network runs, so that a frame travels once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from starktrack.config.schema import Config, CropConfig
from starktrack.errors import DeviceError
from starktrack.geometry.crop import CropTransform, Geometry, crop_transform
from starktrack.models.crops import Crops, cut_batch, normalise
from starktrack.models.features import Features
from starktrack.models.folding import fold
from starktrack.models.stark import Stark, StarkOutput
from starktrack.tracking.protocol import BoxQueries, Prediction


@dataclass(frozen=True)
class TorchTemplate:
    """The tokens of one template crop, a batch of one on the engine's device."""

    features: Features


def resolve_device(name: str) -> torch.device:
    """Return the torch device of that name; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        DeviceError: Unknown name, or this machine has no such device.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    kind, _, number = name.partition(":")
    if kind not in available or (number and (kind != "cuda" or not number.isdecimal())):
        raise DeviceError(f"device must be auto, cpu, cuda, cuda:N or mps, got {name!r}")
    if not available[kind] or (number and int(number) >= torch.cuda.device_count()):
        raise DeviceError(f"device {name} is not available on this machine; use auto or cpu")
    return torch.device(name)


class TorchEngine:
    """Fulfils `tracking.protocol.Engine`.

    Args:
        network: Moved to the device and set to eval mode; RepVGG blocks are folded.
        config: The network's configuration.
    """

    def __init__(self, network: Stark, config: Config, *, device: torch.device) -> None:
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # 10 bits of mantissa would move boxes by pixels
        self._config = config
        self.device = device
        self.network = fold(network.eval()).to(device, memory_format=torch.channels_last)
        self._last: tuple[list[TorchTemplate], Features] | None = None

    @property
    def config(self) -> Config:
        """The network's configuration; trackers that share the network have settings of their own."""
        return self._config

    @torch.inference_mode()
    def embed(self, queries: BoxQueries) -> list[TorchTemplate]:
        """Return the tokens of a template crop around each box."""
        crops, masks = self.crop(queries, self.config.model.template)
        features = self.network.embed_template(crops, masks)
        return [TorchTemplate(features.row(index)) for index in range(len(queries))]

    @torch.inference_mode()
    def predict(self, queries: BoxQueries, templates: Sequence[Sequence[TorchTemplate]]) -> Prediction:
        """Return the target's box in the search region around each last known box."""
        return self.locate(*self.crop(queries, self.config.model.search), templates)

    @torch.inference_mode()
    def locate(
        self, crops: Tensor, masks: Tensor | None, templates: Sequence[Sequence[TorchTemplate]]
    ) -> Prediction:
        """Return the target's box in search crops that were cut already."""
        return prediction_of(self.answer(crops, masks, templates))

    @torch.inference_mode()
    def answer(
        self, crops: Tensor, masks: Tensor | None, templates: Sequence[Sequence[TorchTemplate]]
    ) -> StarkOutput:
        """Return all that the network says of search crops that were cut already."""
        return self.network.locate(self._stack(templates), self.network.embed_search(crops, masks))

    def crop(self, queries: BoxQueries, crop: CropConfig) -> tuple[Tensor, Tensor | None]:
        """Return normalised crops around each box and their padding masks, None where nothing is padded."""
        transform = crop_transform(queries.boxes_xywh, crop.factor, crop.side)
        pictures, masks = crop_queries(queries, transform, self.config.model.geometry, self.device)
        # Attention without a mask is faster and gives the same result; asking a GPU would stall it.
        needs_mask = self.device.type != "cpu" or bool(masks.any())
        return normalise(pictures), masks if needs_mask else None

    def _stack(self, templates: Sequence[Sequence[TorchTemplate]]) -> Features:
        flat = [template for each in templates for template in each]
        if self._last is not None and _same(self._last[0], flat):
            return self._last[1]
        per_target = [Features.concatenate([template.features for template in each]) for each in templates]
        stacked = Features.stack(per_target)
        self._last = (flat, stacked)
        return stacked


def prediction_of(output: StarkOutput) -> Prediction:
    """Return what a tracker is told of the network's answer."""
    scores = None if output.score_logit is None else output.score_logit.sigmoid().double().cpu().numpy()
    return Prediction(output.box_cxcywh.double().cpu().numpy(), scores)


def crop_queries(
    queries: BoxQueries, transform: CropTransform, geometry: Geometry, device: torch.device
) -> Crops:
    """Return the crop of each window, cut on the device."""
    # Torch takes neither mirrored views (BGR turned round) nor, without a warning, arrays that are locked.
    whole = [np.require(image, requirements=("C", "W")) for image in queries.images]
    images = [torch.from_numpy(image).to(device) for image in whole]
    return cut_batch(images, queries.image_index, transform, geometry)


def _same(before: list[TorchTemplate], after: list[TorchTemplate]) -> bool:
    return len(before) == len(after) and all(a is b for a, b in zip(before, after, strict=True))

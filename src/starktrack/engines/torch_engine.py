"""A network on PyTorch, behind the protocols of trackers and refiners.

Crops are cut where the network runs, so that a frame travels once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from starktrack.config.schema import Config, CropConfig
from starktrack.engines.process import OwnProcess
from starktrack.errors import DeviceError
from starktrack.geometry.crop import CropTransform, Geometry, crop_transform
from starktrack.kinds import kind_of
from starktrack.models.crops import Crops, cut_batch, normalise
from starktrack.models.folding import fold, place
from starktrack.tracking.protocol import BoxQueries, Runtime


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
    """A `tracking.protocol.Engine` of a tracker, or a `tracking.protocol.Refiner` of a refiner.

    The features of a template depend on the kind of network, see `kinds.kind.Kind.rows`.

    Args:
        network: Moved to the device and set to eval mode; RepVGG blocks are folded.
        config: The network's configuration.
    """

    def __init__(self, network: nn.Module, config: Config, *, device: torch.device) -> None:
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # 10 bits of mantissa would move boxes by pixels
        self._config = config
        self._process = OwnProcess()
        self.device = device
        self.network = place(fold(network.eval()), device, torch.channels_last)
        self._kind = kind_of(config)
        self._last: tuple[list[Any], Any] = ([], None)

    @property
    def config(self) -> Config:
        """The network's configuration; trackers that share the network have settings of their own."""
        return self._config

    @property
    def runtime(self) -> Runtime:
        """What runs the network, in which precision and where."""
        return Runtime("torch", "float32", str(self.device))

    @torch.inference_mode()
    def embed(self, queries: BoxQueries) -> list[Any]:
        """Return the network's features of a template crop around each box."""
        self._process.check()
        crop = self.config.model.crops.template
        windows = crop_transform(queries.boxes_xywh, crop.factor, crop.side)
        boxes = torch.from_numpy(windows.to_crop(queries.boxes_xywh)).float().to(self.device)
        return self._kind.rows(self._kind.embed(self.network, *self.crop(queries, crop), boxes))

    @torch.inference_mode()
    def predict(self, queries: BoxQueries, templates: Sequence[Sequence[Any]]) -> Any:
        """Return the network's output for the crop around each box."""
        self._process.check()
        return self.locate(*self.crop(queries, self.config.model.crops.search), templates)

    @torch.inference_mode()
    def locate(self, crops: Tensor, masks: Tensor | None, templates: Sequence[Sequence[Any]]) -> Any:
        """Return the network's output for search crops, as an answer."""
        return self.answer(self.output(crops, masks, templates))

    @torch.inference_mode()
    def output(self, crops: Tensor, masks: Tensor | None, templates: Sequence[Sequence[Any]]) -> Any:
        """Return the network's full output for search crops."""
        return self._kind.locate(self.network, self._stack(templates), crops, masks)

    def answer(self, output: Any) -> Any:
        """Return the answer in the network's output, on the CPU."""
        return self._kind.answer(*(values.float().cpu().numpy() for values in self._kind.values(output)))

    def crop(self, queries: BoxQueries, crop: CropConfig) -> tuple[Tensor, Tensor | None]:
        """Return normalised crops around each box and their padding masks, None where nothing is padded."""
        windows = crop_transform(queries.boxes_xywh, crop.factor, crop.side)
        pictures, masks = crop_queries(queries, windows, self.config.model.crops.geometry, self.device)
        # Attention without a mask is faster and gives the same result; the check would stall a GPU.
        needs_mask = self.device.type != "cpu" or bool(masks.any())
        return normalise(pictures), masks if needs_mask else None

    def _stack(self, templates: Sequence[Sequence[Any]]) -> Any:
        # Templates change rarely, so the stacked batch of the last frame is reused while they are the same.
        flat = [template for each in templates for template in each]
        before, stacked = self._last
        if len(before) == len(flat) and all(a is b for a, b in zip(before, flat, strict=True)):
            return stacked
        stacked = self._kind.stack(templates)
        self._last = (flat, stacked)
        return stacked


def crop_queries(
    queries: BoxQueries, transform: CropTransform, geometry: Geometry, device: torch.device
) -> Crops:
    """Return the crop of each window, cut on the device."""
    # Torch accepts no mirrored views (reversed BGR), and warns about read-only arrays.
    whole = [np.require(image, requirements=("C", "W")) for image in queries.images]
    images = [torch.from_numpy(image).to(device) for image in whole]
    return cut_batch(images, queries.image_index, transform, geometry)

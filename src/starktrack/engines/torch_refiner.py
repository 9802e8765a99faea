"""The refiner on PyTorch, behind the tracker's protocol."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from starktrack.config.refine import RefineConfig
from starktrack.engines.torch_engine import crop_queries
from starktrack.geometry.crop import CropTransform, crop_transform
from starktrack.models.crops import normalise
from starktrack.models.refine import Refiner
from starktrack.tracking.protocol import BoxQueries, Refinement


class TorchRefiner:
    """Fulfils `tracking.protocol.Refiner`.

    Args:
        network: Moved to the device and set to eval mode.
        config: The network's configuration.
    """

    def __init__(self, network: Refiner, config: RefineConfig, *, device: torch.device) -> None:
        self._config = config
        self.device = device
        self.network = network.eval().to(device, memory_format=torch.channels_last)

    @property
    def config(self) -> RefineConfig:
        """The network's configuration; trackers that share the network have settings of their own."""
        return self._config

    @torch.inference_mode()
    def embed(self, queries: BoxQueries) -> list[Float[Tensor, "1 width bins bins"]]:
        """Return the pooled features of the target in each box."""
        windows = self._windows(queries)
        boxes = torch.from_numpy(windows.to_crop(queries.boxes_xywh)).float().to(self.device)
        return list(self.network.embed(self._crop(queries, windows), boxes).split(1))

    @torch.inference_mode()
    def refine(
        self, queries: BoxQueries, templates: Sequence[Float[Tensor, "1 width bins bins"]]
    ) -> Refinement:
        """Return exact box and outline in the crop around each box."""
        output = self.network.refine(torch.cat(list(templates)), self._crop(queries, self._windows(queries)))
        return Refinement(output.box_cxcywh.double().cpu().numpy(), output.mask_logit.float().cpu().numpy())

    def _windows(self, queries: BoxQueries) -> CropTransform:
        crop = self.config.model.crop
        return crop_transform(queries.boxes_xywh, crop.factor, crop.side)

    def _crop(self, queries: BoxQueries, windows: CropTransform) -> Float[Tensor, "batch 3 side side"]:
        return normalise(crop_queries(queries, windows, self.config.model.geometry, self.device).images)

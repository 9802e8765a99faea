"""A refiner becomes an ONNX file, which is written only if it answers as PyTorch does."""

import copy
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from starktrack.config.refine import RefineConfig, RefineModel
from starktrack.engines.onnx_graph import GraphOfCrops, require_onnx, write_graph
from starktrack.engines.onnx_refiner import (
    CROP_INPUTS,
    CROP_OUTPUTS,
    TEMPLATE_INPUTS,
    TEMPLATE_OUTPUTS,
    open_onnx_refiner,
)
from starktrack.engines.parity import (
    LARGEST_SCORE_DIFFERENCE,
    LEAST_OVERLAP,
    RefinerParity,
    compare_refiners,
)
from starktrack.engines.torch_refiner import TorchRefiner
from starktrack.errors import CheckpointError
from starktrack.files import atomic_write
from starktrack.models.refine import Refiner


def export_refiner(network: Refiner, config: RefineConfig, path: Path) -> RefinerParity:
    """Write the refiner as one ONNX file with its configuration; return how well it agrees.

    The network stays as it is.

    Raises:
        CheckpointError: The exported refiner answers otherwise; nothing is written then.
        MissingExtraError: ONNX's packages are not installed.
    """
    require_onnx()
    network = copy.deepcopy(network).cpu().eval()
    with atomic_write(path) as partial:
        _write(network, config, partial)
        reference = TorchRefiner(network, config, device=torch.device("cpu"))
        parity = compare_refiners(reference, open_onnx_refiner(partial))
        if not parity.holds:
            raise CheckpointError(
                f"an exported refiner must find PyTorch's boxes and outlines (overlap > {LEAST_OVERLAP}, "
                f"probabilities within {LARGEST_SCORE_DIFFERENCE}), got {parity}; {path} was not written"
            )
    return parity


class _Graph(GraphOfCrops):
    """Both halves of the refiner as one function of plain tensors; see `engines.onnx_refiner`."""

    def __init__(self, network: Refiner) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        template_crops: UInt8[Tensor, "new side side 3"],
        template_boxes: Float[Tensor, "new 4"],
        templates: Float[Tensor, "batch width bins bins"],
        crops: UInt8[Tensor, "batch side side 3"],
    ) -> tuple[Tensor, ...]:
        """Return the new templates' features, then boxes and outlines."""
        new = self.network.embed(self.normalise(template_crops), template_boxes)
        output = self.network.refine(templates, self.normalise(crops))
        return new, output.box_cxcywh, output.mask_logit


def _write(network: Refiner, config: RefineConfig, path: Path) -> None:
    write_graph(
        _Graph(network),
        _example(config.model),
        path,
        halves=(TEMPLATE_INPUTS, CROP_INPUTS),
        outputs=(*TEMPLATE_OUTPUTS, *CROP_OUTPUTS),
        config=config,
    )


def _example(model: RefineModel) -> tuple[Tensor, ...]:
    """Return inputs of the graph, batches of 2 and 3."""
    new, batch, side = 2, 3, model.crop.side
    boxes = torch.tensor([[0.5, 0.5, 0.5, 0.5]]).repeat(new, 1)
    templates = torch.zeros(batch, model.width, model.bins, model.bins)
    crops = (torch.zeros(count, side, side, 3, dtype=torch.uint8) for count in (new, batch))
    return next(crops), boxes, templates, next(crops)

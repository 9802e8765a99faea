"""A network becomes an ONNX file, which is written only if it answers as PyTorch does."""

import copy
from pathlib import Path

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from starktrack.config.schema import Config, ModelConfig
from starktrack.engines.onnx_engine import (
    SEARCH_INPUTS,
    SEARCH_OUTPUTS,
    TEMPLATE_INPUTS,
    TEMPLATE_OUTPUTS,
    open_onnx,
)
from starktrack.engines.onnx_graph import GraphOfCrops, require_onnx, write_graph
from starktrack.engines.parity import LARGEST_SCORE_DIFFERENCE, LEAST_OVERLAP, Parity, compare
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import CheckpointError
from starktrack.files import atomic_write
from starktrack.models.features import Features
from starktrack.models.folding import fold_for_export
from starktrack.models.stark import Stark


def export_onnx(network: Stark, config: Config, path: Path) -> Parity:
    """Write the network as one ONNX file with its configuration; return how well it agrees.

    The network stays as it is; RepVGG blocks and frozen norms are folded in the file.

    Raises:
        CheckpointError: The exported network answers otherwise; nothing is written then.
        MissingExtraError: ONNX's packages are not installed.
    """
    require_onnx()
    network = fold_for_export(copy.deepcopy(network).cpu().eval())
    with atomic_write(path) as partial:
        _write(network, config, partial)
        onnx_engine = open_onnx(partial)
        parity = compare(TorchEngine(network, config, device=torch.device("cpu")), onnx_engine)
        if not parity.holds:
            raise CheckpointError(
                f"an exported network must find PyTorch's boxes (overlap > {LEAST_OVERLAP}, scores within "
                f"{LARGEST_SCORE_DIFFERENCE}), got {parity}; {path} was not written"
            )
    return parity


class _Graph(GraphOfCrops):
    """Both halves of the network as one function of plain tensors; see `engines.onnx_engine`."""

    def __init__(self, network: Stark) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        template_crops: UInt8[Tensor, "new template_side template_side 3"],
        template_masks: Bool[Tensor, "new template_side template_side"],
        search_crops: UInt8[Tensor, "batch side side 3"],
        search_masks: Bool[Tensor, "batch side side"],
        tokens: Float[Tensor, "batch length width"],
        padding_mask: Bool[Tensor, "batch length"],
        position: Float[Tensor, "batch length width"],
    ) -> tuple[Tensor, ...]:
        """Return the new templates' tokens, padding mask and position, then boxes and scores."""
        new = self.network.embed_template(self.normalise(template_crops), template_masks)
        search = self.network.embed_search(self.normalise(search_crops), search_masks)
        output = self.network.locate(Features(tokens, padding_mask, position), search)
        score = () if output.score_logit is None else (output.score_logit.sigmoid(),)
        return new.tokens, new.padding_mask, new.position, output.box_cxcywh, *score


def _write(network: Stark, config: Config, path: Path) -> None:
    outputs = (*TEMPLATE_OUTPUTS, *SEARCH_OUTPUTS)
    write_graph(
        _Graph(network),
        _example(config.model),
        path,
        halves=(TEMPLATE_INPUTS, SEARCH_INPUTS),
        outputs=outputs if config.model.score_head else outputs[:-1],
        config=config,
    )


def _example(model: ModelConfig) -> tuple[Tensor, ...]:
    """Return inputs of the graph; batches of 2 and 3, since the exporter takes 0 and 1 for constants."""
    new, batch, width = 2, 3, model.transformer.width
    length = model.num_templates * (model.template.side // model.backbone.stride) ** 2

    def crops(count: int, side: int) -> tuple[Tensor, Tensor]:
        return torch.zeros(count, side, side, 3, dtype=torch.uint8), torch.zeros(
            count, side, side, dtype=torch.bool
        )

    tokens = torch.zeros(batch, length, width)
    mask = torch.zeros(batch, length, dtype=torch.bool)
    return *crops(new, model.template.side), *crops(batch, model.search.side), tokens, mask, tokens.clone()

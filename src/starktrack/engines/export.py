"""Writes a network as an ONNX file, only if its outputs agree with PyTorch's."""

import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from starktrack.config.schema import Config
from starktrack.engines.onnx_engine import open_onnx
from starktrack.engines.onnx_graph import GraphOfCrops, write_graph
from starktrack.engines.parity import LARGEST_DIFFERENCE, LEAST_OVERLAP, Parity, compare
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import CheckpointError, require_extra
from starktrack.files import atomic_write
from starktrack.kinds import kind_of
from starktrack.models.folding import fold_for_export


def export_onnx(network: nn.Module, config: Config, path: Path) -> Parity:
    """Write a network of any kind as one ONNX file with its configuration; return the parity check.

    The network does not change; in the file RepVGG blocks and frozen norms are folded.

    Raises:
        CheckpointError: The outputs of the exported network differ; no file is written then.
        MissingExtraError: ONNX's packages are not installed.
    """
    require_extra("export", "exporting a network", "onnx", "onnxscript")
    network = fold_for_export(copy.deepcopy(network).cpu().eval())
    with atomic_write(path) as partial:
        _write(network, config, partial)
        onnx_engine = open_onnx(partial)
        parity = compare(TorchEngine(network, config, device=torch.device("cpu")), onnx_engine)
        if not parity.holds:
            raise CheckpointError(
                f"an exported network must answer as PyTorch does (overlap of boxes > {LEAST_OVERLAP}, "
                f"probabilities within {LARGEST_DIFFERENCE}), got {parity}; {path} was not written"
            )
    return parity


class _Graph(GraphOfCrops):
    """Both halves of a network as one function of plain tensors, in the order of its `kinds.kind.Graph`."""

    def __init__(self, network: nn.Module, config: Config) -> None:
        super().__init__()
        self.network = network
        self._kind = kind_of(config)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the features of the new templates, then the output for the search crops."""
        num_templates = len(self._kind.graph.template_inputs)
        kept = self.embed(*inputs[:num_templates])
        return *self._kind.tensors(kept), *self.locate(*inputs[num_templates:])

    def embed(self, *inputs: Tensor) -> object:
        """Return the features of template crops."""
        given = dict(zip(self._kind.graph.template_inputs.values(), inputs, strict=True))
        crops = self.normalise(given["crops"])
        return self._kind.embed(self.network, crops, given.get("masks"), given.get("boxes"))

    def locate(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the output for search crops."""
        graph = self._kind.graph
        given = dict(zip(graph.search_inputs.values(), inputs, strict=True))
        kept = self._kind.kept(*(given[name] for name in graph.template_outputs))
        crops = self.normalise(given["crops"])
        return self._kind.values(self._kind.locate(self.network, kept, crops, given.get("masks")))


def _write(network: nn.Module, config: Config, path: Path) -> None:
    kind = kind_of(config)
    graph = _Graph(network, config)
    write_graph(
        graph,
        _example(graph, config),
        path,
        halves=(tuple(kind.graph.template_inputs), tuple(kind.graph.search_inputs)),
        outputs=(*kind.graph.template_outputs, *kind.outputs(config.model)),
        config=config,
    )


@torch.no_grad()
def _example(graph: _Graph, config: Config) -> tuple[Tensor, ...]:
    """Return inputs of the graph; batches of 2 and 3, since the exporter takes 0 and 1 for constants."""
    kind, plan = kind_of(config), config.model.crops
    new, batch = 2, 3

    def parts(count: int, side: int) -> dict[str, Tensor]:
        return {
            "crops": torch.zeros(count, side, side, 3, dtype=torch.uint8),
            "masks": torch.zeros(count, side, side, dtype=torch.bool),
            "boxes": torch.full((count, 4), 0.5),
        }

    of_templates = parts(new, plan.template.side)
    templates = [of_templates[part] for part in kind.graph.template_inputs.values()]
    of_search = parts(batch, plan.search.side)
    for name, kept in zip(kind.graph.template_outputs, kind.tensors(graph.embed(*templates)), strict=True):
        of_search[name] = kept.new_zeros(batch, plan.num_templates * kept.shape[1], *kept.shape[2:])
    return *templates, *(of_search[part] for part in kind.graph.search_inputs.values())

"""Writes a torch module as a file of one ONNX graph, with its configuration in the metadata."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from starktrack.config.metadata import to_metadata
from starktrack.config.schema import Config
from starktrack.models.crops import PIXEL_MEAN, PIXEL_STD

OPSET = 18
"""The ONNX opset of the graph, the one that PyTorch 2.8 and later write without conversion."""


class GraphOfCrops(nn.Module):
    """A network as a function of plain tensors, with crops as bytes."""

    scale: Float[Tensor, "3 1 1"]
    offset: Float[Tensor, "3 1 1"]

    def __init__(self) -> None:
        super().__init__()
        mean, std = (255 * torch.tensor(values)[:, None, None] for values in (PIXEL_MEAN, PIXEL_STD))
        self.register_buffer("scale", 1 / std)
        self.register_buffer("offset", -mean / std)

    def normalise(self, crops: UInt8[Tensor, "batch side side 3"]) -> Float[Tensor, "batch 3 side side"]:
        """Return crops as the network sees them.

        As `models.crops.normalise`, but in two operations on whole planes, which are much faster in ONNX Runtime
        than three on interleaved colours.
        """
        return crops.permute(0, 3, 1, 2).float() * self.scale + self.offset


def write_graph(
    graph: GraphOfCrops,
    example: Sequence[Tensor],
    path: Path,
    *,
    halves: tuple[Sequence[str], Sequence[str]],
    outputs: Sequence[str],
    config: Config,
) -> None:
    """Write a graph of two halves, each with a batch size of its own.

    Args:
        example: An input each; batches of at least 2, since the exporter takes 0 and 1 for constants.
        halves: The names of the inputs of the first and of the second half.
    """
    new, batch = torch.export.Dim("new", min=0, max=1 << 16), torch.export.Dim("batch", min=0, max=1 << 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about its own parts
        program = torch.onnx.export(
            graph.eval(),
            tuple(example),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=(*halves[0], *halves[1]),
            output_names=outputs,
            # One entry: the graph takes its inputs as `*inputs`.
            dynamic_shapes=(({0: new},) * len(halves[0]) + ({0: batch},) * len(halves[1]),),
        )
    assert program is not None, "only the exporter before dynamo returns None"
    for node in program.model.graph:
        node.metadata_props.clear()  # where in our source each came from: a tenth of the file
    program.model.metadata_props.update(to_metadata(config))
    program.save(path, external_data=False)

"""A network in the form that runs fastest: several linear steps in a row become one.

Folding changes outputs by rounding only. It changes keys and values of the state dict of RepVGG blocks only.
"""

from typing import Any, TypeVar

import torch
from torch import nn

from starktrack.models.backbone import Backbone, Pyramid
from starktrack.models.lightning import RepVggBlock
from starktrack.models.norm import FoldedConv, fold_norms
from starktrack.models.turning import turn_back, turn_convolutions

Network = TypeVar("Network", bound=nn.Module)


def fold(network: Network) -> Network:
    """Fold RepVGG blocks and the frozen norms of backbones, in place; return the network.

    A RepVGG block can no longer be trained afterwards; everything else can.
    """
    for module in list(network.modules()):
        if isinstance(module, RepVggBlock) and module.folded is None:
            module.fold()
    return fold_backbones(network)


def fold_backbones(network: Network) -> Network:
    """Fold the frozen norms of backbones alone, in place; return the network, which can be trained."""
    for module in list(network.modules()):
        if isinstance(module, Backbone | Pyramid):
            module.is_turned = turn_convolutions(fold_norms(module.body))
    return network


def place(network: Network, device: torch.device, layout: torch.memory_format) -> Network:
    """Move the network to a device and its convolutions to a memory layout, in place; return the network."""
    options: dict[str, Any] = {"memory_format": layout}  # a keyword that PyTorch's annotations leave out
    return network.to(device, **options)


def fold_for_export(network: Network) -> Network:
    """Fold everything irreversibly, in place, into plain convolutions for a graph; return the network."""
    for module in fold(network).modules():
        if isinstance(module, FoldedConv):
            module.settle()
        elif isinstance(module, Backbone | Pyramid):
            turn_back(module.body)  # the runtimes of a graph pad a side at a time without a copy
            module.is_turned = False
    return network

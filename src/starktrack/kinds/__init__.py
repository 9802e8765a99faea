"""The kinds of networks, one file each.

Code that builds, trains, exports or runs a network calls `kind_of(config)`; no other code depends on the kind. Another
kind is a file with its settings (`config.network.NetworkConfig`) and its record (`kinds.kind.Kind`), and a call of
`register`. Importing this package imports no PyTorch.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from starktrack.config.schema import MODELS, Config
from starktrack.kinds.kind import Kind
from starktrack.kinds.refiner import RefinerKind
from starktrack.kinds.tracker import TrackerKind

if TYPE_CHECKING:
    from torch import nn

KINDS: dict[str, Kind] = {}
"""The record of each kind, by the `kind` of its settings."""


def register(kind: Kind) -> None:
    """Add a kind of network to those that configurations, weights and runs may have."""
    KINDS[kind.model.kind], MODELS[kind.model.kind] = kind, kind.model


for _kind in (TrackerKind(), RefinerKind()):
    register(_kind)


def kind_of(config: Config) -> Kind:
    """Return the record of a configuration's kind of network.

    Example:
        >>> from starktrack.config.presets import preset
        >>> kind_of(preset("refine_mobile")).graph.outputs
        ('box_cxcywh', 'mask_logit')
    """
    return KINDS[config.model.kind]


def load_network(path: Path, kind: str | None = None) -> "tuple[Config, nn.Module]":
    """Return the configuration and the network of a checkpoint, in eval mode on the CPU.

    Args:
        kind: The required kind of network; None for any.

    Raises:
        CheckpointError: The file is missing or damaged, its tensors do not fit its configuration, or its network
            is of another kind.
    """
    import torch

    from starktrack.models.folding import fold
    from starktrack.models.weights import fill, read_weights

    config, state = read_weights(path, kind)

    def empty_network() -> torch.nn.Module:
        network = kind_of(config).build(config.model)
        if any(".folded." in name for name in state):
            fold(network)
        return network

    with torch.device("meta"):  # first without memory: a damaged configuration may ask for terabytes
        fill(empty_network(), state, source=str(path), assign=True)
    network = empty_network()
    fill(network, state, source=str(path))
    return config, network.eval()

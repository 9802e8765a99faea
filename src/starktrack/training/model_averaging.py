"""Weights of several runs as one network: their mean.

Source: Wortsman et al., Model soups, ICML 2022. It helps where the weights are related: those of runs with the same
initial weights, or of a run and of its continuation.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from starktrack.config.comparison import different_settings
from starktrack.config.loading import to_mapping
from starktrack.config.schema import Config
from starktrack.errors import CheckpointError
from starktrack.models.weights import read_weights

_FREE = ("tracking.*", "model.mask_threshold", "model.box")
"""Settings that do not change the network itself."""


def average_weights(files: Sequence[Path]) -> tuple[Config, dict[str, Tensor]]:
    """Return the mean of weights, and the configuration of the first.

    The mean is in double precision; integers, such as counters, are those of the first.

    Args:
        files: Checkpoints of one network; their tracking settings may differ.

    Raises:
        CheckpointError: Fewer than two files, one that is missing or damaged, or different networks.
    """
    if len(files) < 2:
        raise CheckpointError(f"an average needs two checkpoints or more, got {len(files)}; name another")
    (config, first), *others = map(read_weights, files)
    for file, (other, state) in zip(files[1:], others, strict=True):
        differing = different_settings(to_mapping(config), to_mapping(other), free=_FREE)
        differing += sorted(name for name, _ in _shapes(first) ^ _shapes(state))
        if differing:
            raise CheckpointError(
                f"weights must be of one network to be averaged, {file} differs from {files[0]} in "
                f"{', '.join(differing[:3])}; leave it out"
            )
    states = [first, *(state for _, state in others)]
    return config, {name: _mean([state[name] for state in states]) for name in first}


def _shapes(state: dict[str, Tensor]) -> set[tuple[str, tuple[torch.Size, torch.dtype]]]:
    return {(name, (value.shape, value.dtype)) for name, value in state.items()}


def _mean(values: Sequence[Tensor]) -> Tensor:
    first = values[0]
    return (
        torch.stack([value.double() for value in values]).mean(dim=0).to(first.dtype)
        if first.is_floating_point()
        else first
    )

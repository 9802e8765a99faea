"""Checkpoints: safetensors with the resolved configuration in the metadata, written whole or not at all."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from starktrack.config.metadata import REFINER_KEY, from_metadata, refiner_from_metadata, to_metadata
from starktrack.config.refine import RefineConfig
from starktrack.config.schema import Config
from starktrack.errors import CheckpointError
from starktrack.files import atomic_write
from starktrack.models.build import build_network
from starktrack.models.folding import fold
from starktrack.models.refine import Refiner, build_refiner
from starktrack.models.stark import Stark

T = TypeVar("T")


def save_weights(path: Path, state: Mapping[str, Tensor], config: Config | RefineConfig) -> None:
    """Write a checkpoint; an interrupted write leaves what was there before.

    Raises:
        InputError: The place cannot be written to, or the disk is full.
    """
    # Copies: safetensors refuses tensors that share memory, as those of a pickle may.
    whole = torch.contiguous_format
    tensors = {name: tensor.detach().cpu().clone(memory_format=whole) for name, tensor in state.items()}
    content = save(tensors, metadata=to_metadata(config))
    with atomic_write(path) as partial:
        partial.write_bytes(content)


def read_config(path: Path) -> Config:
    """Return the configuration stored in a checkpoint, without reading its tensors.

    Raises:
        CheckpointError: The file is missing, damaged, or not one of ours.
    """
    return _read(path, from_metadata, tensors=False)[0]


def read_weights(path: Path) -> tuple[Config, dict[str, Tensor]]:
    """Return configuration and tensors of a checkpoint.

    Raises:
        CheckpointError: The file is missing, damaged, or not one of ours.
    """
    return _read(path, from_metadata, tensors=True)


def load_network(path: Path) -> tuple[Config, Stark]:
    """Return the configuration and the network of a checkpoint, in eval mode on the CPU.

    Raises:
        CheckpointError: The file is missing or damaged, or its tensors do not fit its configuration.
    """
    config, state = read_weights(path)
    network = build_network(config.model)
    if any(".folded." in name for name in state):
        fold(network)
    fill(network, state, source=str(path))
    return config, network.eval()


def read_refiner_weights(path: Path) -> tuple[RefineConfig, dict[str, Tensor]]:
    """Return configuration and tensors of a refiner.

    Raises:
        CheckpointError: The file is missing, damaged, or not a refiner of ours.
    """
    return _read(path, refiner_from_metadata, tensors=True)


def is_refiner(path: Path) -> bool:
    """Return whether a checkpoint is a refiner's, without reading its tensors.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    return _read(path, lambda _, metadata: REFINER_KEY in metadata, tensors=False)[0]


def load_refiner(path: Path) -> tuple[RefineConfig, Refiner]:
    """Return the configuration and the network of a refiner, in eval mode on the CPU.

    Raises:
        CheckpointError: The file is missing or damaged, or its tensors do not fit its configuration.
    """
    config, state = read_refiner_weights(path)
    network = build_refiner(config.model)
    fill(network, state, source=str(path))
    return config, network.eval()


def fill(network: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Copy a state into the network.

    Raises:
        CheckpointError: A key is missing, unexpected, or has another shape; every one is named.
    """
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        details = "; ".join(line.strip() for line in str(error).splitlines()[1:])
        raise CheckpointError(f"{source} does not fit its model: {details}") from error


def _read(
    path: Path, parse: Callable[[Path, Mapping[str, str]], T], *, tensors: bool
) -> tuple[T, dict[str, Tensor]]:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise CheckpointError(f"weights must be a file written by starktrack, {path} is {found}")
    try:
        with safe_open(path, framework="pt") as file:
            config = parse(path, file.metadata() or {})
            return config, {name: file.get_tensor(name) for name in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"weights must be a safetensors file, {path} is not or is truncated ({error}); "
            "for a file of the authors run: starktrack convert"
        ) from error

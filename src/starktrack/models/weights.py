"""Checkpoints: safetensors with the resolved configuration in the metadata, written whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from starktrack.config.loading import from_mapping, to_mapping
from starktrack.config.schema import Config
from starktrack.errors import CheckpointError, ConfigError
from starktrack.models.build import build_network
from starktrack.models.lightning import fold
from starktrack.models.stark import Stark
from starktrack.output_file import whole_file

METADATA_KEY = "starktrack.config"


def save_weights(path: Path, state: Mapping[str, Tensor], config: Config) -> None:
    """Write a checkpoint; an interrupted write leaves what was there before.

    Raises:
        InputError: The place cannot be written to, or the disk is full.
    """
    # Copies: safetensors refuses tensors that share memory, as those of a pickle may.
    whole = torch.contiguous_format
    tensors = {name: tensor.detach().cpu().clone(memory_format=whole) for name, tensor in state.items()}
    content = save(tensors, metadata={METADATA_KEY: json.dumps(to_mapping(config))})
    with whole_file(path) as partial, partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_config(path: Path) -> Config:
    """Return the configuration stored in a checkpoint, without reading its tensors.

    Raises:
        CheckpointError: The file is missing, damaged, or not one of ours.
    """
    return _read(path, tensors=False)[0]


def read_weights(path: Path) -> tuple[Config, dict[str, Tensor]]:
    """Return configuration and tensors of a checkpoint.

    Raises:
        CheckpointError: The file is missing, damaged, or not one of ours.
    """
    return _read(path, tensors=True)


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


def fill(network: Stark, state: Mapping[str, Tensor], *, source: str) -> None:
    """Copy a state into the network.

    Raises:
        CheckpointError: A key is missing, unexpected, or has another shape; every one is named.
    """
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        details = "; ".join(line.strip() for line in str(error).splitlines()[1:])
        raise CheckpointError(f"{source} does not fit its model: {details}") from error


def _read(path: Path, *, tensors: bool) -> tuple[Config, dict[str, Tensor]]:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise CheckpointError(f"weights must be a file written by starktrack, {path} is {found}")
    try:
        with safe_open(path, framework="pt") as file:
            config = _config_of(path, file.metadata())
            return config, {name: file.get_tensor(name) for name in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"weights must be a safetensors file, {path} is not or is truncated ({error}); "
            "for a file of the authors run: starktrack convert"
        ) from error


def _config_of(path: Path, metadata: Mapping[str, str] | None) -> Config:
    text = (metadata or {}).get(METADATA_KEY)
    if text is None:
        raise CheckpointError(
            f"weights must carry their configuration in the metadata {METADATA_KEY!r}, {path} does not; "
            "only files written by starktrack can be loaded"
        )
    try:
        return from_mapping(Config, json.loads(text))
    except (json.JSONDecodeError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"the configuration in {path} is not JSON of a record: {error}") from error
    except ConfigError as error:
        raise CheckpointError(
            f"the configuration in {path} must be one of this version, got: {error}; update starktrack"
        ) from error

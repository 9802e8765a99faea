"""Checkpoints: safetensors with the resolved configuration in the metadata, written whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from starktrack.config.metadata import from_metadata, to_metadata
from starktrack.config.schema import Config
from starktrack.errors import CheckpointError
from starktrack.files import atomic_write


def save_weights(path: Path, state: Mapping[str, Tensor], config: Config) -> None:
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


def read_config(path: Path, kind: str | None = None) -> Config:
    """Return the configuration stored in a checkpoint, without reading its tensors.

    Args:
        kind: The required kind of network; None for any.

    Raises:
        CheckpointError: The file is missing, damaged, not one of ours, or of another kind.
    """
    return _read(path, kind, tensors=False)[0]


def read_weights(path: Path, kind: str | None = None) -> tuple[Config, dict[str, Tensor]]:
    """Return configuration and tensors of a checkpoint; arguments and errors as `read_config`."""
    return _read(path, kind, tensors=True)


def fill(network: nn.Module, state: Mapping[str, Tensor], *, source: str, assign: bool = False) -> None:
    """Copy a state into the network.

    Args:
        source: What the state is called in errors.
        assign: Whether the network takes the tensors themselves, as one without memory must.

    Raises:
        CheckpointError: A key is missing, unexpected, or has another shape; every one is named.
    """
    try:
        network.load_state_dict(dict(state), assign=assign)
    except RuntimeError as error:
        details = "; ".join(line.strip() for line in str(error).splitlines()[1:])
        raise CheckpointError(f"{source} does not fit its model: {details}") from error


def _read(path: Path, kind: str | None, *, tensors: bool) -> tuple[Config, dict[str, Tensor]]:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise CheckpointError(f"weights must be a file written by starktrack, {path} is {found}")
    try:
        with safe_open(path, framework="pt") as file:
            config = from_metadata(path, file.metadata() or {}, kind)
            return config, {name: file.get_tensor(name) for name in file.keys()} if tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"weights must be a safetensors file, {path} is not or is truncated ({error}); "
            "for a file of the authors run: starktrack convert"
        ) from error

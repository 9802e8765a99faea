"""Export: writes a checkpoint as an ONNX file, which runs without PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from starktrack.errors import ConfigError, InputError, nearest_name

Weights = Literal["given", "pretrained", "random"]


@dataclass(frozen=True)
class ExportedNetwork:
    """An exported network, and its differences from PyTorch.

    Attributes:
        name: Of its configuration.
        path: The file.
        weights: `given`, `pretrained` (of the package) or `random`, which find nothing.
        num_crops: Number of crops of the comparison.
        corner_difference: Largest distance of corners, crops.
        compared: What else was compared: scores of a tracker, probabilities of a refiner's outline.
        difference: Its largest difference.
    """

    name: str
    path: Path
    weights: Weights
    num_crops: int
    corner_difference: float
    compared: str
    difference: float


def export(source: str | Path, target: str | Path, *, file_format: str = "onnx") -> ExportedNetwork:
    """Write a network as ONNX, which runs without PyTorch: a tracker's or a refiner's.

    The file is written only if its boxes and outlines agree with PyTorch's. Any batch size runs.

    Args:
        source: A checkpoint of a tracker or a refiner (`.safetensors`), or a preset: its weights of the package,
            else random ones, which only serve to measure speed.
        target: Path of the written network.
        file_format: `onnx`.

    Raises:
        InputError: The target cannot be written, or the source is exported already.
        ConfigError: An unknown preset.
        CheckpointError: A damaged checkpoint, or a network that answers otherwise than PyTorch.
        MissingExtraError: PyTorch or the exporter is not installed.

    Example:
        >>> import starktrack
        >>> found = starktrack.export("stark_mobile", "mobile.onnx")
        >>> found.weights, found.corner_difference < 1e-3
        ('pretrained', True)
    """
    from starktrack.api import require_torch
    from starktrack.files import check_output_path

    source, target = str(source), Path(target)
    check_output_path(target, (f".{file_format}",), "an exported network")
    require_torch("exporting a network")
    from starktrack.config.presets import PRESETS, preset
    from starktrack.engines.export import export_onnx
    from starktrack.kinds import kind_of, load_network

    if Path(source).suffix == ".onnx":
        raise InputError(
            f"what is exported must be a checkpoint or a preset, {source} is exported already; "
            "give the .safetensors that it was made of"
        )
    if not Path(source).suffix and source not in PRESETS:
        raise ConfigError(
            f"a model must be a checkpoint (.safetensors) or one of the presets, got {source!r}"
            f"{nearest_name(source, PRESETS)}"
        )
    file, weights = _weights(source)
    if file:
        config, network = load_network(file)
    else:
        config = preset(source)
        network = kind_of(config).build(config.model)
    parity = export_onnx(network, config, target)
    return ExportedNetwork(
        config.name,
        target,
        weights,
        parity.num_crops,
        parity.corner_difference,
        kind_of(config).probability_name,
        parity.probability_difference,
    )


def _weights(source: str) -> tuple[Path | None, Weights]:
    """Return the file of the weights, None for random ones, and their kind."""
    from starktrack.pretrained import pretrained_weights

    if Path(source).suffix:
        return Path(source), "given"
    pretrained = pretrained_weights(source, "torch")
    return pretrained, "random" if pretrained is None else "pretrained"

"""Export: writes a checkpoint as an ONNX file, which runs without PyTorch, or an ONNX file with fewer bits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from starktrack.config.precision import Precision, check_known_precision
from starktrack.errors import ConfigError, InputError, nearest_name

if TYPE_CHECKING:
    from starktrack.workflows.reduced_export import TrackingCheck

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

    Example:
        >>> ExportedNetwork("mine", Path("mine.onnx"), "given", 8, 1e-6, "scores", 1e-5).compared
        'scores'
    """

    name: str
    path: Path
    weights: Weights
    num_crops: int
    corner_difference: float
    compared: str
    difference: float


def export_with_fewer_bits(
    source: str | Path,
    target: str | Path,
    precision: Precision,
    calibrate: Sequence[str],
    *,
    on_clip: Callable[[str], object] | None = None,
) -> "TrackingCheck":
    """Write a tracker as ONNX in 8-bit integers for CPUs, or in 16-bit floating point for GPUs.

    The file is written only if it tracks the clips as the network in float32 does, see
    `workflows.reduced_export.Limits`. Its metadata say how it was checked.

    Args:
        source: An exported tracker in float32 (`.onnx`), a checkpoint, or a preset with weights in the package.
        target: Where to write the network.
        precision: `int8` or `float16`.
        calibrate: Videos, and folders of annotated data sets: the ranges of int8 are taken from them, and both networks
            track them. In a video without annotations the target is what lies in the middle of the first frame.
        on_clip: Called with the name of each clip that is tracked.

    Raises:
        InputError: The target cannot be written, or no clips.
        ConfigError: An unknown precision or preset, or one without weights.
        CheckpointError: A damaged source, or a network that tracks otherwise than in float32.
        MissingExtraError: What quantises is not installed; for a checkpoint, PyTorch or the exporter.
    """
    from starktrack.files import check_output_path

    check_known_precision(precision)
    if precision not in ("float16", "int8"):
        raise ConfigError(
            f"an exported network with fewer bits is in float16 or int8, got {precision}; bfloat16 needs no file of "
            "its own: run one in float32 with --precision bfloat16"
        )
    source, target = str(source), Path(target)
    check_output_path(target, (".onnx",), "an exported network")
    from starktrack.pretrained import pretrained_weights
    from starktrack.workflows.reduced_export import export_reduced

    pretrained = None if Path(source).suffix else pretrained_weights(source, "onnx")
    if pretrained is None and not Path(source).suffix:
        raise ConfigError(f"fewer bits need trained weights, {source} has none in the package; give a file")
    with TemporaryDirectory() as folder:
        file = pretrained or Path(source)
        if file.suffix != ".onnx":
            file = Path(folder) / "float32.onnx"
            export(source, file)
        return export_reduced(file, target, precision, calibrate, on_clip=on_clip)


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

"""`starktrack export`: a checkpoint becomes a file that runs without PyTorch."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from starktrack.errors import ConfigError, InputError, nearest_name


class Format(StrEnum):
    """What can be written."""

    onnx = "onnx"


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Checkpoint of a tracker or a refiner (.safetensors), or a preset: its weights of the package, "
            "else random ones, which only serve to measure speed.",
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="Where to write the network.")],
    file_format: Annotated[Format, typer.Option("--format", help="Kind of file.")] = Format.onnx,
) -> None:
    """Write a network as ONNX, which runs without PyTorch: a tracker's or a refiner's.

    The file is written only if it finds the boxes and outlines that PyTorch finds. Any batch size runs.
    """
    from starktrack.api import require_torch
    from starktrack.files import check_output_path

    check_output_path(target, (f".{file_format}",), "an exported network")
    require_torch("exporting a network")
    sys.stdout.write(f"{source} is {_export(source, target)}\n")


def _export(source: str, target: Path) -> str:
    """Write the file; return what was done, in words."""
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
    return (
        f"{config.name}{weights}: wrote {target}, {target.stat().st_size / 1e6:.1f} MB; on {parity.num_crops} crops "
        f"corners are within {parity.corner_difference:.1e} crops of PyTorch's, "
        f"{kind_of(config).probability_name} within {parity.probability_difference:.1e}"
    )


def _weights(source: str) -> tuple[Path | None, str]:
    """Return the weights, None for random ones, and what is to be said of them."""
    from starktrack.pretrained import pretrained_weights

    if Path(source).suffix:
        return Path(source), ""
    found = pretrained_weights(source, "torch")
    if found is not None:
        return found, " with the weights of the package"
    return None, " with RANDOM weights, which find nothing"

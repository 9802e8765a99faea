"""`starktrack export`: a checkpoint becomes a file that runs without PyTorch."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from starktrack.config.schema import Config
    from starktrack.models.stark import Stark


class Format(StrEnum):
    """What can be written."""

    onnx = "onnx"


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Checkpoint (.safetensors), or a preset: its weights of the package, else random ones, "
            "which only serve to measure speed.",
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="Where to write the network.")],
    file_format: Annotated[Format, typer.Option("--format", help="Kind of file.")] = Format.onnx,
) -> None:
    """Write a network as ONNX, which runs without PyTorch.

    The file is written only if it finds the boxes that PyTorch finds. Any batch size runs.
    """
    from starktrack.api import require_torch
    from starktrack.output_file import check_output_path

    check_output_path(target, (f".{file_format}",), "an exported network")
    require_torch("exporting a network")
    from starktrack.engines.export import export_onnx

    config, network, kind = _network(source)
    agreement = export_onnx(network, config, target)
    sys.stdout.write(
        f"{source} is {config.name}{kind}: wrote {target}, {target.stat().st_size / 1e6:.1f} MB; on "
        f"{agreement.num_crops} crops corners are within {agreement.corner_difference:.1e} crops of PyTorch's, "
        f"scores within {agreement.score_difference:.1e}\n"
    )


def _network(source: str) -> tuple["Config", "Stark", str]:
    """Return configuration, network, and what is to be said of its weights."""
    from starktrack.config.presets import preset
    from starktrack.models.build import build_network
    from starktrack.models.weights import load_network
    from starktrack.shipped import shipped_weights

    if Path(source).suffix:
        return *load_network(Path(source)), ""
    config = preset(source)
    shipped = shipped_weights(config.name, "torch")
    if shipped is not None:
        return *load_network(shipped), " with the weights of the package"
    return config, build_network(config.model), " with RANDOM weights, which find nothing"

"""`starktrack export`: writes a checkpoint as a file that runs without PyTorch."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from starktrack.workflows import export as workflow


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
    found = workflow.export(source, target, file_format=file_format.value)
    kind = {"given": "", "pretrained": " with the weights of the package"}.get(
        found.weights, " with RANDOM weights, which find nothing"
    )
    sys.stdout.write(
        f"{source} is {found.name}{kind}: wrote {found.path}, {found.path.stat().st_size / 1e6:.1f} MB; "
        f"on {found.num_crops} crops corners are within {found.corner_difference:.1e} crops of PyTorch's, "
        f"{found.compared} within {found.difference:.1e}\n"
    )

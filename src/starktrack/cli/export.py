"""`starktrack export`: writes a checkpoint as a file that runs without PyTorch."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from starktrack.cli.options import PrecisionName
from starktrack.errors import ConfigError
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
            "else random ones, which only serve to measure speed. For fewer bits also an exported tracker (.onnx).",
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="Where to write the network.")],
    file_format: Annotated[Format, typer.Option("--format", help="Kind of file.")] = Format.onnx,
    precision: Annotated[
        PrecisionName,
        typer.Option(help="auto is float32; int8 is for CPUs, float16 for GPUs, both need --calibrate."),
    ] = PrecisionName.auto,
    calibrate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VIDEO_OR_DATA",
            help="A video, or the folder of an annotated data set, on which int8 or float16 is checked by tracking; "
            "repeat for more.",
        ),
    ] = None,
) -> None:
    """Write a network as ONNX, which runs without PyTorch: a tracker's or a refiner's.

    The file is written only if it finds the boxes and outlines that PyTorch finds. Any batch size runs.

    With int8 or float16 it is written only if it tracks the clips of --calibrate as in float32, within stated limits,
    which the file's metadata hold.
    """
    if precision not in (PrecisionName.auto, PrecisionName.float32):
        _export_with_fewer_bits(source, target, precision, calibrate or [])
        return
    if calibrate:
        raise ConfigError("--calibrate is for --precision int8 or float16, got neither; add one of them")
    found = workflow.export(source, target, file_format=file_format.value)
    kind = {"given": "", "pretrained": " with the weights of the package"}.get(
        found.weights, " with RANDOM weights, which find nothing"
    )
    sys.stdout.write(
        f"{source} is {found.name}{kind}: wrote {found.path}, {found.path.stat().st_size / 1e6:.1f} MB; "
        f"on {found.num_crops} crops corners are within {found.corner_difference:.1e} crops of PyTorch's, "
        f"{found.compared} within {found.difference:.1e}\n"
    )


def _export_with_fewer_bits(
    source: str, target: Path, precision: PrecisionName, calibrate: list[str]
) -> None:
    def on_clip(name: str) -> None:
        sys.stderr.write(f"tracking {name}\n")

    found = workflow.export_with_fewer_bits(source, target, precision.value, calibrate, on_clip=on_clip)
    for clip in found.clips:
        success = "" if clip.success is None else f", success {clip.success[0]:.1f} and {clip.success[1]:.1f}"
        sys.stdout.write(f"{clip.name}: overlap {clip.overlap:.3f} in {clip.num_frames} frames{success}\n")
    if found.success is None:
        sys.stderr.write(
            "warning: no clip of --calibrate is annotated, so the loss of success was not measured; "
            "add an annotated data set\n"
        )
    success = "" if found.success is None else f"; success {found.success[0]:.2f} and {found.success[1]:.2f}"
    sys.stdout.write(
        f"wrote {target}, {target.stat().st_size / 1e6:.1f} MB in {precision.value}: boxes overlap those in float32 by "
        f"{found.mean_overlap:.3f}, by {found.worst.overlap:.3f} in {found.worst.name}{success}\n"
    )

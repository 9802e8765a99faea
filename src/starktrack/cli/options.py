"""Options that several verbs share, and the text forms of their values."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from starktrack.errors import BoxError


class Device(StrEnum):
    """Where the network runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class EngineName(StrEnum):
    """What runs the network."""

    auto = "auto"
    torch = "torch"
    onnx = "onnx"


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="NAME", help="Preset (see `starktrack models`); default: what WEIGHTS is of."
    ),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Checkpoint (.safetensors) or exported network (.onnx)."),
]
RefineOption = Annotated[
    str | None,
    typer.Option(
        "--refine",
        metavar="FILE",
        help="Weights of a refiner, or the name of one of ours (refine_mobile): exact boxes, and outlines.",
    ),
]
DeviceOption = Annotated[
    Device, typer.Option("--device", help="Where the network runs; auto takes cuda, then mps, then cpu.")
]
EngineOption = Annotated[
    EngineName, typer.Option("--engine", help="What runs the network; auto goes by the kind of WEIGHTS.")
]


def parse_box(text: str) -> tuple[float, ...]:
    """Return the four numbers of `X,Y,W,H`, pixels.

    Raises:
        BoxError: Not four numbers separated by commas.
    """
    parts = text.split(",")
    try:
        values = tuple(float(part) for part in parts)
    except ValueError as error:
        raise BoxError(f"--box must be four numbers X,Y,W,H, got {text!r}") from error
    if len(values) != 4:
        raise BoxError(f"--box must be four numbers X,Y,W,H, got {len(values)}: {text!r}")
    return values

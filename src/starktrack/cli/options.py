"""Options that several verbs share, and the text forms of their values."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from starktrack.errors import BoxError, ConfigError, InputError


class Device(StrEnum):
    """The device of the network."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"
    tensorrt = "tensorrt"
    coreml = "coreml"
    directml = "directml"


class EngineName(StrEnum):
    """The runtime of the network."""

    auto = "auto"
    torch = "torch"
    onnx = "onnx"
    openvino = "openvino"


class PrecisionName(StrEnum):
    """In which precision the network computes."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"
    int8 = "int8"


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="Preset (see `starktrack models`); default: what WEIGHTS is of, stark_mobile without any.",
    ),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Checkpoint (.safetensors) or exported network (.onnx); default: those of the package.",
    ),
]
RefineOption = Annotated[
    str | None,
    typer.Option(
        "--refine",
        metavar="FILE",
        help="Weights of a refiner, or the name of one of ours (refine_mobile): refined boxes, and outlines.",
    ),
]
DeviceOption = Annotated[
    Device,
    typer.Option(
        "--device",
        help="Where the network runs; auto takes cuda, mps or cpu for a checkpoint, the CPU for ONNX and for the "
        "weights of the package. tensorrt, coreml and directml are for ONNX.",
    ),
]
EngineOption = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="What runs the network; auto goes by the kind of WEIGHTS, and takes openvino for ONNX on the CPU where it "
        "is installed.",
    ),
]
ComparedEngineOption = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="What runs our networks; auto goes by the kind of the file alone (torch, onnx), so that results of "
        "several machines compare.",
    ),
]
PrecisionOption = Annotated[
    PrecisionName,
    typer.Option(
        "--precision",
        help="auto is that of the file (float32 unless exported otherwise); bfloat16 needs openvino.",
    ),
]

RangeOption = Annotated[
    str | None,
    typer.Option(
        "--range",
        metavar="LOW,HIGH",
        help="Counts of a thermal or industrial video that are shown as black and white; default: percentiles 0.1 "
        "and 99.9 of its first frame.",
    ),
]
LatestOption = Annotated[
    bool,
    typer.Option(
        "--latest", help="Of a live source: track the newest frame, drop older ones, and say how many."
    ),
]
ReconnectOption = Annotated[
    float | None,
    typer.Option(
        "--reconnect",
        metavar="SECONDS",
        help="Of a live source: for how long to connect again after it breaks off; inf for ever; default 300 for "
        "cameras, rtsp, rtmp, srt, udp and rtp, 0 for others.",
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="Of a live source: how long no picture may come before it counts as broken off; default 10.",
    ),
]
FreezeOption = Annotated[
    float | None,
    typer.Option(
        "--freeze",
        metavar="SECONDS",
        help="Of a live source: how long the same picture may be repeated before that is reported; default 10, "
        "0 for no report.",
    ),
]
HealthOption = Annotated[
    float | None,
    typer.Option(
        "--health",
        metavar="SECONDS",
        help="Of a live source: a line of frames, frames/s, lag, dropped, reconnects so often, on standard error.",
    ),
]
HealthFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write the latest health to this file instead, as JSON; every 10 s without --health.",
    ),
]
RotateOption = Annotated[
    str | None,
    typer.Option(
        "--rotate",
        metavar="TIME,SIZE",
        help="Begin new files after a time (90s, 10m, 1h, 1d), a size (500MB, 2GB), or both: NAME-START-NUMBER.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Such as tracking.update_interval=10."),
]
WorkersOption = Annotated[int, typer.Option(metavar="N", min=1, help="Processes on this machine.")]
VideoArgument = Annotated[
    str,
    typer.Argument(
        metavar="VIDEO",
        help="A file, a folder or glob of images, img/%04d.png, a camera index, a stream address, or - for stdin.",
    ),
]
DataRootOption = Annotated[
    Path, typer.Option("--data", metavar="ROOT", help="Folder that the recipe's data sets lie below.")
]


def parse_range(text: str | None) -> tuple[float, float] | None:
    """Return the two numbers of `LOW,HIGH`.

    Raises:
        InputError: Not two numbers separated by a comma.
    """
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--range must be two numbers LOW,HIGH, got {text!r}") from error
    return low, high


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


def named(text: str) -> tuple[str, str]:
    """Return name and value of `NAME=VALUE`, with an empty name for a plain path."""
    name, equals, value = text.partition("=")
    return (name, value) if equals and not Path(text).exists() else ("", text)


def named_places(texts: Sequence[str]) -> dict[str, Path]:
    """Return places by name: `NAME=PATH`, or a folder's or file's own name.

    Raises:
        ConfigError: Two places have the same name.
    """
    pairs = [(name or _own_name(Path(value)), Path(value)) for name, value in map(named, texts)]
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ConfigError(
            f"trackers must differ in name, got {', '.join(name for name, _ in pairs)}; write NAME=PATH"
        )
    return found


def _own_name(place: Path) -> str:
    place = place.resolve()
    return place.name if place.is_dir() else place.stem


def parse_annotations(texts: Sequence[str]) -> Path | dict[str, Path]:
    """Return the place of `--annotations`, or by data set those of a union.

    Raises:
        ConfigError: Several places without a data set each.
    """
    named_parts = {
        part: Path(place) for part, equals, place in (text.partition("=") for text in texts) if equals
    }
    if len(texts) == 1 and (not named_parts or Path(texts[0]).exists()):
        return Path(texts[0])
    if len(named_parts) < len(texts):
        raise ConfigError("a union needs --annotations DATASET=PLACE for each data set, each once")
    return named_parts

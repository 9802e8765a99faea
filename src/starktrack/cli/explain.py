"""`starktrack explain`: pictures and a video of a network's attention and maps."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from starktrack.cli.options import (
    VIDEO_HELP,
    Device,
    DeviceOption,
    ModelOption,
    RangeOption,
    WeightsOption,
    parse_box,
    parse_range,
)
from starktrack.errors import InputError

if TYPE_CHECKING:
    from starktrack.engines.torch_engine import TorchEngine
    from starktrack.explain.engine import ExplainingEngine


def explain(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help=VIDEO_HELP)],
    box: Annotated[str, typer.Option("--box", metavar="X,Y,W,H", help="Target in the first frame, pixels.")],
    model: ModelOption = None,
    weights: WeightsOption = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where pictures and video go.")] = Path(
        "explained"
    ),
    position: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y",
            help="Search position whose encoder attention is shown, 0,0 to 1,1; default: the box's centre.",
        ),
    ] = None,
    every: Annotated[int, typer.Option(metavar="N", min=1, help="Frames between pictures.")] = 20,
    start_frame: Annotated[
        int, typer.Option(metavar="N", min=0, help="Frame in which the box was drawn, from 0.")
    ] = 0,
    intensity_range: RangeOption = None,
    device: DeviceOption = Device.auto,
) -> None:
    """Track one target and show attention, corner maps and score.

    DIR gets explained.mp4 (the tracked video beside the maps), strip.png (maps over frames), score.png, and
    for every N-th frame a summary and all heads of all layers of encoder and decoder.
    """
    target, where = parse_box(box), None if position is None else _parse_position(position)
    limits = parse_range(intensity_range)

    from starktrack.cli.progress import progress_of
    from starktrack.data.frames import open_frames
    from starktrack.geometry.boxes import check_box
    from starktrack.tracking.tracker import Tracker
    from starktrack.workflows.explain_outputs import ExplainOutputs

    with ExitStack() as stack:
        frames = stack.enter_context(open_frames(video, start_frame=start_frame, intensity_range=limits))
        check_box(target, frames.size_hw)
        engine = _engine(model, weights, where, device)
        threshold = engine.config.tracking.update_score
        outputs = stack.enter_context(ExplainOutputs(out, every, frames.frame_rate, threshold))
        total = None if frames.num_frames is None else frames.num_frames - start_frame
        with progress_of(total, frames.name) as progress:
            for tracked in Tracker(engine).track(frames, target):
                outputs.write(tracked, engine.last)
                progress.advance()
    missing = "" if engine.last is None else "; ".join(engine.last.missing())
    if missing:
        sys.stderr.write(f"not shown, {engine.config.name} has no such part: {missing}\n")
    sys.stderr.write(f"wrote {', '.join(str(path) for path in outputs.paths)}\n")


def _engine(
    model: str | None, weights: Path | None, position: tuple[float, float] | None, device: Device
) -> "ExplainingEngine":
    from starktrack.api import load_engine

    engine = load_engine(model, weights=weights, device=device.value, engine="torch")
    from starktrack.explain.engine import ExplainingEngine

    return ExplainingEngine(cast("TorchEngine", engine), position)


def _parse_position(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--position must be two numbers X,Y, got {text!r}") from error
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise InputError(f"--position must lie in the search region, from 0,0 to 1,1, got {text!r}")
    return x, y

"""`starktrack explain`: pictures and a video of a network's attention and maps."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from starktrack.cli.options import (
    Device,
    DeviceOption,
    ModelOption,
    RangeOption,
    VideoArgument,
    WeightsOption,
    parse_box,
    parse_range,
)
from starktrack.errors import InputError


def explain(
    video: VideoArgument,
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

    from starktrack.cli.progress import FrameProgress
    from starktrack.workflows import explain as workflow

    with FrameProgress() as on_frame:
        found = workflow.explain(
            video,
            target,
            out,
            model=model,
            weights=weights,
            position_xy=where,
            every=every,
            start_frame=start_frame,
            intensity_range=limits,
            device=device.value,
            on_frame=on_frame,
        )
    if found.missing:
        sys.stderr.write(f"not shown, {found.model} has no such part: {'; '.join(found.missing)}\n")
    sys.stderr.write(f"wrote {', '.join(map(str, found.paths))}\n")


def _parse_position(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--position must be two numbers X,Y, got {text!r}") from error
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise InputError(f"--position must lie in the search region, from 0,0 to 1,1, got {text!r}")
    return x, y

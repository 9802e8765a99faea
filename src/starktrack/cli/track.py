"""`starktrack track`: boxes in, boxes and an annotated video out."""

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from starktrack.cli.interrupts import Interrupted, interruptible, send_to_nowhere
from starktrack.cli.options import (
    Device,
    DeviceOption,
    EngineName,
    EngineOption,
    FreezeOption,
    HealthFileOption,
    HealthOption,
    LatestOption,
    ModelOption,
    PrecisionName,
    PrecisionOption,
    RangeOption,
    ReconnectOption,
    RefineOption,
    RotateOption,
    TimeoutOption,
    VideoArgument,
    WeightsOption,
    parse_box,
    parse_range,
)
from starktrack.errors import BoxError, InputError, VideoBrokenError
from starktrack.files import atomic_write

if TYPE_CHECKING:
    from starktrack.data.video.live import LiveHealth, LiveSettings


def track(
    video: VideoArgument,
    box: Annotated[
        list[str] | None,
        typer.Option(
            "--box", metavar="X,Y,W,H", help="Target in the first frame, pixels; repeat for more targets."
        ),
    ] = None,
    boxes_file: Annotated[
        Path | None,
        typer.Option(
            "--boxes",
            metavar="FILE",
            help="Annotations in any format: each target starts where it has its first box.",
        ),
    ] = None,
    boxes_format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="Format of --boxes; default: its content tells.")
    ] = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Boxes: .txt (x,y,w,h per frame), .csv, .json or .jsonl (with time and score), .xml (CVAT), "
            "or see --format.",
        ),
    ] = None,
    save_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="Of --save: cvat, mot, coco, yolo, ... (docs/annotations.md); of standard output: csv or jsonl.",
        ),
    ] = None,
    annotated: Annotated[
        Path | None, typer.Option("--video", metavar="FILE", help="Annotated video, for example out.mp4.")
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Outlines: a PNG of labels per frame, masks.json with run lengths; --video shows them.",
        ),
    ] = None,
    refine: RefineOption = None,
    start_frame: Annotated[
        int, typer.Option(metavar="N", min=0, help="Frame in which the boxes were drawn, from 0.")
    ] = 0,
    until_lost: Annotated[
        bool,
        typer.Option(
            "--until-lost",
            help="Stop once every target counts as lost; with --redetect N, once that lasted N frames.",
        ),
    ] = False,
    search_growth: Annotated[
        float | None,
        typer.Option(
            metavar="TIMES", help="Search a lost target in a region that grows up to so many times its width."
        ),
    ] = None,
    redetect: Annotated[
        int | None,
        typer.Option(
            metavar="FRAMES", min=0, help="Look for a lost target in the whole picture every so many frames."
        ),
    ] = None,
    box_fit: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Draw boxes as the given one is drawn: 0 as the network does, 1 as in the first frame. [default: as "
            "stored with the weights]",
        ),
    ] = None,
    select: Annotated[
        bool, typer.Option("--select", help="Draw the box with the mouse in a window.")
    ] = False,
    intensity_range: RangeOption = None,
    latest: LatestOption = False,
    reconnect: ReconnectOption = None,
    timeout: TimeoutOption = None,
    freeze: FreezeOption = None,
    health: HealthOption = None,
    health_file: HealthFileOption = None,
    rotate: RotateOption = None,
    device: DeviceOption = Device.auto,
    engine: EngineOption = EngineName.auto,
    precision: PrecisionOption = PrecisionName.auto,
) -> None:
    """Track one or more targets through a video.

    Without --save, --video and --masks the boxes go to standard output as CSV, or with --format jsonl as JSON lines.
    """
    boxes = [parse_box(text) for text in box or []]
    limits = parse_range(intensity_range)
    if (boxes_file is not None) + select + bool(boxes) != 1:
        given = {"--box": bool(boxes), "--boxes": boxes_file is not None, "--select": select}
        got = " and ".join(name for name, is_given in given.items() if is_given) or "none of them"
        raise BoxError(
            "the target needs a box: give one of --box X,Y,W,H (repeat it for more targets), --boxes FILE and "
            f"--select, got {got}"
        )

    from starktrack.cli.progress import FrameProgress
    from starktrack.workflows.box_window import select_box
    from starktrack.workflows.rotation import Rotation
    from starktrack.workflows.track import track_to_files

    settings = {"search_growth": search_growth, "redetect": redetect, "box_fit": box_fit}
    with interruptible(), FrameProgress() as on_frame:
        run = track_to_files(
            video,
            boxes,
            boxes_file=boxes_file,
            boxes_format=boxes_format,
            choose_box=select_box if select else None,
            model=model,
            weights=weights,
            save=save,
            save_format=save_format,
            annotated=annotated,
            masks=masks,
            refine=refine,
            start_frame=start_frame,
            until_lost=until_lost,
            settings={name: value for name, value in settings.items() if value is not None},
            intensity_range=limits,
            live=_live_settings(latest, reconnect, timeout, freeze, health, health_file),
            rotation=None if rotate is None else Rotation.parse(rotate),
            device=device.value,
            engine=engine.value,
            precision=precision.value,
            on_line=_line_writer(sys.stdout),
            on_frame=on_frame,
            on_event=lambda event: sys.stderr.write(f"live: {event.message}\n"),
            on_health=_health_writer(health_file),
        )
    if run.lost_in is not None:
        sys.stderr.write(f"lost in frame {run.lost_in}\n")
    on = f" ({run.runtime})" if run.runtime else ""
    live = f", {run.health.num_dropped} dropped, {run.health.num_reconnects} reconnects" if run.health else ""
    written = ", ".join(str(path) for path in run.paths)
    sys.stderr.write(f"tracked {on_frame.rate}{on}{live}{f'; wrote {written}' if written else ''}\n")
    if isinstance(run.ended_by, VideoBrokenError):
        raise run.ended_by
    if run.ended_by is not None:
        raise typer.Exit(run.ended_by.exit_code if isinstance(run.ended_by, Interrupted) else 130)


def _live_settings(
    latest: bool,
    reconnect: float | None,
    timeout: float | None,
    freeze: float | None,
    health: float | None,
    health_file: Path | None,
) -> "LiveSettings | None":
    """Return the settings of a live source; None where nothing is set."""
    from starktrack.data.video.live import LiveSettings

    if health_file is not None and health is None:
        health = 10.0
    given = {
        "reconnect_seconds": reconnect,
        "timeout_seconds": timeout,
        "freeze_seconds": freeze,
        "health_seconds": health,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    return LiveSettings(latest=latest, **chosen) if chosen or latest else None


def _health_writer(path: Path | None) -> "Callable[[LiveHealth], object]":
    def write(health: "LiveHealth") -> None:
        if path is None:
            sys.stderr.write(f"health: {health}\n")
            return
        with atomic_write(path) as partial:
            partial.write_text(json.dumps(health.to_dict()) + "\n", encoding="utf-8")

    return write


def _line_writer(stream: TextIO) -> Callable[[str], None]:
    """Return the function that writes lines: immediately to a pipe or terminal, in blocks to a file."""
    try:
        is_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:  # a stream of Python's own
        is_file = False

    def write(text: str) -> None:
        try:
            stream.write(text)
            if not is_file:
                stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            send_to_nowhere([stream.fileno()])  # what waits in the buffer
            raise InputError(f"standard output must take the rows, got: {error.strerror}") from error

    return write

"""`starktrack track`: boxes in, boxes and an annotated video out."""

import json
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from starktrack.cli.interrupts import Interrupted, interruptible
from starktrack.cli.options import (
    VIDEO_HELP,
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
    WeightsOption,
    parse_box,
    parse_range,
)
from starktrack.errors import BoxError, ConfigError, VideoBrokenError
from starktrack.files import atomic_write

if TYPE_CHECKING:
    from starktrack.cli.progress import Progress
    from starktrack.data.frames import FrameStream
    from starktrack.data.video.live import LiveHealth, LiveSettings
    from starktrack.tracking.tracker import Tracker
    from starktrack.workflows.rotation import RotatingOutputs
    from starktrack.workflows.track_outputs import TrackOutputs


def track(
    video: Annotated[
        str,
        typer.Argument(metavar="VIDEO", help=VIDEO_HELP),
    ],
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
        bool, typer.Option("--until-lost", help="Stop once every target counts as lost.")
    ] = False,
    search_growth: Annotated[
        float | None,
        typer.Option(
            metavar="TIMES", help="Search a lost target in a region that grows up to so many times its width."
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
        raise BoxError(
            "the target needs a box: give either --box X,Y,W,H or --boxes FILE or --select, got both or none"
        )

    from starktrack.cli.progress import progress_of
    from starktrack.config.loading import override
    from starktrack.config.presets import DEFAULT_REFINER
    from starktrack.data.frames import open_frames
    from starktrack.workflows.rotation import RotatingOutputs, Rotation
    from starktrack.workflows.track_outputs import TrackOutputs, check_outputs

    rotation = None if rotate is None else Rotation.parse(rotate)
    check_outputs(video, save, annotated, masks, save_format)
    live = _live_settings(latest, reconnect, timeout, freeze, health, health_file)
    if latest and save is not None and save.suffix.lower() == ".txt" and save_format is None:
        raise ConfigError(
            "--latest drops frames, and .txt does not number its lines; take .csv, .json or .jsonl"
        )
    with ExitStack() as stack:
        stack.enter_context(interruptible())
        frames = stack.enter_context(
            open_frames(
                video,
                start_frame=start_frame,
                intensity_range=limits,
                live=live,
                on_event=lambda event: sys.stderr.write(f"live: {event.message}\n"),
                on_health=_health_writer(health_file),
            )
        )
        if live is not None and not frames.is_live:
            raise ConfigError(
                "--latest, --reconnect, --timeout, --freeze and --health are for cameras, streams and pipes, "
                f"got {video}; leave them out"
            )
        if select:
            boxes = [_select(frames)]
        starts, labels = {frames.peek().index: dict(enumerate(boxes))}, {}
        if boxes_file is not None:
            starts, labels = _starts(boxes_file, boxes_format, frames, start_frame)
            boxes = [box for targets in starts.values() for box in targets.values()]
        refiner = refine or (DEFAULT_REFINER if masks else None)
        tracker = _load(frames, boxes, model, weights, device, engine, precision, refiner)
        if until_lost:
            _require_score(tracker, "--until-lost")
        if search_growth is not None:
            _require_score(tracker, "--search-growth")
            tracker.settings = override(tracker.settings, [f"search_growth={search_growth}"])
        outputs = stack.enter_context(
            TrackOutputs(
                save,
                annotated,
                masks,
                frames,
                _line_writer(sys.stdout),
                save_format=save_format,
                labels=labels,
            )
            if rotation is None
            else RotatingOutputs(
                rotation, save, annotated, masks, frames, save_format=save_format, labels=labels
            )
        )
        total = None if frames.num_frames is None else frames.num_frames - start_frame
        with progress_of(total, frames.name) as progress:
            broken = _run(tracker, frames, starts, outputs, progress, until_lost=until_lost)
    _report(outputs, progress, tracker, frames, broken)


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


def _require_score(tracker: "Tracker", option: str) -> None:
    config = tracker.engine.config
    if not config.model.score_head:
        raise ConfigError(
            f"{option} needs a model with a score, {config.name} has none; "
            "leave it out, or take another model (starktrack models)"
        )


def _line_writer(stream: TextIO) -> Callable[[str], None]:
    """Return the function that writes lines: immediately to a pipe or terminal, in blocks to a file."""
    try:
        is_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:  # a stream of Python's own
        is_file = False

    def write(text: str) -> None:
        stream.write(text)
        if not is_file:
            stream.flush()

    return write


def _select(frames: "FrameStream") -> Sequence[float]:
    from starktrack.workflows.box_window import select_box

    return select_box(frames.peek().image).tolist()


def _starts(
    path: Path, boxes_format: str | None, frames: "FrameStream", start_frame: int
) -> tuple[Mapping[int, Mapping[int, Sequence[float]]], dict[int, str]]:
    """Return the start boxes of a file of annotations, by frame and id, and the labels by id."""
    from starktrack.workflows.annotated_video import read_for_video

    tracks = read_for_video(path, frames, boxes_format)
    starts = tracks.starts(start_frame)
    if not starts:
        raise BoxError(
            f"{path} must hold a box in frame {start_frame} or later, got {tracks.length} frames; "
            "take a lower --start-frame"
        )
    return starts, {track.id: track.label for track in tracks.tracks}


def _load(
    frames: "FrameStream",
    boxes: Sequence[Sequence[float]],
    model: str | None,
    weights: Path | None,
    device: Device,
    engine: EngineName,
    precision: PrecisionName,
    refine: str | None,
) -> "Tracker":
    from starktrack.geometry.boxes import check_box

    for box in boxes:
        check_box(box, frames.size_hw)  # before the network is loaded, which takes seconds
    from starktrack.api import load

    return load(
        model,
        weights=weights,
        device=device,
        engine=engine.value,
        precision=precision.value,
        refine=refine,
    )


def _run(
    tracker: "Tracker",
    frames: "FrameStream",
    starts: Mapping[int, Mapping[int, Sequence[float]]],
    outputs: "TrackOutputs | RotatingOutputs",
    progress: "Progress",
    *,
    until_lost: bool,
) -> VideoBrokenError | KeyboardInterrupt | None:
    """Track to the end of the video or of its readable part, or until interrupted or lost; outputs are kept."""
    from starktrack.data.track_output import TargetState

    try:
        for tracked in tracker.track(frames, iter(starts.items())):
            outputs.write(tracked)
            progress.advance()
            are_lost = all(output.state is TargetState.LOST for output in tracked.outputs.values())
            if until_lost and are_lost and tracked.index >= max(starts):
                sys.stderr.write(f"lost in frame {tracked.index}\n")
                return None
    except (VideoBrokenError, KeyboardInterrupt) as reason:
        return reason
    return None


def _report(
    outputs: "TrackOutputs | RotatingOutputs",
    progress: "Progress",
    tracker: "Tracker",
    frames: "FrameStream",
    broken: VideoBrokenError | KeyboardInterrupt | None,
) -> None:
    from starktrack.tracking.protocol import HasRuntime

    written = ", ".join(str(path) for path in outputs.paths)
    kept = f"; wrote {written}" if written else ""
    on = f" ({tracker.engine.runtime})" if isinstance(tracker.engine, HasRuntime) else ""
    health = frames.health()
    live = "" if health is None else f", {health.num_dropped} dropped, {health.num_reconnects} reconnects"
    sys.stderr.write(f"tracked {progress.count} frames, {progress.per_second:.1f} frames/s{on}{live}{kept}\n")
    if isinstance(broken, VideoBrokenError):
        raise broken
    if broken is not None:
        raise typer.Exit(broken.exit_code if isinstance(broken, Interrupted) else 130)

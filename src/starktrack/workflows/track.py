"""Tracking into files: boxes in, boxes, outlines and an annotated video out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starktrack.api import EngineName, load
from starktrack.arrays import Box, Image
from starktrack.config.precision import Precision
from starktrack.config.presets import DEFAULT_REFINER
from starktrack.data.frames import open_frames
from starktrack.data.track_output import TargetState, TrackedFrame
from starktrack.data.video.frame_stream import Frame, FrameStream
from starktrack.data.video.live import LiveEvent, LiveHealth, LiveSettings
from starktrack.errors import BoxError, ConfigError, VideoBrokenError
from starktrack.geometry.boxes import check_box
from starktrack.pipeline import ReadAhead, WriteBehind
from starktrack.tracking.protocol import HasRuntime
from starktrack.tracking.tracker import Tracker
from starktrack.workflows.annotated_video import read_for_video
from starktrack.workflows.callbacks import OnFrame
from starktrack.workflows.rotation import RotatingOutputs, Rotation
from starktrack.workflows.track_outputs import TrackOutputs, check_outputs


@dataclass(frozen=True)
class TrackRun:
    """What a run of the tracker left behind.

    Attributes:
        paths: The files that were written.
        runtime: Engine, precision and device, in words; empty for an engine that does not say.
        health: How a live source was; None for a file.
        lost_in: The frame that ended the run, where `until_lost` did.
        ended_by: What ended the run early, a video that breaks off or an interrupt; what was done until then is kept.
    """

    paths: tuple[Path, ...]
    runtime: str = ""
    health: LiveHealth | None = None
    lost_in: int | None = None
    ended_by: VideoBrokenError | KeyboardInterrupt | None = None


def track_to_files(
    video: str,
    boxes_xywh: Sequence[Any] = (),
    *,
    boxes_file: Path | None = None,
    boxes_format: str | None = None,
    choose_box: Callable[[Image], Box] | None = None,
    model: str | None = None,
    weights: Path | None = None,
    save: Path | None = None,
    save_format: str | None = None,
    annotated: Path | None = None,
    masks: Path | None = None,
    refine: str | None = None,
    start_frame: int = 0,
    until_lost: bool = False,
    settings: Mapping[str, int | float] | None = None,
    intensity_range: tuple[float, float] | None = None,
    live: LiveSettings | None = None,
    rotation: Rotation | None = None,
    device: str = "auto",
    engine: EngineName = "auto",
    precision: Precision = "auto",
    on_line: Callable[[str], object] | None = None,
    on_frame: OnFrame | None = None,
    on_event: Callable[[LiveEvent], object] | None = None,
    on_health: Callable[[LiveHealth], object] | None = None,
) -> TrackRun:
    """Track one or more targets through a video and write where they are.

    A file is decoded in one thread, tracked in another, and drawn, encoded and written in a third. Lines for `on_line`
    and live sources are not delayed: each frame is written before the next one is taken.

    Args:
        video: As for `starktrack.open_frames`.
        boxes_xywh: Targets in the first frame, pixels.
        boxes_file: Annotations in any format instead: each target starts where it has its first box.
        boxes_format: Their format; by default the content tells.
        choose_box: Gives the box of the one target instead, when it is shown the first frame.
        model: As for `starktrack.load`.
        weights: As for `starktrack.load`.
        save: File of boxes.
        save_format: Its format; by default the suffix tells.
        annotated: File of an annotated video.
        masks: Folder of outlines.
        refine: As for `starktrack.load`; the default refiner where masks are asked for.
        start_frame: Frame in which the boxes were drawn, from 0.
        until_lost: Stop once every target counts as lost. With the setting `redetect`, stop after they were lost for
            so many frames in a row: the whole picture was searched for each of them then, and none was found.
        settings: Changes to how to track, such as `{"redetect": 10}`, see `TrackingConfig`.
        intensity_range: As for `starktrack.open_frames`.
        live: How to read a camera, a stream or a pipe.
        rotation: When to begin new output files.
        device: `auto`, `cpu`, `cuda` or `mps`.
        engine: As for `starktrack.load`.
        precision: As for `starktrack.load`.
        on_line: Takes lines of CSV, or of JSON with `save_format="jsonl"`, where no output is asked for.
        on_frame: Called before the first frame and after each.
        on_event: Called with what happens to a live source.
        on_health: Called with how it is, as often as `live` says.

    Raises:
        InputError: An output cannot be written.
        VideoError, BoxError: The video cannot be read, or a box is not in it.
        AnnotationError: The file of boxes cannot be read.
        ConfigError: Settings that the model or the source does not have.
        ConfigError, CheckpointError, DeviceError, MissingExtraError: As `starktrack.load`.

    Example:
        >>> from pathlib import Path
        >>> from starktrack.workflows.track import track_to_files
        >>> run = track_to_files("dog.mp4", [(110, 75, 60, 60)], save=Path("dog.csv"))
        >>> run.paths, run.ended_by
        ((PosixPath('dog.csv'),), None)
    """
    check_outputs(video, save, annotated, masks, save_format, boxes_file)
    has_frame_numbers = save is None or save.suffix.lower() != ".txt" or bool(save_format)
    if live is not None and live.latest and not has_frame_numbers:
        raise ConfigError(
            "--latest drops frames, and .txt does not number its lines; take .csv, .json or .jsonl"
        )
    with ExitStack() as stack:
        frames = stack.enter_context(
            open_frames(
                video,
                start_frame=start_frame,
                intensity_range=intensity_range,
                live=live,
                on_event=on_event,
                on_health=on_health,
            )
        )
        if live is not None and not frames.is_live:
            raise ConfigError(
                "--latest, --reconnect, --timeout, --freeze and --health are for cameras, streams and pipes, "
                f"got {video}; leave them out"
            )
        labels: Mapping[int, str] = {}
        if boxes_file is not None:
            starts, labels = _read_starts(boxes_file, boxes_format, frames, start_frame)
        else:
            chosen = boxes_xywh if choose_box is None else [choose_box(frames.peek().image).tolist()]
            starts = {frames.peek().index: dict(enumerate(chosen))}
        for targets in starts.values():
            for box in targets.values():
                check_box(box, frames.size_hw)  # before the network is loaded, which takes seconds
        tracker = load(
            model,
            weights=weights,
            device=device,
            engine=engine,
            precision=precision,
            refine=refine or (DEFAULT_REFINER if masks else None),
            settings=settings,
        )
        _check_score(tracker, until_lost, settings or {})
        outputs = stack.enter_context(
            TrackOutputs(save, annotated, masks, frames, on_line, save_format=save_format, labels=labels)
            if rotation is None
            else RotatingOutputs(
                rotation, save, annotated, masks, frames, save_format=save_format, labels=labels
            )
        )
        note = on_frame or (lambda name, done, total: None)
        total = None if frames.num_frames is None else frames.num_frames - start_frame
        note(frames.name, 0, total)
        lost_in, ended_by = None, None
        try:
            lost_in = _track_and_write(
                tracker,
                frames,
                starts,
                outputs.write,
                # Lines and live frames must not wait for those behind them.
                in_threads=not frames.is_live and bool(save or annotated or masks or not on_line),
                until_lost=until_lost,
                on_frame=lambda done: note(frames.name, done, total),
            )
        except (VideoBrokenError, KeyboardInterrupt) as reason:
            ended_by = reason
    runtime = str(tracker.engine.runtime) if isinstance(tracker.engine, HasRuntime) else ""
    return TrackRun(tuple(outputs.paths), runtime, frames.health(), lost_in, ended_by)


def _read_starts(
    path: Path, boxes_format: str | None, frames: FrameStream, start_frame: int
) -> tuple[Mapping[int, Mapping[int, Any]], dict[int, str]]:
    """Return the start boxes of a file of annotations, by frame and id, and the labels by id."""
    tracks = read_for_video(path, frames, boxes_format)
    starts = tracks.starts(start_frame)
    if not starts:
        raise BoxError(
            f"{path} must hold a box in frame {start_frame} or later, got {tracks.length} frames; "
            "take a lower --start-frame"
        )
    return starts, {track.id: track.label for track in tracks.tracks}


def _check_score(tracker: Tracker, until_lost: bool, settings: Mapping[str, Any]) -> None:
    """Check that the model has a score where an option depends on it.

    Raises:
        ConfigError: It has none.
    """
    options = ["until-lost"] if until_lost else []
    options += [name.replace("_", "-") for name in ("search_growth", "redetect") if name in settings]
    config = tracker.engine.config
    if options and not config.model.score_head:
        raise ConfigError(
            f"--{options[0]} needs a model with a score, {config.name} has none; "
            "leave it out, or take another model (starktrack models)"
        )


def _track_and_write(
    tracker: Tracker,
    frames: FrameStream,
    starts: Mapping[int, Mapping[int, Any]],
    write: Callable[[TrackedFrame], object],
    *,
    in_threads: bool,
    until_lost: bool,
    on_frame: Callable[[int], object],
) -> int | None:
    """Track every frame and write it; return the frame that ended the run, where `until_lost` did.

    Args:
        in_threads: Decode ahead of the tracker and write behind it.
        on_frame: Takes the number of frames done.
    """
    # With redetection every target is searched in the whole picture before tracking stops.
    num_lost, most_lost = 0, max(1, tracker.settings.redetect)
    with ExitStack() as threads:
        source: Iterable[Frame] = frames
        if in_threads:
            source = threads.enter_context(ReadAhead(frames, cancel=frames.cancel))
            write = threads.enter_context(WriteBehind(write))
        for done, tracked in enumerate(tracker.track(source, iter(starts.items())), start=1):
            write(tracked)
            on_frame(done)
            are_lost = all(output.state is TargetState.LOST for output in tracked.outputs.values())
            num_lost = num_lost + 1 if are_lost else 0
            if until_lost and num_lost >= most_lost and tracked.index >= max(starts):
                return tracked.index
    return None

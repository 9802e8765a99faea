"""What a worker of a batch does: it opens the network once, then tracks row after row of a manifest."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from starktrack.api import weights_file
from starktrack.data.formats.manifest import ManifestRow
from starktrack.data.frames import local_path, open_frames
from starktrack.data.track_rows import TrackRows
from starktrack.data.video.frame_stream import Frame, FrameStream
from starktrack.data.video.random_access import RandomFrames
from starktrack.errors import AnnotationError, BoxError, CheckpointError, ConfigError
from starktrack.interchange.tracks import VideoTracks
from starktrack.tracking.batch_runner import BatchProgress, Failed, Finished, Task, VideoClip, run_batch
from starktrack.tracking.sharding import Shard
from starktrack.workflows.annotated_video import read_for_video
from starktrack.workflows.dispatch import Done, End, Event, Message, Moved, NotDone, Ready
from starktrack.workflows.trackers import (
    RunSettings,
    TrackerSpec,
    describe_tracker,
    digest,
    open_batch_tracker,
    tracker_spec,
)

MOVED_SECONDS = 0.5
"""How often a worker says how far it is."""

BACKWARD_CACHE_BYTES = 64 * 2**20
"""Decoded pictures of a video that is read backwards."""

_FINAL = (AnnotationError, BoxError, ConfigError)
"""What another try would meet again; a video that cannot be read may lie on a disk that comes back."""


@dataclass(frozen=True)
class BatchJob:
    """How every row is tracked; sent to all workers.

    Attributes:
        tracker: Weights, or a tracker's name, as `evaluate` takes them.
        described: What decides the results besides the rows, as the driver sees it.
        settings: How it is run.
        base: Paths of the manifest begin here.
        refine: Weights of a refiner, or its name; empty for none.
    """

    tracker: str
    described: Mapping[str, Any]
    settings: RunSettings
    base: Path
    refine: str = ""

    def serve(self, number: int, receive: Callable[[], Message], send: Callable[[Event], None]) -> None:
        """Track what comes, until the process ends.

        Raises:
            CheckpointError: Weights or settings are not those of the driver.
        """
        spec = tracker_spec(
            self.tracker, self.settings.device, refine=self.refine, engine=self.settings.engine
        )
        if self._differs(spec):
            names = " and ".join(name for name in (self.tracker, self.refine) if name)
            got = "another version" if spec.weights is None else "another file, or none,"
            raise CheckpointError(f"{names} must be the same on every machine, got {got} here; copy it there")
        cv2.setNumThreads(self.settings.own_threads or -1)
        shard = Shard(number, max(number + 1, self.settings.workers))
        frames_before = 0
        with open_batch_tracker(spec, "", self.settings, shard) as tracker:
            send(Ready())
            while True:
                opened: dict[str, OpenedRow] = {}
                frames, sent = 0, time.monotonic()
                for event in run_batch(tracker, self._tasks(receive, opened)):
                    if isinstance(event, BatchProgress):
                        frames = event.frames
                        if opened and time.monotonic() - sent >= MOVED_SECONDS:
                            sent = time.monotonic()
                            send(Moved(next(iter(opened)), frames_before + frames))
                    elif isinstance(event, Failed):
                        opened.pop(event.name, None)
                        send(NotDone.of(event, is_final=isinstance(event.error, _FINAL)))
                    else:
                        send(Done(event.name, _result(event, opened.pop(event.name))))
                frames_before += frames

    def _differs(self, spec: TrackerSpec) -> bool:
        """Return whether this machine has other files than the driver; with weights only digests are compared."""
        if spec.weights is None:
            return describe_tracker(spec, "", self.settings) != self.described
        files = {"weights": spec.weights}
        if spec.refine:
            files["refine_weights"] = weights_file(spec.refine, "refiner", self.settings.device)
        return any(not file.is_file() or digest(file) != self.described[name] for name, file in files.items())

    def _tasks(self, receive: Callable[[], Message], opened: dict[str, "OpenedRow"]) -> Iterator[Task]:
        """Yield rows as they come, until no more follow; each is noted when it is opened."""
        for message in iter(receive, End()):
            if isinstance(message, ManifestRow):
                yield Task(message.id, partial(self._load, message, opened))

    def _load(self, row: ManifestRow, opened: dict[str, "OpenedRow"]) -> VideoClip:
        clip, opened[row.id] = open_row(row, self.base, threads=self.settings.own_threads)
        return clip


@dataclass(frozen=True)
class OpenedRow:
    """What the video of a row says, which formats of results need."""

    size_hw: tuple[int, int]
    frame_rate: float | None
    labels: Mapping[int, str]


@dataclass(frozen=True)
class RowResult:
    """A row that was tracked to its end.

    Attributes:
        values: As `TrackRows`, in the order of frames.
        frames: How many frames were tracked.
        size_hw: Of the frames.
        frame_rate: Frames per second; None where the source has no clock.
        labels: What the targets are, by id.
        seconds: From the first frame to the last, reading included.
        decode_seconds: Of it or beside it, reading and decoding in the background.
    """

    values: Float[np.ndarray, "num_rows 10"]
    frames: int
    size_hw: tuple[int, int]
    frame_rate: float | None
    labels: Mapping[int, str]
    seconds: float
    decode_seconds: float

    @property
    def rows(self) -> TrackRows:
        """Where every target is in every frame."""
        return TrackRows(self.values)


def _result(finished: Finished, row: OpenedRow) -> RowResult:
    stages = finished.stage_seconds
    return RowResult(
        finished.rows.by_frame().values,
        len(finished.frame_seconds),
        row.size_hw,
        row.frame_rate,
        row.labels,
        stages["track"] + stages["wait"],
        stages["decode"],
    )


def open_row(row: ManifestRow, base: Path, *, threads: int = 0) -> tuple[VideoClip, OpenedRow]:
    """Return the open video of a row with its targets.

    Args:
        base: Paths begin here.
        threads: Threads that decode; 0 for one for each core.

    Raises:
        VideoError: The video cannot be read. AnnotationError: The file of boxes cannot be read, or is of another
        video. BoxError: It holds no box in the frames to track.
    """
    place = local_path(row.video)
    source = row.video if place is None else base / place
    video: FrameStream | RandomFrames
    if row.direction == "forward":
        video = open_frames(source, start_frame=row.start, decoder_threads=threads)
    else:
        video = RandomFrames(source, cache_bytes=BACKWARD_CACHE_BYTES, decoder_threads=threads)
    try:
        boxes = row.boxes_xywh
        if boxes is not None:
            starts = {row.start: dict(enumerate(boxes))}
            labels = dict.fromkeys(range(len(boxes)), row.label)
        else:
            tracks = read_for_video(base / row.boxes, video)
            starts = _starts_of(row, tracks)
            labels = {track.id: row.label or track.label for track in tracks.tracks}
    except BaseException:
        video.close()
        raise
    first = next(iter(starts))
    if isinstance(video, FrameStream):
        frames = _forward(video, first, row.end)
        last = video.num_frames if row.end is None else row.end
        num_frames = None if last is None else last - first
    else:
        end = -1 if row.end is None else row.end
        frames = _backward(video, first, end)
        num_frames = first - end
    arrays = {
        frame: {i: np.asarray(box, np.float64) for i, box in targets.items()}
        for frame, targets in starts.items()
    }
    return VideoClip(frames, arrays, num_frames), OpenedRow(video.size_hw, video.frame_rate, labels)


def _starts_of(row: ManifestRow, tracks: VideoTracks) -> dict[int, dict[int, Sequence[float]]]:
    """Return the targets of a file of boxes by the frame in which they start, in the order tracked.

    Raises:
        BoxError: There is none.
    """
    found: dict[int, dict[int, Sequence[float]]] = {}
    is_forward = row.direction == "forward"
    for track in tracks.tracks:
        if is_forward:
            end = math.inf if row.end is None else row.end
            seen = [each for each in track.observations if row.start <= each.frame < end]
        else:
            end = -1 if row.end is None else row.end
            seen = [each for each in reversed(track.observations) if end < each.frame <= row.start]
        if seen:
            found.setdefault(seen[0].frame, {})[track.id] = seen[0].box_xywh
    if not found:
        side = "or later" if is_forward else "or earlier"
        raise BoxError(
            f"{row.boxes} must hold a box in frame {row.start} {side}, before end, got none; change start or end"
        )
    return dict(sorted(found.items(), reverse=not is_forward))


def _forward(video: FrameStream, first: int, end: int | None) -> Generator[Frame, None, None]:
    with video:
        for frame in video:
            if end is not None and frame.index >= end:
                return
            if frame.index >= first:
                yield frame


def _backward(video: RandomFrames, first: int, end: int) -> Generator[Frame, None, None]:
    with video:
        for index in range(first, end, -1):
            yield Frame(video.read(index), index, None)

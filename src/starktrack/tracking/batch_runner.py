"""Runs one tracker on many clips, several at once, with prefetched frames; a crash in one stops no other."""

import time
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Float

from starktrack.arrays import Box
from starktrack.data.track_output import TrackOutput
from starktrack.data.track_rows import RowsBuilder, TrackRows
from starktrack.data.trajectory import Trajectory
from starktrack.data.video.frame_stream import Frame
from starktrack.data.video_sequence import FrameSource
from starktrack.errors import BoxError
from starktrack.pipeline import Prefetcher, ReadAhead
from starktrack.tracking.batch_tracker import BatchTracker

NUM_DECODERS = 4
"""Threads that read frames of clips; OpenCV releases the interpreter's lock meanwhile. A stream has one of its own."""

PREFETCH_FRAMES = 8
"""Number of prefetched frames of all targets together; each has at least two."""


@dataclass(frozen=True)
class Clip:
    """One target in a video whose frames can be read in any order.

    Attributes:
        frames: The pictures.
        order: Their indices in the order of tracking; backwards for some VOT anchors.
        box_xywh: The target in the first of them, image pixels.
    """

    frames: FrameSource
    order: range
    box_xywh: Box


@dataclass(frozen=True)
class VideoClip:
    """Targets in a video whose frames come once, in one order.

    Attributes:
        frames: The frames; closing the generator closes the source.
        starts: By frame index the targets that start there: their boxes by id, image pixels. Some start in the
            first frame.
        num_frames: How many frames are expected, for the progress; None where that is not known.
    """

    frames: Generator[Frame, None, None]
    starts: Mapping[int, Mapping[int, Box]]
    num_frames: int | None = None


@dataclass(frozen=True)
class Task:
    """A clip by name; `load` is called shortly before it is tracked."""

    name: str
    load: Callable[[], Clip | VideoClip]


@dataclass(frozen=True)
class Finished:
    """A clip that was tracked to its end.

    Attributes:
        name: The task's.
        rows: What was found, in the order tracked.
        frame_seconds: Seconds of the tracker alone, frame by frame.
        stage_seconds: By stage: `decode` in the background, `wait` of the tracker for frames, `track`, and of it
            `crop` and `network` where the tracker measures them.
        target: The tracker's state of the target at the end, the last one's of several.
    """

    name: str
    rows: TrackRows
    frame_seconds: Float[np.ndarray, " num_frames"]
    stage_seconds: Mapping[str, float]
    target: Any = None

    @property
    def trajectory(self) -> Trajectory:
        """The rows of a clip of one target, one a frame."""
        return Trajectory(self.rows.boxes_xywh, self.rows.scores, self.frame_seconds)


@dataclass(frozen=True)
class Failed:
    """A clip that could not be tracked: the error, and the frame of its order in which it was raised."""

    name: str
    error: BaseException
    frame: int


@dataclass(frozen=True)
class BatchProgress:
    """Number of clips that ended, with the fractions of the running ones, and of frames tracked."""

    clips: float
    frames: int


def run_batch(tracker: BatchTracker, tasks: Iterable[Task]) -> Iterator[Finished | Failed | BatchProgress]:
    """Yield the outcome of every task as it ends, and the progress after every step.

    Up to `tracker.capacity` clips run at a time; when one ends the next takes its place. When a step of several
    clips raises, the error cannot be assigned to one of them: they start again at once, one at a time.

    Args:
        tracker: What tracks.
        tasks: What is to be tracked.
    """
    with ThreadPoolExecutor(NUM_DECODERS) as decoders, ThreadPoolExecutor(1) as thread:
        runner = _Runner(tracker, decoders, thread)
        yield from runner.run(tasks, tracker.capacity)


def _read_frame(frames: FrameSource, index: int) -> Frame:
    return Frame(frames.read(index), index, None)


class _RunningClip:
    """A clip between its first frame and its last."""

    def __init__(self, task: Task, clip: Clip | VideoClip, decoders: Executor, depth: int) -> None:
        self.task = task
        self.targets: dict[int, Any] = {}
        self.num_done = 0
        self._clip = clip
        self._frames: Prefetcher[Frame]
        if isinstance(clip, Clip):
            reads = (partial(_read_frame, clip.frames, index) for index in clip.order)
            self._frames = Prefetcher(reads, decoders, depth=depth)
            self._starts: dict[int, Mapping[int, Box]] = {clip.order.start: {0: clip.box_xywh}}
            self._length, self._length_is_known = len(clip.order), True
        else:
            self._frames = ReadAhead(clip.frames, depth)
            self._starts = dict(clip.starts)
            self._length, self._length_is_known = clip.num_frames or 0, False
        self._rows = RowsBuilder()
        self._seconds = array("d")
        self._stage_seconds: dict[str, float] = {}

    @property
    def is_over(self) -> bool:
        """Whether the last frame was tracked; of a stream, only reading on tells."""
        return self._length_is_known and self.num_done == self._length

    @property
    def fraction(self) -> float:
        return min(1.0, self.num_done / self._length) if self._length else 0.0

    def next_frame(self) -> Frame | None:
        """Return the next frame; None at the end of a stream.

        Raises:
            BoxError: The stream ends before the frame in which a target starts.
        """
        frame = next(self._frames, None)
        if frame is None and self._starts:
            raise BoxError(
                f"boxes must lie on frames of the video, which has {self.num_done} from the first box on, got one "
                f"on frame {next(iter(self._starts))}; are they of another video?"
            )
        return frame

    def begin(self, tracker: BatchTracker) -> bool:
        """Track the first frame; return whether there is one."""
        frame = self.next_frame()
        if frame is not None:
            self.add(tracker, frame, [], 0.0, {})
        return frame is not None

    def add(
        self,
        tracker: BatchTracker,
        frame: Frame,
        found: Iterable[TrackOutput],
        seconds: float,
        stage_seconds: Mapping[str, float],
    ) -> None:
        """Keep what was found in a frame, and start the targets that start there."""
        begun, before = time.perf_counter(), dict(tracker.stage_seconds)
        outputs = dict(zip(self.targets, found, strict=True))
        for target_id, box in self._starts.pop(frame.index, {}).items():
            self.targets[target_id] = tracker.start(frame.image, box)
            outputs[target_id] = TrackOutput(box_xywh=np.asarray(box, np.float64))
        for target_id, output in sorted(outputs.items()):
            self._rows.add(
                replace(output, target_id=target_id, frame_index=frame.index, seconds=frame.seconds)
            )
        for more in (stage_seconds, _since(tracker, before, 1)):
            for stage, value in more.items():
                self._stage_seconds[stage] = self._stage_seconds.get(stage, 0.0) + value
        self._seconds.append(seconds + time.perf_counter() - begun)
        self.num_done += 1

    def finish(self) -> Finished:
        self.close()
        seconds = np.array(self._seconds)
        own = {
            "decode": self._frames.work_seconds,
            "wait": self._frames.wait_seconds,
            "track": float(seconds.sum()),
        }
        target = next(reversed(self.targets.values()), None)
        return Finished(self.task.name, self._rows.build(), seconds, {**own, **self._stage_seconds}, target)

    def fail(self, error: BaseException) -> Failed:
        self.close()
        return Failed(self.task.name, error, self.num_done)

    def close(self) -> None:
        self._frames.close()
        if isinstance(self._clip, VideoClip):
            self._clip.frames.close()


class _Runner:
    """Runs clips on two executors: `decoders` read frames, `thread` is the only one that calls the tracker.

    Trackers and data sets may be third-party code, and one broken clip must not end a long run. A future keeps any
    error, `SystemExit` included, until the runner reports it with its clip.
    """

    def __init__(self, tracker: BatchTracker, decoders: Executor, thread: Executor) -> None:
        self._to_retry: list[Task] = []
        self._tracker = tracker
        self._decoders = decoders
        self._thread = thread
        self._num_ended = 0
        self._num_frames = 0

    def run(self, tasks: Iterable[Task], capacity: int) -> Iterator[Finished | Failed | BatchProgress]:
        """Track all tasks, up to `capacity` at a time."""
        loading = self._load(tasks)
        running: list[_RunningClip] = []
        while True:
            if self._to_retry:
                alone, self._to_retry = self._to_retry, []
                yield from self.run(alone, 1)
            while len(running) < capacity and (begun := self._begin(loading)) is not None:
                if isinstance(begun, _RunningClip):
                    running.append(begun)
                else:
                    self._num_ended += 1
                    yield begun
            if not running:
                return
            for outcome in self._step(running):
                self._num_ended += 1
                yield outcome
            yield BatchProgress(
                sum((clip.fraction for clip in running), float(self._num_ended)), self._num_frames
            )

    def _load(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Future[Clip | VideoClip]]]:
        """Yield tasks with the futures of their clips, one loaded ahead: boxes may have to be made from masks."""
        ahead: deque[tuple[Task, Future[Clip | VideoClip]]] = deque()
        for task in tasks:
            ahead.append((task, self._decoders.submit(task.load)))
            if len(ahead) > 1:
                yield ahead.popleft()
        yield from ahead

    def _begin(
        self, loading: Iterator[tuple[Task, Future[Clip | VideoClip]]]
    ) -> _RunningClip | Finished | Failed | None:
        """Start the next clip on its first frame; None when there is none."""
        task, future = next(loading, (None, None))
        if task is None or future is None:
            return None
        if (error := future.exception()) is not None:
            return Failed(task.name, error, 0)
        depth = max(2, PREFETCH_FRAMES // self._tracker.capacity)
        clip = _RunningClip(task, future.result(), self._decoders, depth)
        begun = self._thread.submit(clip.begin, self._tracker)
        if (error := begun.exception()) is not None:
            return clip.fail(error)
        return clip.finish() if clip.is_over or not begun.result() else clip

    def _step(self, running: list[_RunningClip]) -> Iterator[Finished | Failed]:
        """Move every clip on by one frame; clips that end leave `running` and are yielded."""
        frames: list[Frame] = []
        for clip in list(running):
            read = self._thread.submit(clip.next_frame)
            if (error := read.exception()) is not None:
                running.remove(clip)
                yield clip.fail(error)
            elif (frame := read.result()) is None:
                running.remove(clip)
                yield clip.finish()
            else:
                frames.append(frame)
        if not running:
            return
        targets = [target for clip in running for target in clip.targets.values()]
        images = [frame.image for clip, frame in zip(running, frames, strict=True) for _ in clip.targets]
        begun, before = time.perf_counter(), dict(self._tracker.stage_seconds)
        step = self._thread.submit(self._tracker.advance, targets, images)
        if (error := step.exception()) is not None:
            if len(running) == 1:
                yield running[0].fail(error)
            else:
                for clip in running:
                    clip.close()
                    self._to_retry.append(clip.task)
            running.clear()
            return
        seconds = (time.perf_counter() - begun) / len(running)
        stage_seconds = _since(self._tracker, before, len(running))
        self._num_frames += len(running)
        outputs = iter(step.result())
        for clip, frame in zip(list(running), frames, strict=True):
            found = list(islice(outputs, len(clip.targets)))
            kept = self._thread.submit(clip.add, self._tracker, frame, found, seconds, stage_seconds)
            if (error := kept.exception()) is not None:
                running.remove(clip)
                yield clip.fail(error)
            elif clip.is_over:
                running.remove(clip)
                yield clip.finish()


def _since(tracker: BatchTracker, before: Mapping[str, float], num_targets: int) -> dict[str, float]:
    """Return each target's share of the seconds of the tracker's stages since `before`."""
    return {stage: (now - before[stage]) / num_targets for stage, now in tracker.stage_seconds.items()}

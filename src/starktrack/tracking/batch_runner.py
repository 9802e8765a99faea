"""Runs one tracker on many clips, several at once, with prefetched frames; a crash in one stops no other."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from starktrack.arrays import Box, Image
from starktrack.data.trajectory import Trajectory
from starktrack.data.video.prefetch import Prefetcher
from starktrack.data.video_sequence import FrameSource
from starktrack.tracking.batch_tracker import BatchTracker, ScoredBox

NUM_DECODERS = 4
"""Number of threads that decode; OpenCV releases the interpreter's lock meanwhile."""

FRAMES_AHEAD = 8
"""Number of prefetched frames of all targets together; each has at least two."""


@dataclass(frozen=True)
class Clip:
    """The frames and the first box of one target.

    Attributes:
        frames: The pictures.
        order: Their indices in the order of tracking; backwards for some VOT anchors.
        box_xywh: The target in the first of them, image pixels.
    """

    frames: FrameSource
    order: range
    box_xywh: Box


@dataclass(frozen=True)
class Task:
    """A clip by name; `load` is called shortly before it is tracked."""

    name: str
    load: Callable[[], Clip]


@dataclass(frozen=True)
class Finished:
    """A clip that was tracked to its end.

    Attributes:
        name: The task's.
        trajectory: One row per frame, in the order tracked; its seconds are those of the tracker alone.
        stage_seconds: By stage: `decode` in the background, `wait` of the tracker for frames, `track`, and of it
            `crop` and `network` where the tracker measures them.
        target: The tracker's state of the target at the end.
    """

    name: str
    trajectory: Trajectory
    stage_seconds: Mapping[str, float]
    target: Any = None


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
    clips raises, the error cannot be assigned to one of them: they start again at the end, one at a time.

    Args:
        tracker: What tracks.
        tasks: What is to be tracked.
    """
    with ThreadPoolExecutor(NUM_DECODERS) as decoders, ThreadPoolExecutor(1) as thread:
        runner = _Runner(tracker, decoders, thread)
        yield from runner.run(tasks, tracker.capacity)
        yield from runner.run(runner.to_retry, 1)


class _RunningClip:
    """A clip between its first frame and its last."""

    def __init__(self, task: Task, clip: Clip, decoders: Executor, depth: int) -> None:
        length = len(clip.order)
        self.task = task
        self.target: Any = None
        self.num_done = 0
        self._box = clip.box_xywh
        self._frames = Prefetcher(clip.frames, clip.order, decoders, depth=depth)
        self._boxes = np.zeros((length, 4))
        self._scores = np.full(length, np.nan)
        self._seconds = np.zeros(length)
        self._stage_seconds: dict[str, float] = {}

    @property
    def is_over(self) -> bool:
        return self.num_done == len(self._boxes)

    @property
    def fraction(self) -> float:
        return self.num_done / len(self._boxes)

    def next_image(self) -> Image:
        return next(self._frames)

    def start(self, tracker: BatchTracker) -> None:
        image = self.next_image()
        begun, before = time.perf_counter(), dict(tracker.stage_seconds)
        self.target = tracker.start(image, self._box)
        self.add((self._box, None), time.perf_counter() - begun, _since(tracker, before, 1))

    def add(self, found: ScoredBox, seconds: float, stage_seconds: Mapping[str, float]) -> None:
        box, score = found
        for stage, more in stage_seconds.items():
            self._stage_seconds[stage] = self._stage_seconds.get(stage, 0.0) + more
        self._boxes[self.num_done] = box
        self._scores[self.num_done] = np.nan if score is None else score
        self._seconds[self.num_done] = seconds
        self.num_done += 1

    def finish(self) -> Finished:
        trajectory = Trajectory(self._boxes, self._scores, self._seconds)
        frames, track = self._frames, float(self._seconds.sum())
        own = {"decode": frames.decode_seconds, "wait": frames.wait_seconds, "track": track}
        return Finished(self.task.name, trajectory, {**own, **self._stage_seconds}, self.target)

    def fail(self, error: BaseException) -> Failed:
        self.close()
        return Failed(self.task.name, error, self.num_done)

    def close(self) -> None:
        self._frames.close()


class _Runner:
    """Runs clips on two executors: `decoders` read frames, `thread` is the only one that calls the tracker.

    Trackers and data sets may be third-party code, and one broken clip must not end a long run. A future keeps any
    error, `SystemExit` included, until the runner reports it with its clip.
    """

    def __init__(self, tracker: BatchTracker, decoders: Executor, thread: Executor) -> None:
        self.to_retry: list[Task] = []
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

    def _load(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Future[Clip]]]:
        """Yield tasks with the futures of their clips, one loaded ahead: boxes may have to be made from masks."""
        ahead: deque[tuple[Task, Future[Clip]]] = deque()
        for task in tasks:
            ahead.append((task, self._decoders.submit(task.load)))
            if len(ahead) > 1:
                yield ahead.popleft()
        yield from ahead

    def _begin(self, loading: Iterator[tuple[Task, Future[Clip]]]) -> _RunningClip | Finished | Failed | None:
        """Start the next clip on its first frame; None when there is none."""
        task, future = next(loading, (None, None))
        if task is None or future is None:
            return None
        if (error := future.exception()) is not None:
            return Failed(task.name, error, 0)
        depth = max(2, FRAMES_AHEAD // self._tracker.capacity)
        clip = _RunningClip(task, future.result(), self._decoders, depth)
        if (error := self._thread.submit(clip.start, self._tracker).exception()) is not None:
            return clip.fail(error)
        return clip.finish() if clip.is_over else clip

    def _step(self, running: list[_RunningClip]) -> Iterator[Finished | Failed]:
        """Move every clip on by one frame; clips that end leave `running` and are yielded."""
        images: list[Image] = []
        for clip in list(running):
            frame = self._thread.submit(clip.next_image)
            if (error := frame.exception()) is not None:
                running.remove(clip)
                yield clip.fail(error)
            else:
                images.append(frame.result())
        if not running:
            return
        begun, before = time.perf_counter(), dict(self._tracker.stage_seconds)
        step = self._thread.submit(self._tracker.advance, [clip.target for clip in running], images)
        if (error := step.exception()) is not None:
            if len(running) == 1:
                yield running[0].fail(error)
            else:
                for clip in running:
                    clip.close()
                    self.to_retry.append(clip.task)
            running.clear()
            return
        seconds = (time.perf_counter() - begun) / len(running)
        stage_seconds = _since(self._tracker, before, len(running))
        self._num_frames += len(running)
        for clip, found in zip(list(running), step.result(), strict=True):
            clip.add(found, seconds, stage_seconds)
            if clip.is_over:
                running.remove(clip)
                yield clip.finish()


def _since(tracker: BatchTracker, before: Mapping[str, float], num_targets: int) -> dict[str, float]:
    """Return each target's share of the seconds of the tracker's stages since `before`."""
    return {stage: (now - before[stage]) / num_targets for stage, now in tracker.stage_seconds.items()}

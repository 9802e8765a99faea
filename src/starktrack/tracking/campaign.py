"""Many sequences through one tracker: several at once, decoded ahead, and no crash stops the others."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from starktrack.arrays import Box, Image
from starktrack.data.sequence import FrameSource
from starktrack.data.trajectory import Trajectory
from starktrack.data.video.prefetch import Prefetcher
from starktrack.tracking.team import Sighting, Team

NUM_DECODERS = 4
"""Threads that decode; OpenCV gives way to others while it does."""

FRAMES_AHEAD = 8
"""Frames that wait decoded, for all targets together, but at least two for each."""


@dataclass(frozen=True)
class Clip:
    """What is tracked from one start.

    Attributes:
        frames: The pictures.
        order: Their indices in the order in which the tracker sees them; backwards for some VOT anchors.
        box_xywh: The target in the first of them, image pixels.
    """

    frames: FrameSource
    order: range
    box_xywh: Box


@dataclass(frozen=True)
class Task:
    """A clip by name; it is read when its turn comes near."""

    name: str
    load: Callable[[], Clip]


@dataclass(frozen=True)
class Finished:
    """A clip that was tracked to its end.

    Attributes:
        name: The task's.
        trajectory: One row per frame, in the order tracked; its seconds are those of the tracker alone.
        stages: Seconds per stage: `decode` in the background, `wait` of the tracker for frames, `track`, and of it
            `crop` and `network` where the team tells them apart.
        target: What the team remembered of it at the end.
    """

    name: str
    trajectory: Trajectory
    stages: Mapping[str, float]
    target: Any = None


@dataclass(frozen=True)
class Failed:
    """A clip that could not be tracked: what was raised, in which frame of its order."""

    name: str
    error: BaseException
    frame: int


@dataclass(frozen=True)
class Standing:
    """How far a campaign is: clips that are over, with what is done of those in work, and frames tracked."""

    clips: float
    frames: int


def run_campaign(team: Team, tasks: Iterable[Task]) -> Iterator[Finished | Failed | Standing]:
    """Yield the outcome of every task, as they end, and after every step how far the campaign is.

    Up to `team.capacity` clips are in work; when one ends the next takes its place. When a step of several
    raises, nobody can say whose fault it was: those clips are started again at the end, one at a time.

    Args:
        team: What tracks.
        tasks: What is to be tracked.
    """
    with ThreadPoolExecutor(NUM_DECODERS) as decoders, ThreadPoolExecutor(1) as tracker:
        crew = _Crew(team, decoders, tracker, max(2, FRAMES_AHEAD // team.capacity))
        count = _Count()
        suspects: list[Task] = []
        yield from _run(crew, tasks, team.capacity, count, suspects)
        yield from _run(crew, suspects, 1, count, [])


@dataclass(frozen=True)
class _Crew:
    """Who does the work. The team has a thread of its own, whose futures hold whatever it raises.

    Trackers and data sets are other people's code, and one broken clip must not cost a night's work: every
    error is kept in a future and reported with its clip.
    """

    team: Team
    decoders: Executor
    tracker: Executor
    depth: int


class _Count:
    def __init__(self) -> None:
        self.clips = 0
        self.frames = 0

    def over(self, outcome: Finished | Failed) -> Finished | Failed:
        self.clips += 1
        return outcome

    def standing(self, slots: list["_Slot"]) -> Standing:
        return Standing(sum((slot.share for slot in slots), float(self.clips)), self.frames)


class _Slot:
    """A clip in work."""

    def __init__(self, task: Task, clip: Clip, crew: _Crew) -> None:
        length = len(clip.order)
        self.task = task
        self.target: Any = None
        self.num_done = 0
        self._box = clip.box_xywh
        self._frames = Prefetcher(clip.frames, clip.order, crew.decoders, depth=crew.depth)
        self._boxes = np.zeros((length, 4))
        self._scores = np.full(length, np.nan)
        self._seconds = np.zeros(length)
        self._stages: dict[str, float] = {}

    @property
    def is_over(self) -> bool:
        return self.num_done == len(self._boxes)

    @property
    def share(self) -> float:
        return self.num_done / len(self._boxes)

    def next_image(self) -> Image:
        return next(self._frames)

    def start(self, team: Team) -> None:
        image = self.next_image()
        begun, before = time.perf_counter(), dict(team.stages)
        self.target = team.start(image, self._box)
        self.add((self._box, None), time.perf_counter() - begun, _since(team, before, 1))

    def add(self, sighting: Sighting, seconds: float, stages: Mapping[str, float]) -> None:
        box, score = sighting
        for stage, more in stages.items():
            self._stages[stage] = self._stages.get(stage, 0.0) + more
        self._boxes[self.num_done] = box
        self._scores[self.num_done] = np.nan if score is None else score
        self._seconds[self.num_done] = seconds
        self.num_done += 1

    def finish(self) -> Finished:
        trajectory = Trajectory(self._boxes, self._scores, self._seconds)
        frames, track = self._frames, float(self._seconds.sum())
        stages = {"decode": frames.decode_seconds, "wait": frames.wait_seconds, "track": track}
        return Finished(self.task.name, trajectory, {**stages, **self._stages}, self.target)

    def give_up(self, error: BaseException) -> Failed:
        self._frames.close()
        return Failed(self.task.name, error, self.num_done)

    def abandon(self) -> Task:
        self._frames.close()
        return self.task


def _run(
    crew: _Crew, tasks: Iterable[Task], capacity: int, count: _Count, suspects: list[Task]
) -> Iterator[Finished | Failed | Standing]:
    loading = _loading(tasks, crew.decoders)
    slots: list[_Slot] = []
    while True:
        while len(slots) < capacity and (begun := _begin(crew, loading)) is not None:
            if isinstance(begun, _Slot):
                slots.append(begun)
            else:
                yield count.over(begun)
        if not slots:
            return
        for outcome in _step(crew, slots, count, suspects):
            yield count.over(outcome)
        yield count.standing(slots)


def _loading(tasks: Iterable[Task], pool: Executor) -> Iterator[tuple[Task, Future[Clip]]]:
    """Yield tasks whose clips are being read, one ahead: a clip's boxes may have to be made from masks."""
    ahead: deque[tuple[Task, Future[Clip]]] = deque()
    for task in tasks:
        ahead.append((task, pool.submit(task.load)))
        if len(ahead) > 1:
            yield ahead.popleft()
    yield from ahead


def _begin(crew: _Crew, loading: Iterator[tuple[Task, Future[Clip]]]) -> _Slot | Finished | Failed | None:
    """Return the next clip after its first frame: in work, over already, failed; None when there is none."""
    task, future = next(loading, (None, None))
    if task is None or future is None:
        return None
    if (error := future.exception()) is not None:
        return Failed(task.name, error, 0)
    slot = _Slot(task, future.result(), crew)
    if (error := crew.tracker.submit(slot.start, crew.team).exception()) is not None:
        return slot.give_up(error)
    return slot.finish() if slot.is_over else slot


def _step(
    crew: _Crew, slots: list[_Slot], count: _Count, suspects: list[Task]
) -> Iterator[Finished | Failed]:
    """Move every clip on by one frame; those that are over or failed leave `slots` and are yielded."""
    images: list[Image] = []
    for slot in list(slots):
        frame = crew.tracker.submit(slot.next_image)
        if (error := frame.exception()) is not None:
            slots.remove(slot)
            yield slot.give_up(error)
        else:
            images.append(frame.result())
    if not slots:
        return
    begun, before = time.perf_counter(), dict(crew.team.stages)
    step = crew.tracker.submit(crew.team.advance, [slot.target for slot in slots], images)
    if (error := step.exception()) is not None:
        yield from _blame(error, slots, suspects)
        return
    seconds, stages = (time.perf_counter() - begun) / len(slots), _since(crew.team, before, len(slots))
    count.frames += len(slots)
    for slot, sighting in zip(list(slots), step.result(), strict=True):
        slot.add(sighting, seconds, stages)
        if slot.is_over:
            slots.remove(slot)
            yield slot.finish()


def _since(team: Team, before: Mapping[str, float], num_targets: int) -> dict[str, float]:
    """Return what each of the targets took of the team's stages since then."""
    return {stage: (seconds - before[stage]) / num_targets for stage, seconds in team.stages.items()}


def _blame(error: BaseException, slots: list[_Slot], suspects: list[Task]) -> Iterator[Failed]:
    """Fail a clip that was alone; several become suspects."""
    if len(slots) == 1:
        yield slots[0].give_up(error)
    else:
        suspects += [slot.abandon() for slot in slots]
    slots.clear()

"""Tracking under way: a thread that writes into copies of targets, and keeps what a person set."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from starktrack.arrays import Image
from starktrack.data.video.random_access import RandomFrames
from starktrack.studio.outline import Outline, outline_of
from starktrack.studio.project import Kind, State, Target

_STATES = {"tracked": State.TRACKED, "uncertain": State.UNCERTAIN, "lost": State.LOST}

_SET_BY_PERSON = frozenset({int(Kind.KEY), int(Kind.ABSENT)})
"""Compared as plain numbers: a NumPy number beside an enum takes 27 microseconds, for every target in every frame."""

OUTLINE_SECONDS = 0.1
"""Least time between two frames whose outlines are prepared for the page."""

DIRECTIONS: dict[str, tuple[int, ...]] = {"forward": (1,), "backward": (-1,), "both": (1, -1)}
"""The steps from frame to frame, one after the other."""


@runtime_checkable
class Tracker(Protocol):
    """What the studio needs of a tracker; `starktrack.Tracker` fulfils it."""

    def start(self, image: Image, *, boxes_xywh: Sequence[Any]) -> Sequence[int]: ...  # noqa: D102

    def add(self, image: Image, box_xywh: Any) -> int: ...  # noqa: D102

    def remove(self, target_id: int) -> None: ...  # noqa: D102

    def update_all(self, image: Image) -> Mapping[int, Any]: ...  # noqa: D102


@dataclass
class Run:
    """Tracking under way.

    Attributes:
        targets: What the tracker writes into.
        first: The frame it starts from.
        steps: 1 for forward, -1 for backward, one after the other.
        to_next_key: Whether each target ends at its next key box.
        stop: Set to end it after its frame.
        go_on: Cleared while it is paused.
        written: For each target the frames that pages have not seen yet, first and last; under `lock`.
        outlines: The outlines of the targets in a frame that is still to be shown, with its number; under `lock`.
        at: The latest frame.
        num_done: Frames so far.
        num_frames: Frames there are to track, if every target is tracked to the end.
        seconds: Time that they took.
    """

    targets: dict[int, Target]
    first: int
    steps: tuple[int, ...]
    to_next_key: bool
    stop: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    written: dict[int, tuple[int, int]] = field(default_factory=dict)
    outlines: tuple[int, dict[int, Outline]] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    at: int = 0
    num_done: int = 0
    num_frames: int = 0
    seconds: float = 0.0
    _outlined_at: float = 0.0

    def work(self, frames: RandomFrames, tracker: Tracker, num_frames: int) -> None:
        """Track to the end; runs in the tracker's thread."""
        self.num_frames = sum(num_frames - 1 - self.first if step > 0 else self.first for step in self.steps)
        for step in self.steps:
            self._one_way(frames, tracker, range(self.first + step, num_frames if step > 0 else -1, step))

    def _one_way(self, frames: RandomFrames, tracker: Tracker, order: range) -> None:
        image = frames.read(self.first)
        names = list(self.targets)
        ids = tracker.start(image, boxes_xywh=[self.targets[name].boxes_xywh[self.first] for name in names])
        active = dict(zip(names, ids, strict=True))
        for frame in order:
            self.go_on.wait()
            if self.stop.is_set() or not active:
                return
            begun = time.perf_counter()
            image = frames.read(frame)
            outputs = tracker.update_all(image)
            for name, target_id in list(active.items()):
                if int(self.targets[name].kinds[frame]) in _SET_BY_PERSON:
                    self._keep_set_box(tracker, image, frame, name, active)
                else:
                    self._write(frame, name, outputs[target_id])
            self._take_outlines(frame, {name: outputs.get(target_id) for name, target_id in active.items()})
            self.at, self.num_done = frame, self.num_done + 1
            self.seconds += time.perf_counter() - begun

    def _keep_set_box(
        self, tracker: Tracker, image: Image, frame: int, name: int, active: dict[int, int]
    ) -> None:
        """Go on from the box that a person set in this frame; an absence ends the target's track."""
        target = self.targets[name]
        tracker.remove(active.pop(name))
        if target.kinds[frame] == Kind.KEY and not self.to_next_key:
            active[name] = tracker.add(image, target.boxes_xywh[frame])

    def _write(self, frame: int, name: int, output: Any) -> None:
        score = np.nan if output.score is None else output.score
        state = State.NONE if output.state is None else _STATES[str(output.state)]
        self.targets[name].put(frame, Kind.TRACKED, output.box_xywh, score, state)
        with self.lock:
            first, last = self.written.get(name, (frame, frame))
            self.written[name] = (min(first, frame), max(last, frame))

    def _take_outlines(self, frame: int, outputs: Mapping[int, Any]) -> None:
        masks = {name: getattr(output, "mask", None) for name, output in outputs.items()}
        now = time.monotonic()
        if now - self._outlined_at < OUTLINE_SECONDS or all(mask is None for mask in masks.values()):
            return
        self._outlined_at = now
        found = {name: outline_of(mask) for name, mask in masks.items() if mask is not None}
        with self.lock:
            self.outlines = (frame, found)

    def take_written(self) -> dict[int, tuple[int, int]]:
        """Return for each target the frames that were written since the last call, first and last."""
        with self.lock:
            written, self.written = self.written, {}
        return written

    def take_outlines(self) -> tuple[int, dict[int, Outline]] | None:
        """Return the latest frame with outlines that was not taken yet."""
        with self.lock:
            outlines, self.outlines = self.outlines, None
        return outlines

"""One open video: its frames, its project, the tracking under way, and everybody who watches.

The server's event loop owns the project. The tracker runs in a thread of its own and writes into copies of the targets;
nobody else changes those while it runs.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from starktrack.data.video.random_access import RandomFrames
from starktrack.errors import InputError, StarktrackError
from starktrack.studio.project import Kind, Project, Target
from starktrack.studio.project_file import SUFFIX, read_project, write_project
from starktrack.studio.run import Run, Tracker

SAVE_SECONDS = 1.0
"""Longest time that a change waits until it is in the file."""

ROWS_SECONDS = 0.05
"""Time between two messages of rows while a tracker runs."""

JPEG_QUALITY = 85
MOST_PICTURE_BYTES = 64 * 2**20


Listener = Callable[[Mapping[str, Any]], None]
"""Takes a message for one page; called on the event loop."""


class Session:
    """One video that pages work on.

    Args:
        video: The file or folder.
        store: The folder that holds the project's file.
        make_tracker: Called in the tracker's thread, once.

    Raises:
        VideoError: The video cannot be read.
        ResultFileError: Its project file is damaged, or that of another video.
    """

    def __init__(self, video: Path, store: Path, make_tracker: Callable[[], Tracker]) -> None:
        self.video = video
        self.file = store / f"{video.name}{SUFFIX}"
        self.frames = RandomFrames(video)
        self._make_tracker = make_tracker
        self._tracker: Tracker | None = None
        self.run: Run | None = None
        self.listeners: set[Listener] = set()
        self._pictures: dict[tuple[int, int], bytes] = {}
        self._picture_bytes = 0
        self._picture_lock = threading.Lock()  # pictures are asked for from several threads
        self._tracking = ThreadPoolExecutor(1, "tracker")
        self._saved_revision = -1
        self._saver: asyncio.Task[None] | None = None
        self._follower: asyncio.Task[None] | None = None
        if self.file.exists():
            self.project = read_project(self.file)
            found = (tuple(self.project.size_hw), self.project.num_frames)
            if found != (tuple(self.frames.size_hw), len(self.frames)):
                self.frames.close()
                raise InputError(
                    f"{self.file.name} must be of this video ({len(self.frames)} frames of "
                    f"{self.frames.size_hw[1]} x {self.frames.size_hw[0]}), got one of {found[1]} frames of "
                    f"{found[0][1]} x {found[0][0]}; move it away or open the video it was made of"
                )
        else:
            self.project = Project(video.name, self.frames.size_hw, len(self.frames))

    # Messages for pages.

    def description(self) -> dict[str, Any]:
        """Return all that a page needs to begin, but the rows of the targets."""
        height, width = self.frames.size_hw
        return {
            "type": "project",
            "video": self.video.name,
            "width": width,
            "height": height,
            "num_frames": self.project.num_frames,
            "frame_rate": self.frames.frame_rate,
            "file": self.file.name,
            **self._standing(),
        }

    def rows(self, target: int, first: int, last: int) -> dict[str, Any]:
        """Return the message that holds the rows of a target in a range of frames."""
        held = self.project.targets[target]
        return {
            "type": "rows",
            "target": target,
            "first": first,
            "last": last,
            "rows": held.entries(first, last),
        }

    def all_rows(self) -> list[dict[str, Any]]:
        """Return the messages that hold every row."""
        last = self.project.num_frames - 1
        return [self.rows(target, 0, last) for target in self.project.targets]

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message to every page."""
        for listener in list(self.listeners):
            listener(message)

    def _standing(self) -> dict[str, Any]:
        return {
            "revision": self.project.revision,
            "can_undo": self.project.can_undo and self.run is None,
            "can_redo": self.project.can_redo and self.run is None,
            "tracking": self.run is not None,
            "targets": [
                {"id": target.id, "name": target.name, "colour": target.colour}
                for target in self.project.targets.values()
            ],
        }

    # Changes.

    def apply(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """Do one operation of the project, save it soon, and tell every page what changed.

        Raises:
            InputError: No such operation, bad arguments, or a tracker is at work on the targets.
        """
        allowed = OPERATIONS.get(operation)
        if allowed is None:
            raise InputError(f"an operation must be one of {', '.join(OPERATIONS)}, got {operation!r}")
        unknown = set(arguments) - set(allowed)
        missing = {name for name, is_needed in allowed.items() if is_needed} - set(arguments)
        if unknown or missing:
            raise InputError(
                f"{operation} takes {', '.join(allowed)}, got {', '.join(map(str, arguments)) or 'nothing'}"
            )
        if self.run is not None:
            raise InputError("a tracker is at work; stop it before changing targets")
        before = self.project.targets
        result = getattr(self.project, operation)(**arguments)
        self._announce(before)
        return result

    def _announce(self, before: Mapping[int, Target]) -> None:
        self.tell({"type": "targets", **self._standing()})
        last = self.project.num_frames - 1
        for target_id, target in self.project.targets.items():
            if before.get(target_id) is not target:
                self.tell(self.rows(target_id, 0, last))
        self.save_soon()

    def take(self, targets: Sequence[Target]) -> None:
        """Add targets that were read from a file.

        Raises:
            InputError: A tracker is at work.
        """
        if self.run is not None:
            raise InputError("a tracker is at work; stop it before reading a file")
        before = self.project.targets
        self.project.replace_all(targets)
        self._announce(before)

    # Saving.

    def save_soon(self) -> None:
        """Write the project within a second; changes in that time share a write."""
        if self._saver is None or self._saver.done():
            self._saver = asyncio.get_running_loop().create_task(self._save_later())

    async def _save_later(self) -> None:
        await asyncio.sleep(SAVE_SECONDS)
        try:
            self.save()
        except StarktrackError as error:
            self.tell({"type": "error", "message": f"The project is not saved: {error}"})
        else:
            self.tell({"type": "saved", "revision": self._saved_revision})

    def save(self) -> None:
        """Write the project now, if it changed."""
        if self.project.revision != self._saved_revision or self.run is not None:
            revision = self.project.revision
            write_project(self.file, self.project)
            self._saved_revision = revision

    # Pictures.

    def picture(self, index: int, width: int) -> bytes:
        """Return a frame as JPEG, at most `width` pixels wide; runs in any thread."""
        key = (index, width)
        with self._picture_lock:
            if key in self._pictures:
                return self._pictures[key]
        image = self.frames.read(index)
        if 0 < width < image.shape[1]:
            height = max(1, round(image.shape[0] * width / image.shape[1]))
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1].tobytes()
        with self._picture_lock:
            if key not in self._pictures:
                self._pictures[key] = encoded
                self._picture_bytes += len(encoded)
            while self._picture_bytes > MOST_PICTURE_BYTES and len(self._pictures) > 1:
                self._picture_bytes -= len(self._pictures.pop(next(iter(self._pictures))))
        return encoded

    # Tracking.

    def track(self, targets: Sequence[int], frame: int, *, direction: str, to_next_key: bool) -> None:
        """Start to track from the boxes of a frame; results come as messages.

        Raises:
            InputError: A target has no box in the frame, or a tracker is at work already.
        """
        if self.run is not None:
            raise InputError("a tracker is at work already; stop it first")
        if direction not in ("forward", "backward"):
            raise InputError(f"a direction must be forward or backward, got {direction!r}")
        if not targets:
            raise InputError("tracking needs at least one target, got none; draw a box first")
        for target in targets:
            held = self.project._target(target)
            if not 0 <= frame < self.project.num_frames or np.isnan(held.boxes_xywh[frame, 0]):
                raise InputError(f"{held.name} must have a box in frame {frame} to start from; draw one")
        before = self.project.targets
        copies = self.project.begin_tracking(targets)
        for held in copies.values():
            if held.kinds[frame] in (Kind.TRACKED, Kind.INTERPOLATED):
                held.kinds[frame] = Kind.KEY
        run = Run(copies, frame, 1 if direction == "forward" else -1, to_next_key, at=frame)
        run.go_on.set()
        self.run = run
        self._announce(before)
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._tracking, self._work, run)
        self._follower = loop.create_task(self._follow(run, work))

    def stop(self) -> None:
        """Ask the tracker to end after its frame."""
        if self.run is not None:
            self.run.stop.set()
            self.run.go_on.set()

    def pause(self, *, is_paused: bool) -> None:
        """Pause or resume the tracker."""
        if self.run is not None:
            (self.run.go_on.clear if is_paused else self.run.go_on.set)()

    async def _follow(self, run: Run, work: "asyncio.Future[None]") -> None:
        """Send what the tracker writes, until it ends."""
        last_save = time.monotonic()
        error = ""
        while True:
            done, _ = await asyncio.wait([work], timeout=ROWS_SECONDS)
            self._send_rows(run)
            if done:
                break
            if time.monotonic() - last_save > SAVE_SECONDS:
                with contextlib.suppress(StarktrackError):
                    await asyncio.get_running_loop().run_in_executor(None, self.save)
                last_save = time.monotonic()
        try:
            work.result()
        except (StarktrackError, OSError, RuntimeError, MemoryError) as problem:
            error = str(problem)
        self.run = None
        self.project.revision += 1
        if error:
            self.tell({"type": "error", "message": f"Tracking ended early: {error}"})
        self.tell({"type": "targets", **self._standing()})
        self.save_soon()

    def _send_rows(self, run: Run) -> None:
        for target, (first, last) in run.take_written().items():
            self.tell(self.rows(target, first, last))
        rate = run.num_done / run.seconds if run.seconds else 0.0
        last = self.project.num_frames - 1
        left = last - run.at if run.step > 0 else run.at
        self.tell(
            {"type": "progress", "frame": run.at, "left": left, "frames_per_second": round(rate, 1)},
        )

    def _work(self, run: Run) -> None:
        if self._tracker is None:
            self._tracker = self._make_tracker()
        run.work(self.frames, self._tracker, self.project.num_frames)

    async def close(self) -> None:
        """Stop the tracker, save, and close the video."""
        self.stop()
        while self.run is not None:
            await asyncio.sleep(ROWS_SECONDS)
        if self._saver is not None:
            self._saver.cancel()
        self.save()
        self._tracking.shutdown()
        self.frames.close()


OPERATIONS: dict[str, dict[str, bool]] = {
    "add_target": {"frame": True, "box_xywh": True, "name": False, "colour": False},
    "set_box": {"target": True, "frame": True, "box_xywh": True},
    "mark_absent": {"target": True, "frame": True},
    "clear": {"target": True, "first": True, "last": True},
    "accept": {"target": True, "first": True, "last": True},
    "interpolate": {"target": True, "first": True, "last": True},
    "rename": {"target": True, "name": True, "colour": False},
    "delete_target": {"target": True},
    "split": {"target": True, "frame": True},
    "join": {"target": True, "other": True},
    "undo": {},
    "redo": {},
}
"""What a page may ask of a project: the arguments of each operation, and whether each is needed."""

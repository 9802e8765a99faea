"""One open video: its frames, its project, the tracking under way, and everybody who watches.

The server's event loop owns the project. The tracker runs in a thread of its own and writes into copies of the targets;
nobody else changes those while it runs.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starktrack.data.video.random_access import RandomFrames
from starktrack.errors import InputError, StarktrackError
from starktrack.studio.limits import check_video
from starktrack.studio.pictures import Pictures
from starktrack.studio.project import Kind, Project, Target
from starktrack.studio.rows import changed_frames, rows_message
from starktrack.studio.run import DIRECTIONS, Run, Tracker
from starktrack.studio.store import ProjectStore

SAVE_SECONDS = 1.0
"""Longest time that a change waits until it is in the file."""

ROWS_SECONDS = 0.05
"""Time between two messages of rows while a tracker runs."""

CACHE_BYTES = 128 * 2**20
"""Decoded pictures that are kept for pages, and as many for the tracker."""

Listener = Callable[[Mapping[str, Any]], None]
"""Takes a message for one page; called on the event loop."""


class Session:
    """One video that pages work on.

    Args:
        video: The file or folder.
        folder: Where the project's files lie.
        make_tracker: Called in the tracker's thread, once.

    Raises:
        VideoError: The video cannot be read.
        ResultFileError: Its project file is damaged, or that of another video.
        InputError: The project is open in another process.
    """

    def __init__(self, video: Path, folder: Path, make_tracker: Callable[[], Tracker]) -> None:
        self.video = video
        check_video(video)
        self.frames = RandomFrames(video, cache_bytes=CACHE_BYTES)
        self.pictures = Pictures(self.frames)
        self._make_tracker = make_tracker
        self._tracker: Tracker | None = None
        self.run: Run | None = None
        self.listeners: set[Listener] = set()
        self._tracking = ThreadPoolExecutor(1, "tracker")
        self._unsaved: dict[int, tuple[int, int]] = {}
        self._saving = asyncio.Lock()
        self._saver: asyncio.Task[None] | None = None
        self._follower: asyncio.Task[None] | None = None
        try:
            self.store = ProjectStore(folder, video.name)
        except BaseException:
            self.frames.close()
            raise
        try:
            self.project = self._load()
        except BaseException:
            self.store.close()
            self.frames.close()
            raise
        self._saved_revision = self.project.revision

    def _load(self) -> Project:
        project = self.store.load()
        if project is None:
            return Project(self.video.name, self.frames.size_hw, len(self.frames))
        found = (tuple(project.size_hw), project.num_frames)
        if found != (tuple(self.frames.size_hw), len(self.frames)):
            raise InputError(
                f"{self.store.file.name} must be of this video ({len(self.frames)} frames of "
                f"{self.frames.size_hw[1]} x {self.frames.size_hw[0]}), got one of {found[1]} frames of "
                f"{found[0][1]} x {found[0][0]}; move it away or open the video it was made of"
            )
        return project

    # Messages for pages.

    def description(self) -> dict[str, Any]:
        """Return all that a page needs to begin, but the rows of the targets."""
        height, width = self.frames.size_hw
        found = self.video.stat()
        return {
            "type": "project",
            "video": self.video.name,
            "width": width,
            "height": height,
            "num_frames": self.project.num_frames,
            "frame_rate": self.frames.frame_rate,
            "file": self.store.file.name,
            # It changes when the video is replaced by another, so that pages show no old pictures.
            "stamp": f"{found.st_mtime_ns:x}-{found.st_size:x}",
            **self._standing(),
        }

    def all_rows(self) -> list[dict[str, Any]]:
        """Return the messages that announce every row; `encode` makes their content when they are sent."""
        last = self.project.num_frames - 1
        return [{"type": "rows", "blocks": [(target, 0, last)]} for target in self.project.targets]

    def encode(self, message: Mapping[str, Any]) -> bytes:
        """Return a message of rows as it is sent, with the rows of this moment."""
        return rows_message(self.project.targets, message["blocks"])

    def notify(self, message: Mapping[str, Any]) -> None:
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
        """Do one operation of the project, save it soon, and notify every page of what changed.

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
        self.notify({"type": "targets", **self._standing()})
        changed = {key: changed_frames(before.get(key), now) for key, now in self.project.targets.items()}
        blocks = [(key, *frames) for key, frames in changed.items() if frames is not None]
        if blocks:
            self.notify({"type": "rows", "blocks": blocks})
        self.save_soon()

    def take(self, targets: Sequence[Target]) -> None:
        """Add targets that were read from a file.

        Raises:
            InputError: A tracker is at work.
        """
        if self.run is not None:
            raise InputError("a tracker is at work; stop it before reading a file")
        before = self.project.targets
        self.project.add_all(targets)
        self._announce(before)

    # Saving.

    def save_soon(self) -> None:
        """Write the project within a second; changes in that time share a write."""
        if self._saver is None or self._saver.done():
            self._saver = asyncio.get_running_loop().create_task(self._save_later())

    async def _save_later(self) -> None:
        await asyncio.sleep(SAVE_SECONDS)
        await self._save_and_notify()

    async def _save_and_notify(self) -> None:
        try:
            await self.save()
        except StarktrackError as error:
            self.notify({"type": "error", "message": f"The project is not saved: {error}"})
        else:
            self.notify({"type": "saved", "revision": self._saved_revision})

    async def save(self) -> None:
        """Write what changed since the last call.

        Raises:
            InputError: The disk is full, or the folder cannot be written to; the next call tries again.
        """
        async with self._saving:
            revision, written = self.project.revision, self._unsaved
            if revision == self._saved_revision and not written:
                return
            self._unsaved, is_saved = {}, False
            try:
                await asyncio.to_thread(self.store.save, self.project.snapshot(), written)
                is_saved = True
            finally:
                if not is_saved:
                    _widen(self._unsaved, written)
            self._saved_revision = revision
            if self.run is None and self.store.is_long():
                await asyncio.to_thread(self.store.fold, self.project.snapshot())

    # Tracking.

    def track(self, targets: Sequence[int], frame: int, *, direction: str, to_next_key: bool) -> None:
        """Start to track from the boxes of a frame; results come as messages.

        Raises:
            InputError: A target has no box in the frame, or a tracker is at work already.
        """
        if self.run is not None:
            raise InputError("a tracker is at work already; stop it first")
        if direction not in DIRECTIONS:
            raise InputError(f"a direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
        if not targets:
            raise InputError("tracking needs at least one target, got none; draw a box first")
        for target in targets:
            held = self.project.target(target)
            if not held.has_box(frame):
                raise InputError(f"{held.name} must have a box in frame {frame} to start from; draw one")
        before = self.project.targets
        copies = self.project.begin_tracking(targets)
        for held in copies.values():
            if held.kinds[frame] in (Kind.TRACKED, Kind.INTERPOLATED):
                held.kinds[frame] = Kind.KEY
        run = Run(copies, frame, DIRECTIONS[direction], to_next_key, at=frame)
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
            if time.monotonic() - last_save > SAVE_SECONDS and not self._saving.locked():
                self._saver = asyncio.create_task(self._save_and_notify())
                last_save = time.monotonic()
        try:
            work.result()
        except (StarktrackError, OSError, RuntimeError, MemoryError) as problem:
            error = str(problem)
        self.run = None
        self.project.revision += 1
        if error:
            self.notify({"type": "error", "message": f"Tracking ended early: {error}"})
        self.notify({"type": "targets", **self._standing()})
        self.save_soon()

    def _send_rows(self, run: Run) -> None:
        written = run.take_written()
        _widen(self._unsaved, written)
        if written:
            self.notify({"type": "rows", "blocks": [(target, *frames) for target, frames in written.items()]})
        outlines = run.take_outlines()
        rate = run.num_done / run.seconds if run.seconds else 0.0
        self.notify(
            {
                "type": "progress",
                "frame": run.at,
                "left": run.num_frames - run.num_done,
                "frames_per_second": round(rate, 1),
                "outlines": None if outlines is None else {"frame": outlines[0], "lines": outlines[1]},
            }
        )

    def _work(self, run: Run) -> None:
        if self._tracker is None:
            self._tracker = self._make_tracker()
        # Frames of its own, so that a page that looks elsewhere does not make the decoder jump.
        with self.frames.again(cache_bytes=CACHE_BYTES) as frames:
            self.pictures.tracked = frames
            try:
                run.work(frames, self._tracker, self.project.num_frames)
            finally:
                self.pictures.tracked = None

    async def close(self) -> None:
        """Stop the tracker, save, and close the video."""
        self.stop()
        while self.run is not None:
            await asyncio.sleep(ROWS_SECONDS)
        if self._saver is not None and not self._saving.locked():
            self._saver.cancel()
        try:
            await self.save()
            await asyncio.to_thread(self.store.fold, self.project.snapshot())
        finally:
            self.store.close()
            self._tracking.shutdown()
            self.frames.close()


def _widen(ranges: dict[int, tuple[int, int]], added: Mapping[int, tuple[int, int]]) -> None:
    for key, (first, last) in added.items():
        held = ranges.get(key, (first, last))
        ranges[key] = (min(first, held[0]), max(last, held[1]))


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

"""Where a project lies on disk: its JSON file, and beside it a journal of what changed since that was written.

A change appends a line with the frames that it touched, so that the cost of saving does not grow with the project. A
line counts once it is whole and its checksum fits: after a kill at any byte, the project is what it was at the last
whole line. Opening and closing fold the journal into the JSON file.
"""

import errno
import json
import os
import secrets
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from starktrack.errors import InputError
from starktrack.files import named_write
from starktrack.studio.project import Project, Target, clean_colour, clean_name
from starktrack.studio.project_file import (
    SUFFIX,
    packed_rows,
    read_project,
    unpack_rows,
    write_project,
)
from starktrack.studio.rows import changed_frames

JOURNAL_SUFFIX = ".starktrack.journal"

LEAST_FOLDED_BYTES = 16 * 2**20
"""A journal that is shorter waits until the video is closed."""

_Range = tuple[int, int]


class ProjectStore:
    """The project of one video on disk; only one process at a time has it.

    Args:
        folder: Where the files lie.
        name: Of the video, which the names of the files begin with.

    Raises:
        InputError: Another process has it, or the folder cannot be written to.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / f"{name}{SUFFIX}"
        self._journal_path = folder / f"{name}{JOURNAL_SUFFIX}"
        self._journal = self._open_journal()
        self._saved: dict[int, Target] = {}
        self._saved_list: dict[str, Any] = {}
        self._token = ""
        self._base_bytes = 0

    def _open_journal(self) -> BinaryIO:
        with named_write(self._journal_path):
            while True:
                journal = self._journal_path.open("a+b")
                try:
                    _lock(journal)
                except OSError as error:
                    journal.close()
                    if error.errno not in (errno.EACCES, errno.EAGAIN):
                        raise
                    raise InputError(
                        f"{self.file.name} must be open in one studio only, got a second; close the other"
                    ) from error
                # The process that had it may have removed the file between the two calls.
                if self._journal_path.exists() and os.path.samestat(
                    os.fstat(journal.fileno()), self._journal_path.stat()
                ):
                    return journal
                journal.close()

    def load(self) -> Project | None:
        """Return the project, or None where there is none yet.

        Raises:
            ResultFileError: The JSON file is damaged; nothing was changed.
        """
        if not self.file.exists():
            return None
        project, self._token = read_project(self.file)
        if self._replay(project):
            self._fold(project)
        else:
            self._remember(project)
            if self._token:
                self._append({"journal": self._token})
        return project

    def save(self, project: Project, written: Mapping[int, _Range]) -> None:
        """Append what changed since the last call.

        Args:
            project: As `Project.snapshot` gives it.
            written: Frames that a tracker wrote into targets since the last call, first and last.

        Raises:
            InputError: The disk is full, or the folder cannot be written to.
        """
        if not self._token:
            self._fold(project)
            return
        rows = []
        for target_id, target in project.targets.items():
            changed = _changed(self._saved.get(target_id), target, written.get(target_id))
            if changed is not None:
                rows.append([target_id, *changed, packed_rows(target, *changed)])
        listed = _listed(project)
        if rows or listed != self._saved_list:
            self._append({**listed, "rows": rows})
        self._saved, self._saved_list = project.targets, listed

    def is_long(self) -> bool:
        """Return whether the journal has grown so much that folding it is worth its time."""
        return self._journal.tell() > max(LEAST_FOLDED_BYTES, self._base_bytes)

    def fold(self, project: Project) -> None:
        """Write the JSON file anew where something was appended since; nobody may change the project meanwhile."""
        if self._token and self._journal.tell() > self._header_bytes():
            self._fold(project)

    def close(self) -> None:
        """Give the project free for other processes; removes a journal that holds nothing."""
        if not self._journal.closed:
            if self._journal.tell() <= self._header_bytes():
                self._journal_path.unlink(missing_ok=True)
            self._journal.close()

    def _header_bytes(self) -> int:
        return len(_line({"journal": self._token}))

    def _fold(self, project: Project) -> None:
        token = secrets.token_hex(8)
        write_project(self.file, project, journal=token)
        # From here on the old journal belongs to no file, and what it held is in the new one.
        self._token = token
        self._journal.truncate(0)
        self._append({"journal": token})
        self._remember(project)

    def _remember(self, project: Project) -> None:
        self._saved, self._saved_list = project.targets, _listed(project)
        self._base_bytes = self.file.stat().st_size

    def _append(self, record: Mapping[str, Any]) -> None:
        with named_write(self._journal_path):
            before = self._journal.seek(0, os.SEEK_END)
            try:
                self._journal.write(_line(record))
                self._journal.flush()
                os.fsync(self._journal.fileno())
            except OSError:
                self._journal.truncate(before)  # half a line would hide those after it
                raise

    def _replay(self, project: Project) -> bool:
        """Make the changes of the journal again; return whether the journal holds anything."""
        self._journal.seek(0)
        header = _record(self._journal.readline())
        if header is not None and header.get("journal") == self._token:
            for line in self._journal:
                record = _record(line)
                if record is None or not _apply(project, record):
                    break
        self._journal.seek(0, os.SEEK_END)
        return self._journal.tell() > 0


def _listed(project: Project) -> dict[str, Any]:
    targets = [[target.id, target.name, target.colour] for target in project.targets.values()]
    return {"next_id": project.next_id(), "targets": targets}


def _line(record: Mapping[str, Any]) -> bytes:
    content = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(content), content)


def _record(line: bytes) -> dict[str, Any] | None:
    """Return what a line holds; None where it is cut short or damaged."""
    if not line.endswith(b"\n") or line[8:9] != b" ":
        return None
    content = line[9:-1]
    if line[:8] != b"%08x" % zlib.crc32(content):
        return None
    record = json.loads(content)
    return record if isinstance(record, dict) else None


def _apply(project: Project, record: Mapping[str, Any]) -> bool:
    """Make the change of one line; return whether it could be made."""
    try:
        targets = []
        for target_id, name, colour in record["targets"]:
            name, colour = clean_name(name), clean_colour(colour)
            target = project.targets.get(target_id)
            if target is None:
                target = Target.empty(int(target_id), name, colour, project.num_frames)
            arrays = (target.boxes_xywh, target.scores, target.kinds, target.states)
            targets.append(Target(target.id, name, colour, *arrays))
        held = {target.id: target for target in targets}
        for target_id, first, last, text in record["rows"]:
            unpack_rows(held[target_id], first, last, text)
        project.restore(targets, int(record["next_id"]))
    except (KeyError, TypeError, ValueError, InputError):
        return False
    return True


def _changed(saved: Target | None, now: Target, written: _Range | None) -> _Range | None:
    """Return the first and last frame that a file with the saved target does not hold as they are now."""
    ranges = [found for found in (written, changed_frames(saved, now)) if found is not None]
    if not ranges:
        return None
    return min(first for first, _ in ranges), max(last for _, last in ranges)


def _lock(file: BinaryIO) -> None:
    """Take a file for this process alone; the system gives it free when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # pyright: ignore
    else:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

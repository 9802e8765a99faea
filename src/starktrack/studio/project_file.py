"""A project as one JSON file, written whole or not at all, and checked value by value when it is read.

Version 2 holds the rows of a target compressed (`rows.py`, zlib, base64). Version 1 held a list for each frame; it is
still read.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from starktrack.errors import InputError, ResultFileError
from starktrack.files import atomic_write
from starktrack.studio.project import Kind, Project, State, Target, clean_colour, clean_name
from starktrack.studio.rows import ROW_BYTES, decode_rows, encode_rows

FORMAT, VERSION = "starktrack studio", 2
SUFFIX = ".starktrack.json"
"""How the file of a project ends; it begins with the name of the video."""

MOST_FILE_BYTES = 1 << 30


def write_project(path: Path, project: Project, *, journal: str = "") -> None:
    """Write a project as JSON, whole or not at all.

    Args:
        path: The file.
        project: What to write.
        journal: Name of the journal that goes on from this file (`store.py`).
    """
    last = project.num_frames - 1
    content = {
        "format": FORMAT,
        "version": VERSION,
        "video": project.video,
        "size_hw": list(project.size_hw),
        "num_frames": project.num_frames,
        "next_id": project.next_id(),
        "journal": journal,
        "targets": [
            {
                "id": target.id,
                "name": target.name,
                "colour": target.colour,
                "rows": packed_rows(target, 0, last),
            }
            for target in project.targets.values()
        ],
    }
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, separators=(",", ":"))


def read_project(path: Path) -> tuple[Project, str]:
    """Return the project of a file, and the name of the journal that goes on from it.

    Raises:
        ResultFileError: The file is not a project of a known version; names the key.
    """
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise ResultFileError(
                f"{path} must be at most {MOST_FILE_BYTES} bytes, got {path.stat().st_size}"
            )
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ResultFileError(
            f"{path} must be a studio project in JSON, got: {error}; move it away"
        ) from error
    version = content.get("version") if isinstance(content, dict) else None
    if version not in (1, VERSION) or content.get("format") != FORMAT:
        raise ResultFileError(
            f"{path} must be a {FORMAT!r} project of version 1 or {VERSION}, got another file; move it away"
        )
    reader = _Reader(path)
    height, width = (
        reader.whole(side, "size_hw", 1, 1 << 20) for side in reader.listed(content, "size_hw", 2)
    )
    project = Project(
        str(content.get("video", "")),
        (height, width),
        reader.whole(content.get("num_frames"), "num_frames", 1, 100_000_000),
    )
    targets = []
    for each in reader.listed(content, "targets"):
        targets.append(reader.target(each, project))
        if version == 1:
            reader.put_entries(targets[-1], reader.listed(each, "entries"))
        else:
            reader.put_rows(targets[-1], 0, project.num_frames - 1, each.get("rows"))
    if len({target.id for target in targets}) < len(targets):
        raise ResultFileError(f"{path}: targets must have ids of their own, got the same id twice")
    project.restore(targets, reader.whole(content.get("next_id"), "next_id", 0, 1 << 31))
    return project, str(content.get("journal", ""))


def packed_rows(target: Target, first: int, last: int) -> str:
    """Return the rows of a range of frames as text."""
    return base64.b64encode(zlib.compress(encode_rows(target, first, last), 1)).decode("ascii")


def unpack_rows(target: Target, first: int, last: int, text: str) -> None:
    """Put rows that `packed_rows` wrote into a target.

    Raises:
        ValueError: The text is damaged, or holds more than fits the range.
    """
    most = ROW_BYTES * (last - first + 1)
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(base64.b64decode(text, validate=True), most + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"rows must be whole, got: {error}") from error
    if not unpacker.eof or len(content) > most:
        raise ValueError(f"rows must be whole and at most {most} bytes")
    decode_rows(target, first, last, content)


@dataclass(frozen=True)
class _Reader:
    """Values of a project's JSON, checked."""

    path: Path

    def whole(self, value: Any, key: str, least: int, most: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ResultFileError(f"{self.path}: {key} must be from {least} to {most}, got {value!r}")
        return value

    def listed(self, content: Any, key: str, length: int | None = None) -> list[Any]:
        value = content.get(key) if isinstance(content, Mapping) else None
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise ResultFileError(f"{self.path}: {key} must be a list, got {str(value)[:40]!r}")
        return value

    def target(self, content: Any, project: Project) -> Target:
        if not isinstance(content, Mapping):
            raise ResultFileError(f"{self.path}: a target must be an object, got {str(content)[:40]!r}")
        try:
            name, colour = clean_name(content.get("name")), clean_colour(content.get("colour"))
        except InputError as error:
            raise ResultFileError(f"{self.path}: {error}") from error
        target_id = self.whole(content.get("id"), "targets.id", 0, 1 << 31)
        return Target.empty(target_id, name, colour, project.num_frames)

    def put_rows(self, target: Target, first: int, last: int, text: Any) -> None:
        try:
            unpack_rows(target, first, last, text if isinstance(text, str) else "")
        except ValueError as error:
            raise ResultFileError(f"{self.path}: {error}; restore a copy of the file") from error

    def put_entries(self, target: Target, entries: list[Any]) -> None:
        """Put the rows of version 1: frame, kind, state, score and box in a list for each frame."""
        for row in entries:
            if not isinstance(row, list) or len(row) != 8:
                raise ResultFileError(f"{self.path}: an entry must hold 8 values, got {str(row)[:60]!r}")
            frame = self.whole(row[0], "an entry's frame", 0, len(target.kinds) - 1)
            kind = Kind(self.whole(row[1], "an entry's kind", 1, max(Kind)))
            state = State(self.whole(row[2], "an entry's state", 0, max(State)))
            score, *box = (self._real(value) for value in row[3:])
            if kind != Kind.ABSENT and (np.isnan(box).any() or min(box[2:]) <= 0):
                raise ResultFileError(
                    f"{self.path}: frame {frame} must have a box of four numbers, got {row[4:]}"
                )
            target.put(frame, kind, None if kind == Kind.ABSENT else box, score, state)

    def _real(self, value: Any) -> float:
        if value is None:
            return float("nan")
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e9:
            raise ResultFileError(f"{self.path}: an entry must hold numbers, got {str(value)[:40]!r}")
        return float(value)

"""A project on disk: one JSON file, written whole or not at all, and checked value by value when it is read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from starktrack.errors import ResultFileError
from starktrack.files import atomic_write
from starktrack.studio.project import Kind, Project, State, Target, clean_colour, clean_name

FORMAT, VERSION = "starktrack studio", 1
SUFFIX = ".starktrack.json"
"""How the file of a project ends; it begins with the name of the video."""

MOST_FILE_BYTES = 1 << 30


def write_project(path: Path, project: Project) -> None:
    """Write a project as JSON, whole or not at all."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "video": project.video,
        "size_hw": list(project.size_hw),
        "num_frames": project.num_frames,
        "next_id": project.next_id(),
        "targets": [
            {
                "id": target.id,
                "name": target.name,
                "colour": target.colour,
                "entries": target.entries(0, project.num_frames - 1),
            }
            for target in project.targets.values()
        ],
    }
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, separators=(",", ":"))


def read_project(path: Path) -> Project:
    """Return the project of a file.

    Raises:
        ResultFileError: The file is not a project of this version; names the key.
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
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise ResultFileError(
            f"{path} must be a {FORMAT!r} project of version {VERSION}, got another file; move it away"
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
    targets = [_read_target(reader, each, project) for each in reader.listed(content, "targets")]
    if len({target.id for target in targets}) < len(targets):
        raise ResultFileError(f"{path}: targets must have ids of their own, got the same id twice")
    project.restore(targets, reader.whole(content.get("next_id"), "next_id", 0, 1 << 31))
    return project


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


def _read_target(reader: _Reader, content: Any, project: Project) -> Target:
    entries = reader.listed(content, "entries")
    target = Target.empty(
        reader.whole(content.get("id"), "targets.id", 0, 1 << 31),
        clean_name(content.get("name")),
        clean_colour(content.get("colour")),
        project.num_frames,
    )
    for row in entries:
        if not isinstance(row, list) or len(row) != 8:
            raise ResultFileError(f"{reader.path}: an entry must hold 8 values, got {str(row)[:60]!r}")
        frame = reader.whole(row[0], "an entry's frame", 0, project.num_frames - 1)
        kind = Kind(reader.whole(row[1], "an entry's kind", 1, max(Kind)))
        state = State(reader.whole(row[2], "an entry's state", 0, max(State)))
        score, *box = (_real(value, reader.path) for value in row[3:])
        if kind != Kind.ABSENT and (np.isnan(box).any() or min(box[2:]) <= 0):
            raise ResultFileError(
                f"{reader.path}: frame {frame} must have a box of four numbers, got {row[4:]}"
            )
        target.put(frame, kind, None if kind == Kind.ABSENT else box, score, state)
    return target


def _real(value: Any, path: Path) -> float:
    if value is None:
        return float("nan")
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e9:
        raise ResultFileError(f"{path}: an entry must hold numbers, got {str(value)[:40]!r}")
    return float(value)

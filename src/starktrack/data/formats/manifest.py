"""Manifests: a list of videos to track, with their targets, as CSV, JSON lines or Parquet; every row is checked."""

import csv
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

from starktrack.data.frames import local_path
from starktrack.errors import InputError, MissingExtraError, nearest_name

COLUMNS = ("video", "boxes", "start", "end", "direction", "label", "id")
"""In any order; the first two are required."""

Direction = Literal["forward", "backward"]

SHOWN_ERRORS = 20
"""Rows that one message names; it counts the others."""

_LONGEST_ID = 200
"""Bytes; the rest of a file name is room for a suffix and for what is half written."""

_NUMBERS = re.compile(r"[\d\s.,;+-]*")
"""Boxes; anything with a letter or a slash is a file, and `1e2` and `nan` are checked as numbers first."""


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """A video to track.

    Attributes:
        id: Unique in the manifest; the result file is named after it.
        video: A path, or an address such as `s3://bucket/dog.mp4`, as the manifest has it.
        boxes: The targets on frame `start`, `x,y,w,h` separated by `;`, or the name of a file of annotations.
        start: The frame in which the boxes lie, from 0. With a file of annotations each target starts in the first
            frame from here on in which it has a box.
        end: The frame at which to stop, itself not tracked; None for the end of the video, or for frame 0 and
            backwards.
        direction: From `start` towards the end of the video, or towards its beginning.
        label: What the targets are; empty where the manifest does not say.
    """

    id: str
    video: str
    boxes: str
    start: int = 0
    end: int | None = None
    direction: Direction = "forward"
    label: str = ""

    @property
    def content(self) -> list[Any]:
        """Return what decides the result of the row, as JSON values: all but its id."""
        return [self.video, self.boxes, self.start, self.end, self.direction, self.label]

    @property
    def boxes_xywh(self) -> tuple[tuple[float, ...], ...] | None:
        """Return the boxes; None where they lie in a file."""
        return _boxes(self.boxes)


def read_manifest(path: str | Path) -> list[ManifestRow]:
    r"""Return the rows of a manifest.

    Args:
        path: Ends in `.csv`, `.jsonl` (or `.ndjson`) or `.parquet`. An empty cell, null, or a column that is not
            there stands for the default.

    Raises:
        InputError: The file cannot be read, or has bad rows: each is named with its number, from 1.
        MissingExtraError: Parquet is read by pyarrow, which is not installed.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "videos.csv"
        ...     _ = file.write_text('video,boxes,id\ndog.mp4,"231,38,59,47",dog\n')
        ...     read_manifest(file)
        [ManifestRow(id='dog', video='dog.mp4', boxes='231,38,59,47', start=0, end=None, direction='forward', label='')]
    """
    path = Path(path)
    readers = {".csv": _read_csv, ".jsonl": _read_json_lines, ".ndjson": _read_json_lines}
    reader = {**readers, ".parquet": _read_parquet}.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"a manifest must end in .csv, .jsonl, .ndjson or .parquet, got {path.name!r}")
    rows: list[ManifestRow] = []
    errors: list[str] = []
    by_id: dict[str, int] = {}
    number = 0
    try:
        for number, found in enumerate(reader(path), start=1):
            try:
                row = _row(found)
                if row.id in by_id:
                    raise _BadRowError(
                        f"id must differ from those of other rows, got {row.id!r} of row {by_id[row.id]} again; "
                        "give another, or remove a row that is there twice"
                    )
            except _BadRowError as error:
                errors.append(f"row {number}: {error}")
            else:
                by_id[row.id] = number
                rows.append(row)
    except OSError as error:
        raise InputError(f"{path} must be a manifest that can be read, got: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be text in UTF-8, got other bytes after row {number}") from error
    if errors:
        more = len(errors) - SHOWN_ERRORS
        shown = [*errors[:SHOWN_ERRORS], *([f"and {more} more"] if more > 0 else [])]
        wrong = "1 row is" if len(errors) == 1 else f"{len(errors)} rows are"
        raise InputError(
            f"{path} must hold good rows only, {wrong} not:\n" + "\n".join(f"  {each}" for each in shown)
        )
    if not rows:
        raise InputError(f"{path} must hold at least one row, got none")
    return rows


class _BadRowError(Exception):
    """What is wrong with a row, without its number."""


def _read_csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        try:
            names = next(lines, [])
            _check_columns(path, names)
            for cells in lines:
                if not cells:
                    continue
                if len(cells) != len(names):
                    yield {
                        "": f"a row must have {len(names)} cells as the first line, got {len(cells)} in line "
                        f"{lines.line_num}; put boxes in double quotes"
                    }
                else:
                    yield {name: cell for name, cell in zip(names, cells, strict=True) if cell.strip()}
        except csv.Error as error:
            raise InputError(f"{path} line {lines.line_num} must be CSV, got: {error}") from error


def _read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            # A number of thousands of digits is a ValueError that is no JSONDecodeError.
            except (ValueError, RecursionError) as error:
                yield {"": f"a line must be one JSON object, got {line.strip()!r:.60} ({error})"}
                continue
            if not isinstance(found, dict):
                yield {"": f"a line must be one JSON object, got {line.strip()!r:.60}"}
                continue
            unknown = next((name for name in found if name not in COLUMNS), None)
            if unknown is not None:
                yield {"": f"unknown key {unknown!r}{nearest_name(unknown, COLUMNS)}"}
            else:
                yield {name: value for name, value in found.items() if value not in (None, "")}


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", "reading a Parquet manifest") from error
    try:
        with parquet.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names)
            for batch in file.iter_batches():
                for found in batch.to_pylist():
                    yield {name: value for name, value in found.items() if value not in (None, "")}
    except ArrowException as error:
        raise InputError(f"{path} must be a Parquet file, got: {error}") from error


def _check_columns(path: Path, names: Iterable[str]) -> None:
    names = list(names)
    unknown = next((name for name in names if name not in COLUMNS), None)
    if unknown is not None:
        raise InputError(f"{path} has an unknown column {unknown!r}{nearest_name(unknown, COLUMNS)}")
    missing = [name for name in COLUMNS[:2] if name not in names]
    if missing or len(set(names)) < len(names):
        wrong = f"no column {missing[0]!r}" if missing else "one twice"
        raise InputError(f"{path} must have the columns video and boxes, and each column once, got {wrong}")


def _row(found: dict[str, Any]) -> ManifestRow:
    if "" in found:
        raise _BadRowError(found[""])
    texts = {name: _text(found, name) for name in ("video", "boxes", "direction", "label", "id")}
    for name in ("video", "boxes"):
        if not texts[name]:
            raise _BadRowError(f"{name} must be given, got nothing")
    direction = texts["direction"] or "forward"
    if direction not in ("forward", "backward"):
        raise _BadRowError(f"direction must be forward or backward, got {direction!r}")
    if "\0" in texts["video"]:
        raise _BadRowError(f"video must be a path or an address, got {texts['video']!r}")
    start, end = (_frame(found, name) for name in ("start", "end"))
    if direction == "backward" and start is None:
        raise _BadRowError("start must be given where direction is backward, got nothing")
    first = start or 0
    if end is not None and (end <= first if direction == "forward" else end >= first):
        side = "after" if direction == "forward" else "before"
        raise _BadRowError(f"end must lie {side} start {first} where direction is {direction}, got {end}")
    _check_boxes(texts["boxes"])
    row = ManifestRow(
        texts["id"], texts["video"], texts["boxes"], first, end, cast(Direction, direction), texts["label"]
    )
    if row.id:
        _check_id(row.id)
        return row
    return ManifestRow(_id_of(row), *row.content)


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name, "")
    if name == "id" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise _BadRowError(f"{name} must be text, got {value!r:.60}")
    if re.search("[\ud800-\udfff]", value):
        raise _BadRowError(f"{name} must be text that UTF-8 can hold, got {value!r:.60}; rename it")
    return value.strip()


def _frame(found: dict[str, Any], name: str) -> int | None:
    value = found.get(name)
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        value = int(value) if len(value) < 20 else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of numbers with empty cells is one of floats to most writers
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _BadRowError(f"{name} must be a frame, a whole number from 0 on, got {value!r:.60}")
    return value


def _boxes(text: str) -> tuple[tuple[float, ...], ...] | None:
    """Return the numbers of boxes, however many each has; None for the name of a file."""
    try:
        return tuple(tuple(map(float, box.split(","))) for box in text.strip(";").split(";"))
    except ValueError:
        return None


def _check_boxes(text: str) -> None:
    boxes = _boxes(text)
    if boxes is None:
        if _NUMBERS.fullmatch(text):
            raise _BadRowError(f"boxes must be x,y,w,h, several separated by ;, or a file, got {text!r:.60}")
        if "://" in text or "\0" in text:
            raise _BadRowError(
                f"boxes must be numbers or a file on disk, got {text!r:.60}; write x,y,w,h, or download the file"
            )
        return
    for box in boxes:
        if len(box) != 4 or not all(map(math.isfinite, box)):
            raise _BadRowError(
                f"each box must be four finite numbers x,y,w,h, got {','.join(f'{v:g}' for v in box)!r:.60}; "
                "separate boxes by ;"
            )
        if min(box[2:]) < 1:
            raise _BadRowError(
                f"a box must be at least 1 pixel wide and high, got {','.join(f'{v:g}' for v in box)}; "
                "multiply shares of the frame by its size"
            )


def _check_id(name: str) -> None:
    if name in (".", "..") or re.search(r"[/\\\x00-\x1f]", name) or name.startswith("."):
        raise _BadRowError(
            f"id must be a file name without / and \\ that begins with no dot, got {name!r:.60}; the result is "
            "named after it"
        )
    if len(name.encode()) > _LONGEST_ID:
        raise _BadRowError(
            f"id must have at most {_LONGEST_ID} bytes, got {len(name.encode())}; choose a shorter one"
        )


def _id_of(row: ManifestRow) -> str:
    """Return the id of a row without one: the same wherever it stands in whatever manifest."""
    path = local_path(row.video)
    name = (path or PurePosixPath(row.video.split("?")[0])).stem
    digest = hashlib.sha256(json.dumps(row.content).encode()).hexdigest()
    return f"{re.sub(r'[^0-9A-Za-z_-]+', '_', name)[:80].strip('_') or 'video'}-{digest[:10]}"

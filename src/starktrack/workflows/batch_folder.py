"""The folder of a batch: a result file a row, what is done, what failed, and a summary.

```text
OUT/
    batch.json        what the latest run tracked with
    tracks/ID.csv     where every target is in every frame, a file (or folder) a row
    failed/ID.txt     what was raised, until the row is done
    journal.jsonl     a line a row that ended; a row whose last line is here with its key is not done again
    summary.csv       a line a row of the manifest, written at the end; .parquet beside it where asked for
```

Only the driver writes. A row's file is moved to its place whole, and only then is its line added to the journal. So
whatever stops the driver, a row is done, or is done again with the same result.
"""

import csv
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from starktrack.data.formats.manifest import ManifestRow
from starktrack.data.formats.result_files import ResultWriter
from starktrack.errors import InputError, require_extra
from starktrack.files import atomic_write, discard_all_leftovers, named_write, remove
from starktrack.interchange.format import Format
from starktrack.interchange.recording import TrackRecorder
from starktrack.interchange.registry import format_named
from starktrack.workflows.batch_worker import RowResult

OWN_FORMATS = ("csv", "json", "txt")

_OF_TARGET = re.compile(r"(?P<stem>.+)_(?P<target>0|[1-9][0-9]*)")
"""Stem of a file of one target, where a row has several and its format holds one."""


@dataclass(frozen=True)
class RowSummary:
    """How a row ended.

    Attributes:
        id: The row's.
        video: As the manifest has it.
        label: As the manifest has it.
        state: `done`, `failed`, or `open` where the batch was stopped before.
        frames: Frames tracked.
        targets: Targets in them.
        seconds: What the row took, reading included.
        decode_seconds: Of it or beside it, reading and decoding.
        lost_share: Share of the boxes with a state that are lost; None without a score.
        mean_score: None without a score.
        tries: Which try ended so.
        file: The result, from the batch's folder.
        error: Why there is none.
    """

    id: str
    video: str
    label: str
    state: str = "open"
    frames: int = 0
    targets: int = 0
    seconds: float = 0.0
    decode_seconds: float = 0.0
    lost_share: float | None = None
    mean_score: float | None = None
    tries: int = 0
    file: str = ""
    error: str = ""


class BatchFolder:
    """The folder of one batch, held by one driver at a time; use it in a `with` block.

    Args:
        path: Is created where it is not there.
        identity: What decides the results besides the rows, as JSON values.
        format: Name of the results' format: `csv`, `json` or `txt` as `track` writes them, or an annotation format.

    Raises:
        InputError: It cannot be written to, or another batch is at work there.
        AnnotationError: There is no such format.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], format: str = "csv") -> None:
        self.path = path
        self._identity = json.dumps({**identity, "format": format}, sort_keys=True)
        self._format: Format | None = None if format in OWN_FORMATS else format_named(format)
        suffixes = [f".{format}"] if self._format is None else list(self._format.suffixes)
        self._suffix = "" if "" in suffixes else suffixes[0]
        self._is_of_one_target = (
            format == "txt" if self._format is None else "several targets" not in self._format.keeps
        )
        self._keys: dict[str, str] = {}
        try:
            for folder in (path / "tracks", path / "failed"):
                folder.mkdir(parents=True, exist_ok=True)
            self._journal: IO[str] = (path / "journal.jsonl").open("a+", encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(
                f"a batch must go to a folder you may write to, got {path}: {error.strerror}"
            ) from error
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._journal.close()
            raise InputError(
                f"one batch at a time may write to {path}, got a second; wait for the other, or choose another folder"
            ) from error
        self._ended = self._read_journal()
        with atomic_write(path / "batch.json") as partial:
            partial.write_text(json.dumps(json.loads(self._identity), indent=1) + "\n", encoding="utf-8")

    def __enter__(self) -> "BatchFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the folder to others."""
        self._journal.close()

    def key(self, row: ManifestRow, base: Path) -> str:
        """Return the digest of what decides the result of a row: its content, a file of boxes, the weights."""
        boxes = None
        if row.boxes_xywh is None:
            boxes = _digest_of(base / row.boxes)
        return hashlib.sha256(json.dumps([row.content, boxes, self._identity]).encode()).hexdigest()

    def unfinished(self, rows: Sequence[ManifestRow], base: Path) -> list[ManifestRow]:
        """Return the rows that are not done, and remove what earlier runs left of them.

        That is what a killed driver left half written, and results of other content, boxes or weights. Results in
        other formats stay. The keys are those of now: boxes that change during the run are tracked again by the
        next.

        Raises:
            InputError: Two rows would write one file, or what is to be removed cannot be.
        """
        self._check_places(rows)
        discard_all_leftovers(self.path / "tracks")
        discard_all_leftovers(self.path / "failed")
        there = {entry.name for entry in os.scandir(self.path / "tracks")}
        left = []
        for row in rows:
            key = self._keys[row.id] = self.key(row, base)
            ended = self._ended.get(row.id)
            is_done = (
                ended is not None
                and ended["state"] == "done"
                and Path(ended["file"]).name in there
                and ended["key"] == key
            )
            if not is_done:
                left.append(row)
        self._remove_results(left, there)
        return left

    def _check_places(self, rows: Sequence[ManifestRow]) -> None:
        if not self._is_of_one_target:
            return
        by_place = {self._place(row.id).name: row for row in rows}
        for row in rows:
            place = self._place(row.id)
            found = _OF_TARGET.fullmatch(place.stem)
            other = by_place.get(found["stem"] + place.suffix) if found else None
            if found is None or other is None:
                continue
            boxes = other.boxes_xywh
            if boxes is None or int(found["target"]) < len(boxes) > 1:
                raise InputError(
                    f"rows must write files of their own, got {row.id!r}, whose {place.name} is that of target "
                    f"{found['target']} of {other.id!r} too; change one id, or choose a format of several targets"
                )

    def _remove_results(self, rows: Sequence[ManifestRow], there: Iterable[str]) -> None:
        """Remove what these rows have in the folder's format, so that none of it is taken for a new result."""
        old = [self._ended.pop(row.id) for row in rows if row.id in self._ended]
        with named_write(self.path / "journal.jsonl"):
            # First the journal: a new file in the place of an old one must not be taken for the old one.
            for ended in old:
                if ended["state"] == "done":
                    line = {"id": ended["id"], "state": "open", "key": ""}
                    self._journal.write(json.dumps(line) + "\n")
            self._sync_journal()
        places = {self._place(row.id).name for row in rows}
        others = {Path(ended["file"]).name for ended in self._ended.values() if ended["state"] == "done"}
        for name in there:
            path = self.path / "tracks" / name
            found = _OF_TARGET.fullmatch(path.stem) if self._is_of_one_target else None
            is_theirs = name in places or (found is not None and found["stem"] + path.suffix in places)
            if is_theirs and name not in others and path.is_dir() == (not self._suffix):
                with named_write(path):
                    remove(path)

    def keep(self, row: ManifestRow, result: RowResult, tries: int) -> RowSummary:
        """Write the result of a row; from then on it is done.

        Raises:
            InputError: It cannot be written.
        """
        place = self._place(row.id)
        rows = result.rows
        if self._format is None:
            writer: ResultWriter | TrackRecorder = ResultWriter(place)
        else:
            writer = TrackRecorder(
                place,
                self._format,
                labels=result.labels,
                name=Path(row.video).name,
                size_hw=result.size_hw,
                frame_rate=result.frame_rate,
            )
        with writer:
            for output in rows:
                writer.write(output)
        scores = rows.scores[~np.isnan(rows.scores)]
        summary = RowSummary(
            row.id,
            row.video,
            row.label,
            "done",
            result.frames,
            len(np.unique(rows.values[:, 1])),
            round(result.seconds, 4),
            round(result.decode_seconds, 4),
            round(rows.lost_share, 6) if len(scores) else None,
            round(float(scores.mean()), 6) if len(scores) else None,
            tries,
            str(writer.paths[0].relative_to(self.path)),
        )
        self._add(summary)
        (self.path / "failed" / f"{row.id}.txt").unlink(missing_ok=True)
        return summary

    def fail(self, row: ManifestRow, reason: str, trace: str, tries: int) -> RowSummary:
        """Keep why a row failed.

        Raises:
            InputError: It cannot be written.
        """
        with atomic_write(self.path / "failed" / f"{row.id}.txt") as partial:
            partial.write_text(trace, encoding="utf-8")
        summary = RowSummary(row.id, row.video, row.label, "failed", tries=tries, error=reason)
        self._add(summary)
        return summary

    def summaries(self, rows: Iterable[ManifestRow]) -> list[RowSummary]:
        """Return how the rows ended, in their order."""
        names = [each.name for each in fields(RowSummary)]
        found = []
        for row in rows:
            ended = {name: value for name, value in self._ended.get(row.id, {}).items() if name in names}
            found.append(replace(RowSummary(row.id, row.video, row.label), **ended))
        return found

    def write_summary(self, summaries: Sequence[RowSummary], *, as_parquet: bool = False) -> Path:
        """Write the summary as CSV, and as Parquet beside it where that is wanted; return where the CSV is.

        Raises:
            InputError: It cannot be written.
            MissingExtraError: Parquet is written by pyarrow, which is not installed.
        """
        names = [each.name for each in fields(RowSummary)]
        with (
            atomic_write(self.path / "summary.csv") as partial,
            partial.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.DictWriter(file, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(vars(each) for each in summaries)
        if as_parquet:
            require_extra("parquet", "a Parquet summary", "pyarrow")
            import pyarrow
            from pyarrow import parquet

            kinds = {"str": pyarrow.string(), "int": pyarrow.int64(), "float": pyarrow.float64()}
            schema = pyarrow.schema(
                [
                    (each.name, kinds[str(getattr(each.type, "__name__", each.type)).split(" ")[0]])
                    for each in fields(RowSummary)
                ]
            )
            with atomic_write(self.path / "summary.parquet") as partial:
                parquet.write_table(
                    pyarrow.Table.from_pylist([vars(each) for each in summaries], schema), partial
                )
        return self.path / "summary.csv"

    def _place(self, name: str) -> Path:
        return self.path / "tracks" / f"{name}{self._suffix}"

    def _add(self, summary: RowSummary) -> None:
        ended = {**vars(summary), "key": self._keys[summary.id]}
        with named_write(self.path / "journal.jsonl"):
            self._journal.write(json.dumps(ended) + "\n")
            self._sync_journal()
        self._ended[summary.id] = ended

    def _sync_journal(self) -> None:
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def _read_journal(self) -> dict[str, dict[str, Any]]:
        """Return the last line of every row; a line that was cut by a kill is passed over."""
        self._journal.seek(0)
        text = self._journal.read()
        found: dict[str, dict[str, Any]] = {}
        for line in text.split("\n"):  # other line ends of Unicode stand in labels of older journals
            try:
                ended = json.loads(line)
                found[ended["id"]] = {"file": "", **ended, "key": ended["key"], "state": ended["state"]}
            except (ValueError, KeyError, TypeError):
                continue
        if text and not text.endswith("\n"):
            self._journal.write("\n")
        return found


def _digest_of(path: Path) -> str | None:
    """Return the digest of a file, or of the names, sizes and times of what is in a folder; None without either."""
    try:
        if path.is_dir():
            inside = [
                (each.name, each.stat().st_size, each.stat().st_mtime_ns) for each in sorted(path.rglob("*"))
            ]
            return hashlib.sha256(json.dumps(inside).encode()).hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None

"""The package's own result files: a table of all targets as CSV, JSON or JSON lines."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from starktrack.data.formats.result_files import COLUMNS, ResultWriter
from starktrack.data.track_output import TargetState, TrackOutput
from starktrack.interchange.building import TrackBuilder, VideoInfo, rectangle
from starktrack.interchange.format import Format
from starktrack.interchange.tracks import Observation, VideoTracks
from starktrack.interchange.values import Value, json_value, read_json, read_text

_NEEDED = ("frame", "target", "x", "y", "w", "h")
_STATES = {str(state): state for state in TargetState}
_KEEPS = frozenset({"several targets", "ids", "scores", "times"})


def read_results(path: Path, info: VideoInfo) -> VideoTracks:
    """Return the tracks of a result file; rows without a box are frames without the target."""
    builder = TrackBuilder()
    for row in _ROWS[path.suffix.lower()](path):
        builder.target(row["target"].integer(0))
        if row.get("x") is None:
            continue
        box = [row[name].number() for name in ("x", "y", "w", "h")]
        seconds, score = row.get("seconds"), row.get("score")
        observation = Observation(
            row["frame"].frame(),
            rectangle(*box),
            seconds=None if seconds is None else seconds.number(),
            score=None if score is None else score.number(0, 1),
            attributes=_further(row),
        )
        builder.add(row["target"].integer(0), observation, row.where)
    return builder.build(frame_rate=info.frame_rate)


def write_results(path: Path, video: VideoTracks) -> None:
    """Write the rows frame by frame; attributes other than those of our columns are left out."""
    with ResultWriter(path) as writer:
        for frame, targets in video.by_frame():
            for track, seen in targets:
                writer.write(
                    TrackOutput(
                        target_id=track.id,
                        frame_index=frame,
                        seconds=seen.seconds,
                        box_xywh=np.array(seen.box_xywh, np.float64),
                        score=seen.score,
                        state=_STATES.get(seen.attributes.get("state", "")),
                        template_updated=seen.attributes.get("template_updated") == "true",
                    )
                )


def _further(row: Value) -> dict[str, str]:
    updated, state = row.get("template_updated"), row.get("state")
    found = {"template_updated": "true"} if updated is not None and updated.flag() else {}
    return found if state is None else {**found, "state": state.text()}


def _csv_rows(path: Path) -> Iterator[Value]:
    lines = read_text(path).splitlines()
    rows = csv.reader(lines)
    header = next(rows, [])
    for row in rows:
        where = f"{path} line {rows.line_num}:"
        if len(row) != len(header):
            raise Value(",".join(row), where).wrong(f"hold {len(header)} values as its header")
        yield Value({name: word or None for name, word in zip(header, row, strict=True)}, where)


def _json_rows(path: Path) -> Iterator[Value]:
    return iter(read_json(path).items())


def _json_line_rows(path: Path) -> Iterator[Value]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield json_value(line, f"{path} line {number}:")


_ROWS = {".csv": _csv_rows, ".json": _json_rows, ".jsonl": _json_line_rows}


def _is_csv(path: Path, content: Value | None) -> bool:
    if path.suffix.lower() != ".csv":
        return False
    header = read_text(path).partition("\n")[0].strip().split(",")
    return set(_NEEDED) <= set(header)


def _is_json(path: Path, content: Value | None) -> bool:
    rows = content.raw if content is not None else None
    return (
        isinstance(rows, list) and bool(rows) and isinstance(rows[0], dict) and set(_NEEDED) <= set(rows[0])
    )


def _is_json_lines(path: Path, content: Value | None) -> bool:
    return path.suffix.lower() == ".jsonl"


_NOTE = "Of further attributes `state` and `template_updated` alone."
_RULES = (
    0,
    "pixels, 0-based",
    _NOTE,
    "docs/annotations.md: the columns " + ", ".join(COLUMNS),
    read_results,
    write_results,
)
_OWN = frozenset({"state", "template_updated"})
CSV = Format("csv", "starktrack CSV", (".csv",), _KEEPS, *_RULES, _is_csv, _OWN)
JSON = Format("json", "starktrack JSON", (".json",), _KEEPS, *_RULES, _is_json, _OWN)
JSON_LINES = Format("jsonl", "starktrack JSON lines", (".jsonl",), _KEEPS, *_RULES, _is_json_lines, _OWN)

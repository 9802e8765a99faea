"""YOLO: a text file for each frame, a line for each target, in shares of the frame.

Convention: `class centre-x centre-y width height` is written, because trainers take longer lines for polygons.
Ids and scores of the lines are in `tracks.json` beside the folder `labels`, which only this package reads.
Lines of other tools may end in `[score] [id]`. A sixth value is an id where all of the folder are whole
numbers, else a score; of seven values the last is the id. Nine values or more, an odd number, are a class
and a polygon. Names of classes are in `classes.txt`, `obj.names` or `data.yaml`.
"""

import json
import re
from collections import deque
from pathlib import Path

from starktrack.errors import AnnotationError
from starktrack.files import atomic_folder
from starktrack.interchange.building import (
    LabelCounter,
    TrackBuilder,
    VideoInfo,
    every_frame,
    frame_files,
    frame_name,
    polygon,
    rectangle,
)
from starktrack.interchange.format import Format
from starktrack.interchange.tracks import Observation, VideoTracks
from starktrack.interchange.values import Value, read_json, read_text

_LABELS = "labels"
_TRACKS = "tracks.json"
_NAMES = ("classes.txt", "obj.names", "data.yaml")


def read_yolo(path: Path, info: VideoInfo) -> VideoTracks:
    """Return the targets of a folder of text files, or of one with such a folder `labels`.

    The size of the frames must be given. Ids and scores come from `tracks.json` or from the lines; boxes
    without ids are told apart by label and order.
    """
    height, width = info.required_size(str(path))
    folder = path / _LABELS if (path / _LABELS).is_dir() else path
    names = _class_names(path, folder)
    files = {
        frame: file for frame, file in frame_files(folder, ".txt", info).items() if file.name not in _NAMES
    }
    known = _tracks_of_lines(folder, files)
    lines = [
        (frame, f"{file} line {number}", line.split())
        for frame, file in files.items()
        for number, line in enumerate(read_text(file).splitlines(), start=1)
        if line.strip()
    ]
    sixth_is_id = all(words[5].isdecimal() for _, _, words in lines if len(words) == 6)
    builder, counters = TrackBuilder(), {frame: LabelCounter() for frame in files}
    for frame, where, words in lines:
        if len(words) < 5 or (len(words) > 7 and len(words) % 2 == 0):
            raise Value(" ".join(words), where).wrong(
                "hold class x y w h [score] [id], or class and a polygon"
            )
        values = [Value(word, where) for word in words]
        number = values[0].integer(0)
        if names and number >= len(names):
            raise values[0].wrong(f"name one of the {len(names)} classes, counted from 0")
        label = names[number] if names else words[0]
        shares = [value.number(-10, 10) for value in (values[1:5] if len(words) <= 7 else values[1:])]
        has_id = len(words) == 7 or (len(words) == 6 and sixth_is_id)
        if len(words) > 7:
            points = [share * (height if index % 2 else width) for index, share in enumerate(shares)]
            shape, score = polygon(points, values[0]), None
        else:
            x, y, w, h = shares[0] * width, shares[1] * height, shares[2] * width, shares[3] * height
            shape = rectangle(x - w / 2, y - h / 2, w, h)
            score = values[5].number(0, 1) if len(words) == 7 or (len(words) == 6 and not has_id) else None
        key = values[-1].integer(0) if has_id else counters[frame].key(label)
        if known is not None:
            key, score = _next_track(known, frame, number, values[0])
        builder.add(key, Observation(frame, shape, score=score), where, label)
    return builder.build(size_hw=info.size_hw, num_frames=max(files) + 1, frame_rate=info.frame_rate)


def write_yolo(path: Path, video: VideoTracks) -> None:
    """Write `labels/frame_NNNNNN.txt` for each frame, `classes.txt`, `data.yaml` and `tracks.json`."""
    height, width = VideoInfo(video.size_hw).required_size("YOLO")
    names = video.labels
    tracks: dict[str, list[dict[str, int | float]]] = {}
    with atomic_folder(path, "a folder of annotations") as folder:
        (folder / _LABELS).mkdir()
        for frame, targets in every_frame(video):
            lines, entries = [], []
            for track, seen in targets:
                number = names.index(track.label)
                x, y, w, h = seen.box_xywh
                box = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
                lines.append(" ".join([str(number), *(f"{share:.8f}" for share in box)]) + "\n")
                score = {} if seen.score is None else {"score": round(seen.score, 6)}
                entries.append({"class": number, "id": track.id, **score})
            if entries:
                tracks[frame_name(frame)] = entries
            (folder / _LABELS / f"{frame_name(frame)}.txt").write_text("".join(lines), encoding="utf-8")
        (folder / _TRACKS).write_text(json.dumps({"lines": tracks}), encoding="utf-8")
        lines = [" ".join(name.split()) + "\n" for name in names]
        (folder / "classes.txt").write_text("".join(lines), encoding="utf-8")
        table = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(names))
        (folder / "data.yaml").write_text(
            f"path: .\ntrain: images\nval: images\nnames:\n{table}", encoding="utf-8"
        )


def _tracks_of_lines(folder: Path, files: dict[int, Path]) -> dict[int, deque[Value]] | None:
    """Return what `tracks.json` says of the lines of each frame, in their order, or None where there is none."""
    path = folder.parent / _TRACKS
    if folder.name != _LABELS or not path.is_file():
        return None
    lines = read_json(path)["lines"]
    tracks = {}
    for frame, file in files.items():
        entries = lines.get(file.stem)
        tracks[frame] = deque(entries.items() if entries else [])
        found = sum(bool(line.strip()) for line in read_text(file).splitlines())
        if len(tracks[frame]) != found:
            raise AnnotationError(
                f"{path} must have an entry for each line of {file}, got {len(tracks[frame])} for {found}; "
                f"remove {_TRACKS} if lines were added or removed"
            )
    return tracks


def _next_track(
    tracks: dict[int, deque[Value]], frame: int, number: int, where: Value
) -> tuple[int, float | None]:
    """Return id and score of the next line of a frame, which is of this class."""
    entry = tracks[frame].popleft()
    if entry["class"].integer(0) != number:
        raise where.wrong(f"be the class of {entry.where} (remove {_TRACKS} if lines were moved)")
    score = entry.get("score")
    return entry["id"].integer(0), None if score is None else score.number(0, 1)


def _class_names(path: Path, folder: Path) -> list[str]:
    for place in dict.fromkeys((path, folder, folder.parent)):
        for name in _NAMES:
            file = place / name
            if file.is_file() and name.endswith(".yaml"):
                return _yaml_names(file)
            if file.is_file():
                return [line.strip() for line in read_text(file).splitlines() if line.strip()]
    return []


def _yaml_names(path: Path) -> list[str]:
    """Return `names` of a data.yaml: a list, or numbers with names, on one line or one a line."""
    text = read_text(path)
    found = re.search(r"^names:[ \t]*(.*)$", text, re.MULTILINE)
    if found is None:
        return []
    words = found[1].partition(" #")[0].strip()
    if words:
        words = words.strip("[]{}")
        entries = [
            entry for entry in re.split(r",(?=(?:[^'\"]|'[^']*'|\"[^\"]*\")*$)", words) if entry.strip()
        ]
    else:
        rest = text[found.end() :].lstrip("\n").split("\n")
        entries = []
        for line in rest:
            if line.strip() and not re.match(r"\s+\S|-", line):
                break
            if line.strip():
                entries.append(line.strip().removeprefix("-"))
    names = [re.sub(r"^\s*\d+\s*:", "", entry).strip() for entry in entries]
    return [_unquoted(name, path) for name in names]


def _unquoted(name: str, path: Path) -> str:
    if len(name) > 1 and name[0] == name[-1] == "'":
        return name[1:-1].replace("''", "'")
    if not name.startswith('"'):
        return name
    try:
        return str(json.loads(name))
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path} must hold names, plain or in quotes, got {name:.60}") from error


def _is_yolo(path: Path, content: Value | None) -> bool:
    if not path.is_dir():
        return False
    folder = path / _LABELS if (path / _LABELS).is_dir() else path
    return any(
        file.suffix == ".txt" and file.name not in _NAMES and re.search(r"\d", file.stem)
        for file in folder.iterdir()
    )


YOLO = Format(
    "yolo",
    "YOLO",
    ("",),
    frozenset({"several targets", "ids", "labels", "scores", "length"}),
    0,
    "shares of the frame",
    "Lines have five columns; ids and scores are in `tracks.json`, for this package alone. "
    "Reading needs the size of the frames. Polygons are read.",
    "https://docs.ultralytics.com/datasets/detect",
    read_yolo,
    write_yolo,
    _is_yolo,
)

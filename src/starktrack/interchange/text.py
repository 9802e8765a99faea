"""One target as lines of boxes: GOT-10k and OTB, a line for each frame.

Convention: a line of zeros or of NaN is a frame without the target. Several targets are written one a file or
folder, `NAME_ID`.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from starktrack.data.formats.format_error import named_errors
from starktrack.data.formats.number_text import parse_boxes, parse_numbers
from starktrack.errors import AnnotationError
from starktrack.files import atomic_folder
from starktrack.interchange.building import TrackBuilder, VideoInfo, places, rectangle
from starktrack.interchange.format import Format
from starktrack.interchange.tracks import Observation, Track, VideoTracks
from starktrack.interchange.values import Value, read_ini, read_text, write_text

GOT10K_FILE, OTB_FILE = "groundtruth.txt", "groundtruth_rect.txt"
_COVERS = 8
"""Steps of GOT-10k's cover: 0 is hidden, 8 is visible as a whole."""


def read_got10k(path: Path, info: VideoInfo) -> VideoTracks:
    """Return the target of `groundtruth.txt`, or of a folder with it and the labels beside it.

    `cover.label` gives the visible share, in eighths; `absence.label` the frames without the target;
    `meta_info.ini` the class, the frame rate and the size.
    """
    folder = path if path.is_dir() else None
    boxes = _boxes(path / GOT10K_FILE if folder else path)
    if folder is None:
        return _video(boxes, None, VideoInfo(), "")
    absent, covers = (
        _labels(folder / "absence.label", len(boxes)),
        _labels(folder / "cover.label", len(boxes)),
    )
    if absent is not None:
        boxes[absent > 0] = np.nan
    meta = read_ini(folder / "meta_info.ini", "METAINFO")
    rate, size, label = (meta.get(key) for key in ("anno_fps", "resolution", "object_class"))
    hertz = "" if rate is None else rate.raw.removesuffix("Hz").strip()
    known = VideoInfo(
        None if size is None else _size(size),
        Value(hertz, rate.where).number(0.001) if rate is not None and hertz else None,
    )
    label_text = "" if label is None else label.raw
    return _video(boxes, None if covers is None else covers / _COVERS, known, label_text)


def read_otb(path: Path, info: VideoInfo) -> VideoTracks:
    """Return the target of `groundtruth_rect.txt`, or of a folder with it; coordinates are 1-based."""
    boxes = _boxes(path / OTB_FILE if path.is_dir() else path)
    boxes[:, :2] -= 1
    return _video(boxes, None, VideoInfo(), "")


def write_got10k(path: Path, video: VideoTracks) -> None:
    """Write a file `.txt` of boxes, or a folder with boxes and labels; several targets one each."""
    for track, place in places(path, video):
        lines = _lines(track, video.length, 0)
        if path.suffix.lower() == ".txt":
            write_text(place, lines)
            continue
        with atomic_folder(place, "a folder of annotations") as folder:
            write_got10k_labels(folder, track, video)


def write_got10k_labels(folder: Path, track: Track, video: VideoTracks) -> None:
    """Write what GOT-10k has beside the frames of a target: boxes, absence, cover where there is any, and the class."""
    (folder / GOT10K_FILE).write_text(_lines(track, video.length, 0), encoding="utf-8")
    seen = [track.at(frame) for frame in range(video.length)]
    _write_labels(folder / "absence.label", [int(each is None) for each in seen])
    if any(each.visibility is not None for each in seen if each):
        shares = [
            0.0 if each is None else 1.0 if each.visibility is None else each.visibility for each in seen
        ]
        _write_labels(folder / "cover.label", [round(share * _COVERS) for share in shares])
    (folder / "meta_info.ini").write_text(_meta_text(track, video), encoding="utf-8")


def write_otb(path: Path, video: VideoTracks) -> None:
    """Write a file `.txt` of 1-based boxes, or a folder with `groundtruth_rect.txt`; several targets one each."""
    for track, place in places(path, video):
        lines = _lines(track, video.length, 1)
        if path.suffix.lower() == ".txt":
            write_text(place, lines)
        else:
            with atomic_folder(place, "a folder of annotations") as folder:
                (folder / OTB_FILE).write_text(lines, encoding="utf-8")


def _boxes(path: Path) -> np.ndarray:
    with named_errors(str(path), AnnotationError):
        boxes = parse_boxes(read_text(path))
    boxes[~(boxes[:, 2:] > 0).all(axis=1)] = np.nan
    return boxes


def _video(boxes: np.ndarray, visibility: np.ndarray | None, known: VideoInfo, label: str) -> VideoTracks:
    builder = TrackBuilder()
    for frame in np.flatnonzero(np.isfinite(boxes).all(axis=1)).tolist():
        seen = Observation(frame, rectangle(*boxes[frame]))
        if visibility is not None:
            seen = replace(seen, visibility=float(visibility[frame]))
        builder.add(0, seen, "", label)
    return builder.build(size_hw=known.size_hw, num_frames=len(boxes), frame_rate=known.frame_rate)


def _labels(path: Path, count: int) -> np.ndarray | None:
    if not path.is_file():
        return None
    with named_errors(str(path), AnnotationError):
        values = parse_numbers(read_text(path))
    if len(values) != count:
        raise AnnotationError(f"{path} must hold a value for each of the {count} boxes, got {len(values)}")
    return values


def _size(value: Value) -> tuple[int, int]:
    words = value.raw.strip(" ()").split(",")
    if len(words) != 2:
        raise value.wrong("be (width, height)")
    width, height = (Value(word.strip(), value.where).integer(1) for word in words)
    return height, width


def _meta_text(track: Track, video: VideoTracks) -> str:
    lines = ["[METAINFO]", f"object_class: {' '.join(track.label.split())}"]
    if video.size_hw is not None:
        lines.append(f"resolution: ({video.size_hw[1]}, {video.size_hw[0]})")
    if video.frame_rate is not None:
        lines.append(f"anno_fps: {video.frame_rate:g}Hz")
    return "\n".join(lines) + "\n"


def _lines(track: Track, length: int, first_pixel: int) -> str:
    lines = []
    for frame in range(length):
        seen = track.at(frame)
        x, y, w, h = seen.box_xywh if seen else (-first_pixel, -first_pixel, 0, 0)
        lines.append(f"{x + first_pixel:.4f},{y + first_pixel:.4f},{w:.4f},{h:.4f}\n")
    return "".join(lines)


def _write_labels(path: Path, values: list[int]) -> None:
    path.write_text("".join(f"{value}\n" for value in values), encoding="utf-8")


def _is_got10k(path: Path, content: Value | None) -> bool:
    if path.is_dir():
        return (path / GOT10K_FILE).is_file()
    return path.name != OTB_FILE and _holds_boxes(path)


def _is_otb(path: Path, content: Value | None) -> bool:
    if path.is_dir():
        return (path / OTB_FILE).is_file()
    return path.name == OTB_FILE and _holds_boxes(path)


def _holds_boxes(path: Path) -> bool:
    if path.suffix.lower() != ".txt":
        return False
    first = read_text(path).partition("\n")[0].replace(",", " ").replace("\t", " ").split()
    return len(first) == 4


GOT10K = Format(
    "got10k",
    "GOT-10k",
    ("", ".txt"),
    frozenset({"labels", "visibility", "size", "length", "frame rate"}),
    0,
    "pixels, 0-based",
    "A file `.txt` has boxes alone; a folder has labels, visible shares in eighths, size and rate. Several targets are "
    "written one a file or folder.",
    "http://got-10k.aitestunion.com (GOT-10k, TPAMI 2019)",
    read_got10k,
    write_got10k,
    _is_got10k,
)
OTB = Format(
    "otb",
    "OTB",
    ("", ".txt"),
    frozenset({"length"}),
    0,
    "pixels, 1-based",
    "A file of another name than `groundtruth_rect.txt` is taken for GOT-10k where no format is named. Several targets "
    "are written one a file or folder.",
    "http://cvlab.hanyang.ac.kr/tracker_benchmark (Wu et al., TPAMI 2015)",
    read_otb,
    write_otb,
    _is_otb,
)

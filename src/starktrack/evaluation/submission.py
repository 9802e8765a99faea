"""Zips for the GOT-10k and TrackingNet servers, checked by their known rules.

Source: GOT-10k toolkit (folder per sequence, commas only), TrackingNet devkit (flat zip of `<seq>.txt`).
"""

import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from starktrack.data.formats.format_error import FormatError
from starktrack.data.formats.number_text import parse_boxes, parse_numbers
from starktrack.errors import InputError, ResultFileError, nearest_name
from starktrack.evaluation.result_files import TrackerResults
from starktrack.evaluation.text_files import TextPlace, open_place

FIRST_FRAME_TOLERANCE = 1.0
"""Largest distance of the first box from the given one, pixels."""


@dataclass(frozen=True)
class Server:
    """The requirements of a server.

    Attributes:
        num_sequences: Number of sequences in a full submission.
        boxes_name: Path of a sequence's boxes in the zip.
        times_name: Path of its times in the zip; None if the server takes none.
    """

    num_sequences: int
    boxes_name: str
    times_name: str | None


@dataclass(frozen=True)
class FirstFrame:
    """The published part of a sequence of a test set.

    Attributes:
        name: Of the sequence.
        box_xywh: The true box in the first frame, image pixels.
        num_frames: Number of its frames, or None without frames on disk.
    """

    name: str
    box_xywh: Float[np.ndarray, "4"]
    num_frames: int | None = None


SERVERS: dict[str, Server] = {
    "got10k": Server(180, "{name}/{name}_001.txt", "{name}/{name}_time.txt"),
    "trackingnet": Server(511, "{name}.txt", None),
}


def server(name: str) -> Server:
    """Return the server of that name.

    Raises:
        InputError: There is none; the nearest is named.
    """
    if name not in SERVERS:
        raise InputError(f"a submission must go to a known server, got {name!r}{nearest_name(name, SERVERS)}")
    return SERVERS[name]


def write_submission(target: Server, results: TrackerResults, path: Path) -> None:
    """Write the zip of one tracker's results.

    Raises:
        ResultFileError: A time that the server requires is missing.
    """
    untimed = [name for name in results.boxes_xywh if target.times_name and name not in results.seconds]
    if untimed:
        raise ResultFileError(
            f"the server wants a time per frame, got none for {untimed[0]}; write {untimed[0]}_time.txt"
        )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, boxes in sorted(results.boxes_xywh.items()):
            archive.writestr(target.boxes_name.format(name=name), _rows(boxes, "%.4f"))
            if target.times_name:
                times = results.seconds[name][:, None]
                archive.writestr(target.times_name.format(name=name), _rows(times, "%.8f"))


def submission_problems(target: Server, path: Path, first_frames: Iterable[FirstFrame]) -> list[str]:
    """Return the reasons for which the server would reject a zip, one line each; empty for a valid zip.

    Args:
        target: The server.
        path: The zip.
        first_frames: The first frame of every test sequence.

    Raises:
        ResultFileError: The zip is missing or not a zip.
    """
    place = open_place(path, None, "a submission")
    frame_of = {frame.name: frame for frame in first_frames}
    expected = {PurePosixPath(target.boxes_name.format(name=name)): name for name in frame_of}
    found = _without_top_folder(place, set(expected))
    problems = []
    if len(frame_of) != target.num_sequences:
        problems.append(
            f"the test set has {target.num_sequences} sequences, got annotations of {len(frame_of)}"
        )
    problems += [f"{path} is missing" for path in expected if path not in found]
    problems += [f"{path} is not part of the test set" for path in found if _is_extra(path, target, frame_of)]
    for path_in_zip, name in expected.items():
        runs = [run for run in found if _is_run(run, path_in_zip, target)]
        for run in sorted(runs):
            problems += _file_problems(place, found[run], frame_of[name])
        if path_in_zip in found:
            problems += _time_problems(target, place, found, name)
    return problems


def _is_run(path: PurePosixPath, first: PurePosixPath, target: Server) -> bool:
    """Return whether a file holds a sequence's boxes; GOT-10k's server takes several runs, `_001` and so on."""
    if target.times_name is None or path.parent != first.parent:
        return path == first
    return (
        re.fullmatch(re.escape(first.stem[:-3]) + r"\d{3}", path.stem) is not None and path.suffix == ".txt"
    )


def _without_top_folder(place: TextPlace, expected: set[PurePosixPath]) -> dict[PurePosixPath, PurePosixPath]:
    """Return files by the path a server looks for; GOT-10k's allows one folder around all."""
    plain = {path: path for path in place.files}
    depth = {len(path.parts) for path in expected}
    tops = {path.parts[0] for path in place.files}
    if len(tops) == 1 and depth == {2} and not expected & plain.keys():
        return {PurePosixPath(*path.parts[1:]): path for path in place.files if len(path.parts) > 1}
    return plain


def _is_extra(path: PurePosixPath, target: Server, frame_of: Mapping[str, FirstFrame]) -> bool:
    name = path.parent.name if target.times_name else path.stem
    first = PurePosixPath(target.boxes_name.format(name=name))
    times = {PurePosixPath(target.times_name.format(name=name))} if target.times_name else set()
    return name not in frame_of or not (_is_run(path, first, target) or path in times)


def _file_problems(place: TextPlace, path: PurePosixPath, published: FirstFrame) -> list[str]:
    try:
        text = place.text(path) or ""
    except ResultFileError as error:
        return [str(error)]
    if "\t" in text or " " in text.strip():
        return [f"{path} must separate numbers by commas only, got tabs or spaces"]
    try:
        boxes = parse_boxes(text)
    except FormatError as error:
        return [f"{path} {error}"]
    return [problem for problem in _box_problems(path, boxes, published) if problem]


def _box_problems(
    path: PurePosixPath, boxes: Float[np.ndarray, "num_boxes 4"], published: FirstFrame
) -> list[str]:
    finite = np.isfinite(boxes).all(axis=1)
    first = np.abs(boxes[0] - published.box_xywh).max()
    negative = (boxes[:, 2:] < 0).any(axis=1)
    return [
        "" if finite.all() else f"{path} must hold finite numbers, got {boxes[~finite][0].tolist()}",
        "" if not negative.any() else f"{path} must hold no negative size, got {boxes[negative][0].tolist()}",
        ""
        if published.num_frames in (None, len(boxes))
        else f"{path} must hold a box for each of {published.num_frames} frames, got {len(boxes)}",
        ""
        if first <= FIRST_FRAME_TOLERANCE
        else f"{path} must start with the box {published.box_xywh.tolist()}, got {boxes[0].tolist()}",
    ]


def _time_problems(
    target: Server, place: TextPlace, found: Mapping[PurePosixPath, PurePosixPath], name: str
) -> list[str]:
    if target.times_name is None:
        return []
    path = PurePosixPath(target.times_name.format(name=name))
    if path not in found:
        return [f"{path} is missing"]
    boxes_path = found[PurePosixPath(target.boxes_name.format(name=name))]
    try:
        times = parse_numbers(place.text(found[path]) or "")
        count = len((place.text(boxes_path) or "").splitlines())
    except ResultFileError as error:
        return [str(error)]
    except FormatError as error:
        return [f"{path} {error}"]
    wrong = times[~(np.isfinite(times) & (times >= 0))]
    return [
        *([f"{path} must hold seconds, finite and not negative, got {wrong[0]:g}"] if len(wrong) else []),
        *([f"{path} must hold {count} times, got {len(times)}"] if len(times) != count else []),
    ]


def _rows(values: Float[np.ndarray, "num_rows num_columns"], form: str) -> str:
    return "\n".join(",".join(form % value for value in row) for row in values) + "\n"

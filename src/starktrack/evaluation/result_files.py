"""Reads a tracker's boxes from files in the format and with the names of any toolkit.

Understood: our own (`data/formats/result_folder.py`), pytracking and STARK (`<seq>.txt`, `<seq>_time.txt`), the got10k
toolkit (`<seq>/<seq>_001.txt`), pysot and LaSOT (`<seq>.txt`), VOT (`<seq>/<seq>_001.txt` that starts with a
code, or the binary `.bin`), in folders or zips; and every format of `annotated_files`, in folders.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from starktrack.data.formats.format_error import named_errors
from starktrack.data.formats.number_text import parse_boxes, parse_numbers
from starktrack.data.formats.region_bytes import decode_regions
from starktrack.data.formats.result_folder import FAILURES, STAGES
from starktrack.data.sources.vot import region_box
from starktrack.data.sources.zip_table import is_leftover
from starktrack.errors import ResultFileError
from starktrack.evaluation import annotated_files
from starktrack.evaluation.text_files import TextPlace, open_place
from starktrack.evaluation.vot_regions import parse_region

_PREFIXES = re.compile(r"^(uav123|uav|nfs|otb|tc128|tpl|tlp|lasot|trackingnet|got10k|davis|vot)_")
"""Prefixes of sequence names in toolkits and unions of data sets; `tpl` is TC128."""

_SUFFIXES = (".txt", ".bin")
_KINDS = frozenset({*_SUFFIXES, *annotated_files.SUFFIXES})

_UNNUMBERED = {"Human4": "Human4_2"}
"""got10k's names of targets that other toolkits number; it drops the empty file of Human4's first target."""

_ASIDE = re.compile(r"_(time|all_boxes|all_scores|object_presence_scores|confidence|times)$")
_REPETITION = re.compile(r"_(\d{3})$")

SizeOf: TypeAlias = Callable[[str], tuple[int, int] | None]
"""Gives height and width of a sequence's frames by its name, or None where they are not known."""


@dataclass(frozen=True, eq=False)
class TrackerResults:
    """The results of one tracker on some sequences.

    Attributes:
        boxes_xywh: By sequence name, one row per frame, image pixels.
        seconds: By sequence name, time per frame, for sequences with a file of times.
        files: By sequence name, the file of boxes.
    """

    boxes_xywh: dict[str, Float[np.ndarray, "_ 4"]]
    seconds: dict[str, Float[np.ndarray, " _"]]
    files: dict[str, str] = field(default_factory=dict)


def read_results(
    root: Path, names: Iterable[str], repetition: int = 1, *, size_of: SizeOf = lambda name: None
) -> TrackerResults:
    """Return the boxes of the named sequences that a folder or zip holds; others are left out.

    Names match whatever separates their number (`Jogging_1`, `Jogging.1`, `Jogging-1`), and with or without a
    data set's prefix (`uav_bike1`, `uav123_bike1`).

    Args:
        root: One tracker's folder or zip, or one annotated video.
        names: Of the sequences, as the data set spells them.
        repetition: Which run to read where a tracker ran several times (`_001`, `_002` …).
        size_of: The size of the frames of a sequence, for formats that do not hold it (YOLO, Label Studio).

    Raises:
        ResultFileError: The place is missing, a file is damaged or shorter than it was written, or two files
            claim one sequence.
        AnnotationError: An annotated video is damaged.
    """
    names = list(names)
    place = open_place(root, _KINDS, "results")
    wanted = _spellings(names)
    boxes: dict[str, PurePosixPath] = {}
    times: dict[str, PurePosixPath] = {}
    for path in sorted(filter(_is_result, place.files)):
        found = times if path.stem.endswith(("_time", "_times")) or path.parent.name == "times" else boxes
        name = _sequence_of(path, wanted, repetition)
        if name is not None and found.setdefault(name, path) != path:
            raise _claimed_twice(root, name, found[name], path)
    annotated: dict[str, tuple[Path, int | None]] = {}
    for name, file, target_id in annotated_files.find_results(root, names, plain_name):
        text = boxes.pop(name, None)  # a text file of MOTChallenge is found in both ways
        for other in (annotated.get(name, (file, None))[0], file if text is None else place.files[text]):
            if other != file:
                raise _claimed_twice(root, name, other, file)
        annotated[name] = (file, target_id)
    if not boxes and not annotated:
        raise ResultFileError(
            f"{root} must hold <seq>.txt, <seq>/<seq>_001.txt or an annotated video <seq>.csv, .xml … of the data set, "
            "got none of its names; unpack annotated videos"
        )
    return TrackerResults(
        {name: _read_boxes(place, path) for name, path in boxes.items()}
        | {name: annotated_files.read_boxes(*where, size_of(name)) for name, where in annotated.items()},
        {name: _read_times(place, path) for name, path in times.items()},
        {name: f"{place.label}/{path}" for name, path in boxes.items()}
        | {name: str(path) for name, (path, _) in annotated.items()},
    )


def read_repetitions(
    root: Path, names: Iterable[str], *, size_of: SizeOf = lambda name: None
) -> list[TrackerResults]:
    """Return every run that a folder or zip holds of a tracker that ran several times (`_001`, `_002` …).

    Raises:
        ResultFileError: As `read_results`, or some sequences were run more often than others.
    """
    names = list(names)
    place = open_place(root, _KINDS, "results")
    wanted = _spellings(names)
    runs: dict[str, set[int]] = {}
    for path in filter(_is_result, place.files):
        numbered = _REPETITION.search(path.stem)
        # A sequence whose own name ends in three digits is no run of another.
        if numbered and _wanted(path.stem, wanted) is None:
            name = _wanted(_REPETITION.sub("", path.stem), wanted)
            runs.setdefault(name or "", set()).add(int(numbered[1]))
    runs.pop("", None)
    first = next(iter(runs), "")
    for name, numbers in runs.items():
        if numbers != runs[first]:
            raise ResultFileError(
                f"{root} must hold the same runs of every sequence, got {sorted(runs[first])} of {first} and "
                f"{sorted(numbers)} of {name}; finish them, or move the others away"
            )
    numbers = sorted(runs.get(first, {1}))
    return [read_results(root, names, number, size_of=size_of) for number in numbers]


def plain_name(name: str) -> str:
    """Return the name by which all spellings of a sequence agree.

    Example:
        >>> plain_name("uav123_bike1"), plain_name("Jogging.1") == plain_name("Jogging-1")
        ('bike1', True)
    """
    return _PREFIXES.sub("", _spelt(name))


def _spelt(name: str) -> str:
    return re.sub(r"[.\-]", "_", name)


def _spellings(names: Iterable[str]) -> dict[str, str]:
    """Return the wanted names by every spelling; full names take precedence over abbreviations."""
    names = list(names)
    plain = {plain_name(name): name for name in names}
    unnumbered = {short: plain[full] for short, full in _UNNUMBERED.items() if full in plain}
    return unnumbered | plain | {_spelt(name): name for name in names}


def _claimed_twice(root: Path, name: str, first: object, second: object) -> ResultFileError:
    return ResultFileError(
        f"{root} must hold one file per sequence, got {first} and {second} for {name}; "
        "name the folder of one tracker"
    )


def _is_result(path: PurePosixPath) -> bool:
    return path.suffix in _SUFFIXES and FAILURES not in path.parts and not is_leftover(path.as_posix())


def _sequence_of(path: PurePosixPath, wanted: dict[str, str], repetition: int) -> str | None:
    stem = re.sub(r"_times?$", "", path.stem)
    if (name := _wanted(stem, wanted)) is not None:
        return name
    numbered = _REPETITION.search(stem)
    if _ASIDE.search(stem) or numbered is None or int(numbered[1]) != repetition:
        return None
    return _wanted(_REPETITION.sub("", stem), wanted)


def _wanted(stem: str, wanted: dict[str, str]) -> str | None:
    return wanted.get(_spelt(stem)) or wanted.get(plain_name(stem))


def _read_boxes(place: TextPlace, path: PurePosixPath) -> Float[np.ndarray, "num_frames 4"]:
    where = f"{place.label}/{path}"
    if path.suffix == ".bin":
        with named_errors(where, ResultFileError):
            found = decode_regions(place.data(path) or b"")
        return np.array([region_box(region) for region in found]).reshape(-1, 4)
    text = place.text(path) or ""
    first, _, _ = text.partition("\n")
    if text.startswith("m") or (first.strip().isdigit() and len(first.strip()) == 1):
        return np.array([region_box(parse_region(line, where)) for line in text.split()])
    with named_errors(where, ResultFileError):
        boxes = parse_boxes(text)
    count = _num_written(place, path.parent / STAGES / f"{path.stem}.json")
    if count is not None and len(boxes) != count:
        raise ResultFileError(
            f"{where} must hold the {count} boxes that were written, got {len(boxes)}; "
            "delete it and track the sequence again"
        )
    return boxes


def _num_written(place: TextPlace, path: PurePosixPath) -> int | None:
    """Return how many boxes were written, or None if unknown."""
    text = place.text(path)
    try:
        return None if text is None else int(json.loads(text)["frames"])
    except (ValueError, KeyError, TypeError) as error:
        raise ResultFileError(
            f"{place.label}/{path} must be JSON with a number of frames, got {text!r:.40}; "
            "delete it and the sequence's boxes, and track it again"
        ) from error


def _read_times(place: TextPlace, path: PurePosixPath) -> Float[np.ndarray, " num_frames"]:
    with named_errors(f"{place.label}/{path}", ResultFileError):
        return parse_numbers(place.text(path) or "")

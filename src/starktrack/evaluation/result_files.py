"""Boxes that a tracker left on disk, in the form and under the names of any toolkit.

Understood: pytracking and STARK (`<seq>.txt`, `<seq>_time.txt`), the got10k toolkit (`<seq>/<seq>_001.txt`),
pysot and LaSOT (`<seq>.txt`), VOT (`<seq>/<seq>_001.txt` that starts with a code); in folders or zips.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from starktrack.errors import ResultFileError
from starktrack.evaluation.text_files import TextPlace, open_place, parse_boxes, parse_numbers
from starktrack.evaluation.vot_regions import Mask, Polygon, Rectangle, Region, parse_region

_PREFIXES = ("uav_", "nfs_", "tpl_", "otb_")
_ASIDE = re.compile(r"_(time|all_boxes|all_scores|object_presence_scores|confidence|times)$")
_REPETITION = re.compile(r"_(\d{3})$")


@dataclass(frozen=True, eq=False)
class TrackerResults:
    """What one tracker said about some sequences.

    Attributes:
        boxes_xywh: By sequence name, one row per frame, image pixels.
        seconds: By sequence name, time per frame, where the files tell.
    """

    boxes_xywh: dict[str, Float[np.ndarray, "_ 4"]]
    seconds: dict[str, Float[np.ndarray, " _"]]

    @property
    def frames_per_second(self) -> float | None:
        """Frames over seconds, initialisation left out; None where no time is told."""
        total = sum(float(times[1:].sum()) for times in self.seconds.values())
        return sum(len(times) - 1 for times in self.seconds.values()) / total if total > 0 else None


def read_results(root: Path, names: Iterable[str], repetition: int = 1) -> TrackerResults:
    """Return the boxes of the named sequences that a folder or zip holds; others are left out.

    Names match whatever separates their number (`Jogging_1`, `Jogging.1`, `Jogging-1`) and with a data set's
    prefix (`uav_bike1`).

    Args:
        root: One tracker's folder or zip.
        names: Of the sequences, as the data set spells them.
        repetition: Which run to read where a tracker ran several times (`_001`, `_002` …).

    Raises:
        ResultFileError: The place is missing, a file is damaged, or two files claim one sequence.
    """
    place = open_place(root, frozenset({".txt"}), ResultFileError, "results")
    wanted = {plain_name(name): name for name in names}
    boxes: dict[str, PurePosixPath] = {}
    times: dict[str, PurePosixPath] = {}
    for path in sorted(place.files):
        found = times if path.stem.endswith(("_time", "_times")) or path.parent.name == "times" else boxes
        name = _sequence_of(path, wanted, repetition)
        if name is not None and found.setdefault(name, path) != path:
            raise ResultFileError(
                f"{root} must hold one file per sequence, got {found[name]} and {path} for {name}; "
                "name the folder of one tracker"
            )
    if not boxes:
        raise ResultFileError(
            f"{root} must hold <seq>.txt or <seq>/<seq>_001.txt of the data set, got none of its names"
        )
    return TrackerResults(
        {name: _read_boxes(place, path) for name, path in boxes.items()},
        {name: _read_times(place, path) for name, path in times.items()},
    )


def plain_name(name: str) -> str:
    """Return the name by which all spellings of a sequence agree.

    Example:
        >>> plain_name("uav_bike1"), plain_name("Jogging.1") == plain_name("Jogging-1")
        ('bike1', True)
    """
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return re.sub(r"[.\-]", "_", name)


def _sequence_of(path: PurePosixPath, wanted: dict[str, str], repetition: int) -> str | None:
    stem = re.sub(r"_times?$", "", path.stem)
    if plain_name(stem) in wanted:
        return wanted[plain_name(stem)]
    numbered = _REPETITION.search(stem)
    if _ASIDE.search(stem) or numbered is None or int(numbered[1]) != repetition:
        return None
    return wanted.get(plain_name(_REPETITION.sub("", stem)))


def _read_boxes(place: TextPlace, path: PurePosixPath) -> Float[np.ndarray, "num_frames 4"]:
    text, where = place.text(path) or "", f"{place.label}/{path}"
    first, _, _ = text.partition("\n")
    if text.startswith("m") or (first.strip().isdigit() and len(first.strip()) == 1):
        return np.array([_as_box(parse_region(line, where)) for line in text.split()])
    boxes = parse_boxes(text, where, ResultFileError)
    if not len(boxes):
        raise ResultFileError(
            f"{where} must hold a box per frame, got an empty file; track the sequence again"
        )
    return boxes


def _as_box(region: Region) -> list[float]:
    if isinstance(region, Rectangle):
        return region.box_xywh.tolist()
    if isinstance(region, Polygon):
        corner = region.points_xy.min(axis=0)
        return [*corner.tolist(), *(region.points_xy.max(axis=0) - corner).tolist()]
    if isinstance(region, Mask):
        height, width = region.pixels.shape
        return [float(value) for value in (*region.corner_xy, width, height)]
    return [0.0, 0.0, 0.0, 0.0]


def _read_times(place: TextPlace, path: PurePosixPath) -> Float[np.ndarray, " num_frames"]:
    return parse_numbers(place.text(path) or "", f"{place.label}/{path}", ResultFileError)

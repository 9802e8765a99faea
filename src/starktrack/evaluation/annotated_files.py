"""Boxes in every format of `starktrack.interchange`, as results and as truth.

Convention: a file or folder `NAME` with one target is of the sequence `NAME`; of several targets, each is of a
sequence `NAME_ID`. A frame without a box is 0,0,0,0 in results, and NaN in the truth.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from starktrack import interchange
from starktrack.data.formats.result_folder import STAGES
from starktrack.data.sources.frames_on_disk import MissingFrames
from starktrack.data.sources.plain import PICTURE_FOLDERS
from starktrack.data.video_sequence import BenchmarkInfo, VideoSequence
from starktrack.errors import ResultFileError

SUFFIXES = (".csv", ".json", ".jsonl", ".xml")
"""Suffixes of files that are read here; of files `.txt` those of MOTChallenge are."""

_DEPTH = 5


def is_mot(first_line: str) -> bool:
    """Return whether a line has as many columns as MOTChallenge's; eight are the corners of a polygon.

    Example:
        >>> is_mot("1,1,10,20,30,40,0.9,-1,-1,-1"), is_mot("10,20,30,40")
        (True, False)
    """
    return first_line.count(",") + 1 in (7, 9, 10)


def read_boxes(
    path: Path, target_id: int | None, size_hw: tuple[int, int] | None
) -> Float[np.ndarray, "num_frames 4"]:
    """Return the boxes of one target, a row for each frame.

    Args:
        path: A file or folder.
        target_id: Which target; None for the only one.
        size_hw: Height and width of the frames, for formats that need it; None if unknown.

    Raises:
        AnnotationError: The file is damaged.
        ResultFileError: There is no such target, or more than one.

    Example:
        >>> _ = Path("duck.txt").write_text("2,4,10,20,30,40,1,-1,-1,-1")
        >>> read_boxes(Path("duck.txt"), None, None).tolist()
        [[0.0, 0.0, 0.0, 0.0], [9.0, 19.0, 30.0, 40.0]]
    """
    video = interchange.read(path, size_hw=size_hw)
    tracks = [track for track in video.tracks if target_id in (None, track.id)]
    if len(tracks) != 1:
        wanted = "one target" if target_id is None else f"the target {target_id}"
        ids = ", ".join(str(track.id) for track in video.tracks[:8])
        raise ResultFileError(
            f"{path} must hold {wanted}, got the targets {ids}; name sequences of several targets NAME_ID"
        )
    boxes = np.zeros((video.length, 4))
    for seen in tracks[0].observations:
        boxes[seen.frame] = seen.box_xywh
    return boxes


def read_truth(path: Path) -> list[VideoSequence]:
    """Return a sequence for each target of an annotated video.

    Raises:
        AnnotationError: The file is damaged, or the format needs the size of the frames and does not hold it.

    Example:
        >>> _ = Path("duck.txt").write_text("2,4,10,20,30,40,1,-1,-1,-1")
        >>> [(sequence.name, sequence.visible.tolist()) for sequence in read_truth(Path("duck.txt"))]
        [('duck', [False, True])]
    """
    video = interchange.read(path)
    name = _own_name(path)
    info = BenchmarkInfo(resolution_wh=video.size_hw and (video.size_hw[1], video.size_hw[0]))
    frames = MissingFrames(f"a picture of {path}", video.length)
    sequences = [replace(each, benchmark=info) for each in interchange.to_sequences(video, frames, name)]
    return sequences if len(sequences) > 1 else [replace(sequences[0], name=name)]


def find_truth(root: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """Yield the annotated videos at or below a place, except text files of boxes, which data sets read themselves."""
    if _is_annotation(root):
        if interchange.recognise(root) != "got10k":
            yield root
    elif root.is_dir() and depth:
        for path in sorted(root.iterdir()):
            if path.name not in PICTURE_FOLDERS:
                yield from find_truth(path, depth - 1)


def find_results(
    root: Path, names: Iterable[str], plain: Callable[[str], str]
) -> Iterator[tuple[str, Path, int | None]]:
    """Yield sequences with the file or folder that holds them, and the number of the target where it has several.

    Args:
        root: A tracker's folder, or one file.
        names: Of the sequences.
        plain: Gives the name by which all spellings of a sequence agree.
    """
    below = [
        Path(folder, name)
        for folder, *inner in os.walk(root)
        if Path(folder).name != STAGES  # what `evaluate` notes about its own text files
        for names in inner
        for name in names
    ]
    places: dict[str, list[Path]] = {}
    for path in (root, *sorted(below)):
        places.setdefault(plain(_own_name(path)), []).append(path)
    for name in names:
        found = [(path, None) for path in places.get(plain(name), []) if _is_annotation(path)]
        video, _, number = plain(name).rpartition("_")
        if not found and number.isdecimal():
            found = [(path, int(number)) for path in places.get(video, []) if _is_annotation(path)]
        yield from ((name, path, target_id) for path, target_id in found)


def _own_name(path: Path) -> str:
    return path.stem if path.is_file() else path.resolve().name


def _is_annotation(path: Path) -> bool:
    """Return whether a file or folder is of one video; a folder with the boxes of several is not."""
    if path.is_dir():
        found = interchange.recognise(path)
        # Toolkits score OTB's boxes as they stand in their files, from 1, and so do data sets and results here.
        return found not in (None, "otb") and (found != "yolo" or (path / "labels").is_dir())
    if path.suffix == ".txt":
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return is_mot(file.readline(1000))
    return path.suffix in SUFFIXES and interchange.recognise(path) is not None

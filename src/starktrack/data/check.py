"""Checks a folder of data: its content, missing or broken files, and the consequences."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starktrack.data.sources.coco import CocoDataset
from starktrack.data.sources.dataset import Dataset, DatasetSpec
from starktrack.data.sources.folders import Folder, open_folder
from starktrack.data.sources.frames_on_disk import MissingFrames, NamedFrames, NumberedFrames
from starktrack.data.sources.registry import SOURCES
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import DatasetError, nearest_name
from starktrack.geometry.boxes import looks_like_corners, looks_normalised

NUM_DECODED = 8
"""Sequences of a split whose first, middle and last frame are decoded."""

NUM_STILLS = 400
"""Number of objects to check in a set of still pictures, which may have a million."""

MOST_OUTSIDE = 0.1
"""Share of a sequence's boxes that may lie outside its pictures: annotators follow a target a little out of sight."""

MAX_FOLDERS = 30
"""Number of folders that are searched for data sets of their own."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Finding:
    """The finding about one split.

    Attributes:
        root: The searched folder.
        dataset: Name of the source.
        split: The part of it.
        num_found: Number of existing sequences.
        missing: Names of missing sequences.
        num_frames: Number of frames of the existing sequences.
        num_bare: Number of sequences with an annotation only.
        problems: Errors, each with its file.
    """

    root: str
    dataset: str
    split: str
    num_found: int
    missing: tuple[str, ...]
    num_frames: int
    num_bare: int
    problems: tuple[str, ...]

    @property
    def is_broken(self) -> bool:
        """Return whether an existing file cannot be used."""
        return bool(self.problems)

    @property
    def meaning(self) -> str:
        """Return the consequence of the finding for users of the split."""
        if self.is_broken:
            return f"broken: {len(self.problems)} sequences cannot be used as they are; repair or remove them"
        if self.num_bare:
            return "annotations only: results can be scored, nothing can be tracked"
        if self.missing:
            return "incomplete: usable where missing sequences are allowed; scores are not comparable"
        return "complete"


def check(
    root: str | Path, name: str | None = None, progress: Progress = lambda step, done, total: None
) -> list[Finding]:
    """Return what a folder holds, one finding per split; the data set is recognised by its layout.

    Every annotation is read, the last frame of every sequence looked for, and a few frames decoded.

    Args:
        root: A data set, or a folder of several.
        name: Which data set it must be; None to recognise it.
        progress: Called with what is being checked, how many sequences are done, and of how many.

    Raises:
        DatasetError: There is no such folder or data set, or the layout is none that is known.
    """
    if name is not None and name not in SOURCES:
        raise DatasetError(f"unknown data set {name!r}{nearest_name(name, SOURCES)}")
    folder = open_folder(Path(root))
    if name is not None:
        return _check_source(folder, SOURCES[name], progress)
    known = recognise(folder)
    if not known:
        raise DatasetError(
            f"{root} has the layout of no known data set ({', '.join(SOURCES)}); "
            "name one to learn what it misses"
        )
    return [finding for place, source in known for finding in _check_source(place, source, progress)]


def recognise(root: Folder) -> list[tuple[Folder, DatasetSpec]]:
    """Return the data set that a folder is, or those that its folders are when they find more together."""
    count, source = _best_source(root)
    below = root.folders().values()
    inner = [(folder, *_best_source(folder)) for folder in below] if len(below) <= MAX_FOLDERS else []
    if sum(inner_count for _, inner_count, _ in inner) > count:
        return [(folder, inner_source) for folder, _, inner_source in inner if inner_source is not None]
    return [(root, source)] if source is not None else []


def _best_source(root: Folder) -> tuple[int, DatasetSpec | None]:
    """Return the largest number of sequences that a source finds; of equals, the most specific source."""
    counts = {name: _count(root, source) for name, source in SOURCES.items()}
    best = max(counts, key=lambda name: counts[name])
    if counts[best]:
        return counts[best], SOURCES[best]
    # A known kind of annotation that cannot be read is a broken data set, not an unknown one.
    return 0, next((source for source in SOURCES.values() if source.own_splits(root)), None)


def _count(root: Folder, source: DatasetSpec) -> int:
    """Return the number of different sequences in all splits."""
    names: set[str] = set()
    for split in _split_names(root, source):
        try:
            names.update(source.open(root, split).names)
        except DatasetError:
            continue
    return len(names)


def _split_names(root: Folder, source: DatasetSpec) -> list[str]:
    declared = [split for split in source.splits if split != "*"]
    return list(dict.fromkeys([*declared, *source.own_splits(root)]))


def _check_source(root: Folder, source: DatasetSpec, progress: Progress) -> list[Finding]:
    findings, errors = [], []
    own = source.own_splits(root)
    for split in _split_names(root, source):
        try:
            dataset = source.open(root, split)
        except DatasetError as error:
            errors.append(str(error))
            if split in own:
                findings.append(Finding(str(root), source.name, split, 0, (), 0, 0, (str(error),)))
            continue
        if len(dataset):
            findings.append(_check_split(root, dataset, progress))
    if not findings:
        raise DatasetError(errors[0] if errors else f"{root} holds no sequence of {source.title}")
    return findings


def _check_split(root: Folder, dataset: Dataset, progress: Progress) -> Finding:
    stills = isinstance(dataset, CocoDataset)
    indices = range(0, len(dataset), max(1, len(dataset) // NUM_STILLS) if stills else 1)
    decoded = set(indices if stills else indices[:: max(1, len(indices) // NUM_DECODED)])
    num_frames, bare, problems = 0, [], []
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda index: _check_sequence(dataset, index, index in decoded), indices)
        for done, (frames, is_bare, problem) in enumerate(results, start=1):
            num_frames += frames
            (bare if is_bare else problems).extend([problem] if problem else [])
            progress(f"{dataset.name} {dataset.split}", done, len(indices))
    return Finding(
        root=str(root),
        dataset=dataset.name,
        split=dataset.split,
        num_found=len(dataset),
        missing=dataset.missing,
        num_frames=len(dataset) if stills else num_frames,
        num_bare=len(bare),
        # Annotations alone are a download of its own; a few videos without pictures are a fault.
        problems=tuple(problems if len(bare) == len(dataset) else problems + bare),
    )


def _check_sequence(dataset: Dataset, index: int, decode: bool) -> tuple[int, bool, str | None]:
    """Return the number of frames, whether none of them is there, and the first problem of a sequence."""
    try:
        sequence = dataset[index]
        frames = sequence.frames
        if isinstance(frames, MissingFrames):
            return len(frames), True, f"{frames.expected} is missing; {sequence.name} has only its annotation"
        problem = _problem(sequence)
        if problem is None and decode:
            for position in {0, len(frames) // 2, len(frames) - 1}:
                size_hw = frames.read(position).shape[:2]
            problem = _box_problem(sequence, size_hw)
    except DatasetError as error:
        return 0, False, str(error)
    return len(frames), False, problem


def _problem(sequence: VideoSequence) -> str | None:
    frames = sequence.frames
    if isinstance(frames, NumberedFrames | NamedFrames):
        last = frames.name(len(frames) - 1)
        if not frames.folder.has(last):
            return (
                f"{frames.folder.label(last)} is missing; {sequence.name} has {len(frames)} annotated frames"
            )
    if not sequence.visible.any():
        return f"{sequence.name} shows its target in no frame"
    return None


def _box_problem(sequence: VideoSequence, size_hw: tuple[int, int]) -> str | None:
    """Return what is wrong with the boxes of a sequence beside its pictures."""
    shown = np.flatnonzero(sequence.visible)
    boxes = sequence.boxes_xywh[shown].astype(np.float64)
    height, width = size_hw
    if looks_normalised(boxes):
        return f"{sequence.name} has boxes between 0 and 1, which look like shares of its {width} x {height} pixels"
    if np.mean([looks_like_corners(box, size_hw) for box in boxes]) > 0.5:
        return (
            f"{sequence.name} has boxes that leave its {width} x {height} pixels as x,y,w,h, "
            "and look like two corners x1,y1,x2,y2"
        )
    x, y, w, h = boxes.T
    outside = shown[(x >= width) | (y >= height) | (x + w <= 0) | (y + h <= 0)]
    if len(outside) > MOST_OUTSIDE * len(shown):
        return (
            f"{sequence.name} has {len(outside)} of {len(shown)} boxes outside its {width} x {height} pixels, "
            f"the first in frame {outside[0]}"
        )
    return None

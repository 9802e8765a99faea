"""The true boxes of a data set for scoring, read by the data set's own reader, with or without frames."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from starktrack.config.benchmarks import BENCHMARKS
from starktrack.data.collection import ALL, open_benchmark
from starktrack.data.sources.dataset import Dataset, Entry, Found, Reader, VideoDataset, select
from starktrack.data.sources.folders import Folder, open_folder
from starktrack.data.sources.frames_on_disk import MissingFrames
from starktrack.data.sources.nfs import rows_of_frames
from starktrack.data.sources.notu import PART_SPLITS, UnionDataset
from starktrack.data.sources.plain import PLAIN, find_boxes, read_boxes
from starktrack.data.sources.registry import SOURCES
from starktrack.data.sources.tables import has_area
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import DatasetError, nearest_name
from starktrack.evaluation.annotated_files import find_truth, read_truth
from starktrack.evaluation.dialects import Dialect


def matched_to(sequence: VideoSequence, num_predicted: int) -> VideoSequence:
    """Return the sequence with the rows that a result of this length is about.

    Two data sets leave room: OTB's Tiger1 starts at frame 1 or 6, and NFS as published says by its frames, which
    a result has one row for, which rows count.
    """
    boxes, visible = sequence.boxes_xywh, sequence.visible
    early, ratio = sequence.benchmark.left_out_xywh, sequence.benchmark.rows_per_frame
    if len(early) and num_predicted == len(boxes) + len(early):
        boxes, visible = np.concatenate([early, boxes]), np.concatenate([has_area(early), visible])
    elif ratio and num_predicted and (rows := rows_of_frames(len(boxes), num_predicted, ratio)) is not None:
        boxes, visible = boxes[rows], visible[rows]
    else:
        return sequence
    return replace(sequence, boxes_xywh=boxes, visible=visible)


ALIASES = {
    "uav": ("uav123", "test"),
    "got10k": ("got10k", "val"),
    "got10k_val": ("got10k", "val"),
    "got10k_test": ("got10k", "test"),
    "tc128ce": ("tc128", "ce"),
}
"""Other names of data sets and their parts; GOT-10k's test set is scored by its server, so val is meant."""

FLAT = {
    "lasot": ("annos", ""),
    "uav123": ("anno/UAV123", ""),
    "nfs": ("anno", "nfs_"),
    "trackingnet": ("TEST/anno", ""),
}
"""Data sets whose annotations are distributed as `<seq>.txt` apart from the frames -> where, names' beginning."""

FLAGGED = ("lasot", "got10k")
"""Beginnings of the data sets whose toolkits leave out flagged frames."""

NAMES = tuple(
    dict.fromkeys((*(name for name in SOURCES if name not in ("coco", "tracks")), *ALIASES, PLAIN.name, ALL))
)
"""Data sets whose truth can be opened; `custom` has no rules of its own."""


def open_truth(name: str, places: Mapping[str, Path] | Path, split: str | None = None) -> Dataset:
    """Return a data set, perhaps of annotations alone, by its published lists.

    Args:
        name: One of `NAMES`.
        places: Its folder or zip, as distributed, or annotations apart from the frames; for a union the place
            of each data set by name, or the folder of all of them.
        split: Another part than the benchmark's.

    Raises:
        DatasetError: Unknown, or nothing of it is there.
    """
    if isinstance(places, Mapping):
        splits = PART_SPLITS if name == "notu" else {}
        parts = {part: _open(part, place, splits.get(part)) for part, place in places.items()}
        missing = tuple(f"{part}_{name}" for part, dataset in parts.items() for name in dataset.missing)
        return UnionDataset(name, ALL, parts, missing)
    return _open(name, places, split)


def _open(name: str, place: Path, split: str | None) -> Dataset:
    if name not in NAMES:
        raise DatasetError(f"unknown data set {name!r}{nearest_name(name, NAMES)}")
    if name == PLAIN.name:
        return _require_some(_open_own(place), place)
    known, usual = ALIASES.get(name, (name, None))
    split = split or usual
    if known not in FLAT:
        return open_benchmark(known, place, split, allow_missing=True)
    split = split or BENCHMARKS[known].split
    dataset = SOURCES[known].open(open_folder(place), split)
    return dataset if len(dataset) else _require_some(_open_flat(known, place, split, dataset.missing), place)


def _open_flat(name: str, place: Path, split: str, wanted: Sequence[str]) -> Dataset:
    """Return the sequences whose boxes lie in `<seq>.txt`; all of them where the package has no list."""
    (inside, beginning), root = FLAT[name], open_folder(place)
    plain = PLAIN.open(root.folder(inside) or root, "all")
    assert isinstance(plain, VideoDataset)
    entries = {entry.name.removeprefix(beginning): entry for entry in plain.entries}
    entries = {own: replace(entry, name=own) for own, entry in entries.items()}
    found = select(list(entries) if name == "trackingnet" else wanted, entries)
    return VideoDataset(name, split, found, Reader(plain.reader.read))


def _open_own(place: Path) -> Dataset:
    """Return the sequences of text files of boxes, and of annotated videos, which are read at once."""
    annotated = {path: read_truth(path) for path in find_truth(place)}
    sequences: dict[str, VideoSequence] = {}
    entries = (
        () if place in annotated else find_boxes(open_folder(place), "all", frozenset(annotated)).entries
    )
    for path, found in annotated.items():
        for sequence in found:
            if sequence.name in sequences or any(sequence.name == entry.name for entry in entries):
                raise DatasetError(
                    f"{place} must hold each sequence once, got {sequence.name} again in {path}"
                )
            sequences[sequence.name] = sequence
            folder = Folder(path.parent)
            entries += (Entry(sequence.name, folder, folder, path.name),)

    def read(entry: Entry) -> VideoSequence:
        return sequences[entry.name] if entry.name in sequences else read_boxes(entry)

    return VideoDataset(PLAIN.name, "all", Found(entries, ()), Reader(read))


def frame_size_hw(sequence: VideoSequence) -> tuple[int, int] | None:
    """Return height and width of the frames, or None where neither the annotation nor a frame tells."""
    if sequence.benchmark.resolution_wh is None and isinstance(sequence.frames, MissingFrames):
        return None
    width, height = sequence.size_wh
    return height, width


def _require_some(dataset: Dataset, place: Path) -> Dataset:
    if not len(dataset):
        raise DatasetError(
            f"{place} must hold annotations of {dataset.name} {dataset.split}, such as <seq>.txt or "
            f"<seq>/groundtruth.txt, got none; see: starktrack data check {place}"
        )
    return dataset


def scored_sequences(dataset: Dataset, names: Iterable[str] | None = None) -> list[VideoSequence]:
    """Return the sequences with published truth, without those with a first box only.

    Args:
        dataset: What `open_truth` or `open_benchmark` gave.
        names: Only these, in this order.

    Raises:
        DatasetError: One of `names` is missing, or a file is damaged.
    """
    chosen = dataset.names if names is None else list(names)
    missing = [name for name in chosen if name not in set(dataset.names)] if names is not None else []
    if missing:
        raise DatasetError(
            f"{dataset.name} {dataset.split} must hold every sequence asked for, got {len(missing)} of "
            f"{len(chosen)} missing: {', '.join(missing[:5])}"
        )
    return [sequence for name in chosen if _has_truth(sequence := dataset[name])]


def _has_truth(sequence: VideoSequence) -> bool:
    """Return whether the sequence has more than the first box, which test sets have."""
    is_bare = isinstance(sequence.frames, MissingFrames)
    return len(sequence) >= len(sequence.frames) and not (is_bare and len(sequence) == 1)


def missing_labels(dataset: str, sequences: Sequence[VideoSequence], chosen: Dialect) -> list[str]:
    """Return which rules of a dialect the sequences lack the labels for, one line each."""
    lines = []
    unsized = sum(sequence.benchmark.resolution_wh is None for sequence in sequences)
    if chosen.clip_to_image and unsized:
        lines.append(
            f"{unsized} of {len(sequences)} sequences have no resolution in meta_info.ini: boxes are not clipped"
        )
    unflagged = sum(sequence.flagged_absent is None for sequence in sequences)
    if chosen.absent_flags == "invalid" and dataset.startswith(FLAGGED) and unflagged:
        lines.append(
            f"{unflagged} of {len(sequences)} sequences have no labels of absence (cover.label, absent/): "
            "frames without target count"
        )
    return lines

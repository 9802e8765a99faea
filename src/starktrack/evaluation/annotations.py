"""What scoring needs of a data set: the truth, read by the data set's own reader, with or without frames."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from starktrack.config.benchmarks import BENCHMARKS
from starktrack.data.collection import ALL, open_benchmark
from starktrack.data.sources.dataset import Dataset, Reader, VideoDataset, select
from starktrack.data.sources.folders import open_folder
from starktrack.data.sources.frames_on_disk import MissingFrames
from starktrack.data.sources.nfs import rows_of_frames
from starktrack.data.sources.notu import PART_SPLITS, UnionDataset
from starktrack.data.sources.plain import PLAIN
from starktrack.data.sources.registry import SOURCES
from starktrack.errors import DatasetError, nearest_name
from starktrack.evaluation.dialects import Dialect


@dataclass(frozen=True)
class Annotation:
    """The truth about one sequence.

    Attributes:
        name: Unique within its data set.
        boxes_xywh: Image pixels; rows without a target may hold NaN or zeros.
        visible: Frames that the data set does not flag as absent, or None where it has no flags.
        size_wh: Width and height of the frames, pixels, where known (GOT-10k clips boxes to it).
        object_class: What the target is, where known.
        attributes: What makes the sequence hard (`fast motion` …), where known.
        left_out_xywh: Boxes before the first frame that count where a result has them (OTB's Tiger1).
        rows_per_frame: See `data.sources.dataset.BenchmarkInfo`.
    """

    name: str
    boxes_xywh: Float[np.ndarray, "num_frames 4"]
    visible: Bool[np.ndarray, " num_frames"] | None = None
    size_wh: tuple[int, int] | None = None
    object_class: str | None = None
    attributes: tuple[str, ...] = ()
    left_out_xywh: Float[np.ndarray, "num_left_out 4"] = field(default_factory=lambda: np.zeros((0, 4)))
    rows_per_frame: int = 0

    def __len__(self) -> int:
        """Return the number of annotated frames."""
        return len(self.boxes_xywh)


def matched_to(annotation: Annotation, num_predicted: int) -> Annotation:
    """Return the annotation with the rows that a result of this length is about.

    Two data sets leave room: OTB's Tiger1 starts at frame 1 or 6, and NFS as published says by its frames, which
    a result has one row for, which rows count.
    """
    boxes, early = annotation.boxes_xywh, annotation.left_out_xywh
    if len(early) and num_predicted == len(boxes) + len(early):
        return replace(annotation, boxes_xywh=np.concatenate([early, boxes]), left_out_xywh=early[:0])
    if annotation.rows_per_frame and num_predicted:
        rows = rows_of_frames(len(boxes), num_predicted, annotation.rows_per_frame)
        return annotation if rows is None else replace(annotation, boxes_xywh=boxes[rows], rows_per_frame=0)
    return annotation


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
    """Return a data set of which perhaps only the annotations are there, by its published lists.

    Args:
        name: One of `NAMES`.
        places: Its folder or zip, as distributed, or annotations apart from the frames; for a union the place
            of each data set by name, or the folder of all of them.
        split: Another part than the benchmark's.

    Raises:
        DatasetError: Unknown, or nothing of it is there.
    """
    if isinstance(places, Mapping):
        parts = {part: _open(part, place, _split_within(name, part)) for part, place in places.items()}
        missing = tuple(f"{part}_{name}" for part, dataset in parts.items() for name in dataset.missing)
        return UnionDataset(name, ALL, parts, missing)
    return _open(name, places, split)


def _split_within(union: str, part: str) -> str | None:
    return PART_SPLITS.get(part) if union == "notu" else None


def _open(name: str, place: Path, split: str | None) -> Dataset:
    if name not in NAMES:
        raise DatasetError(f"unknown data set {name!r}{nearest_name(name, NAMES)}")
    if name == PLAIN.name:
        return _require_some(PLAIN.open(open_folder(place), "all"), place)
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


def _require_some(dataset: Dataset, place: Path) -> Dataset:
    if not len(dataset):
        raise DatasetError(
            f"{place} must hold annotations of {dataset.name} {dataset.split}, such as <seq>.txt or "
            f"<seq>/groundtruth.txt, got none; see: starktrack data check {place}"
        )
    return dataset


def annotations_of(dataset: Dataset, names: Iterable[str] | None = None) -> list[Annotation]:
    """Return the truth of sequences, those left out of which only the first box is published.

    Args:
        dataset: What `open_truth` or `open_benchmark` gave.
        names: Only these, in this order.

    Raises:
        DatasetError: One of `names` is not there, or a file is damaged.
    """
    chosen = dataset.names if names is None else list(names)
    missing = [name for name in chosen if name not in set(dataset.names)] if names is not None else []
    if missing:
        raise DatasetError(
            f"{dataset.name} {dataset.split} must hold every sequence asked for, got {len(missing)} of "
            f"{len(chosen)} missing: {', '.join(missing[:5])}"
        )
    return [found for name in chosen if (found := _annotation(dataset, name)) is not None]


def missing_labels(dataset: str, annotations: Sequence[Annotation], chosen: Dialect) -> list[str]:
    """Return which rules of a dialect the annotations lack the labels for, one line each."""
    told = []
    unsized = sum(annotation.size_wh is None for annotation in annotations)
    if chosen.clip_to_image and unsized:
        told.append(
            f"{unsized} of {len(annotations)} sequences have no resolution in meta_info.ini: boxes are not clipped"
        )
    unflagged = sum(annotation.visible is None for annotation in annotations)
    if chosen.absent_flags == "invalid" and dataset.startswith(FLAGGED) and unflagged:
        told.append(
            f"{unflagged} of {len(annotations)} sequences have no labels of absence (cover.label, absent/): "
            "frames without target count"
        )
    return told


def _annotation(dataset: Dataset, name: str) -> Annotation | None:
    sequence, info = dataset[name], dataset.benchmark_info(name)
    is_bare = isinstance(sequence.frames, MissingFrames)
    if len(sequence) < len(sequence.frames) or (is_bare and len(sequence) == 1):
        return None
    return Annotation(
        name,
        sequence.boxes_xywh,
        None if sequence.flagged_absent is None else ~sequence.flagged_absent,
        info.resolution_wh,
        sequence.object_class,
        left_out_xywh=info.left_out_xywh,
        rows_per_frame=info.rows_per_frame if is_bare else 0,
    )

"""The boxes of a whole data set in one compact file, so that training parses no text.

An index holds float32 boxes end to end, where each sequence starts, visibility bits, classes, the pattern of
the frames' names and which sequences show the same frames: the 14 million boxes of TrackingNet take 250 MB.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int64

from starktrack.data.cache import cache_folder
from starktrack.data.sources.columns import (
    Columns,
    Texts,
    load_columns,
    offsets_of,
    pack_texts,
    save_columns,
)
from starktrack.data.sources.dataset import Dataset, Entry, Reader, VideoDataset, position_of
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import NamedFrames, NumberedFrames
from starktrack.data.sources.tracks import TracksDataset
from starktrack.data.video_sequence import FrameSource, TargetClasses, VideoSequence
from starktrack.errors import DatasetError

NUM_STAMPERS = 16
"""Number of threads that read the times of files; they only wait for disks."""

FEW = 64
"""Number of sequences below which starting processes would take longer than reading."""

_FORM = 2


class IndexedDataset:
    """A video data set with its boxes in memory; frames stay on disk."""

    def __init__(self, dataset: VideoDataset, columns: Columns) -> None:
        self.name = dataset.name
        self.split = dataset.split
        self.missing = dataset.missing
        self._dataset = dataset
        self._columns = columns
        self._classes = Texts(columns["classes"], columns["class_offsets"])
        self._patterns = Texts(columns["patterns"], columns["pattern_offsets"])
        self._positions = {name: position for position, name in enumerate(dataset.names)}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the sequences, in the published order."""
        return self._dataset.names

    def target_classes(self) -> TargetClasses:
        """Return the class of every target, as far as the data set tells."""
        names = [self._classes[row] for row in range(len(self))]
        known = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return TargetClasses(tuple(known), np.array([known[name] for name in names], np.int64))

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, key: int | str) -> VideoSequence:
        index = range(len(self))[position_of(key, self._positions, self.name)]
        entry, columns = self._dataset.entries[index], self._columns
        start, stop = columns["offsets"][index : index + 2]
        return VideoSequence(
            name=entry.name,
            frames=self._frames(entry, index),
            boxes_xywh=columns["boxes"][start:stop],
            visible=np.unpackbits(columns["visible"][start // 8 : (stop + 7) // 8])[
                start % 8 : start % 8 + stop - start
            ].astype(bool),
            object_class=self._classes[index] or None,
            videos=frozenset((self._dataset.entries[columns["groups"][index]].name,)),
            masks=self._dataset.reader.masks(entry),
        )

    def _frames(self, entry: Entry, index: int) -> FrameSource:
        first, count = (int(value) for value in self._columns["frames"][index])
        pattern, _, inner = self._patterns[index].partition("\0")
        folder = entry.frames.below(inner) if inner else entry.frames
        if first < 0:
            return NamedFrames(folder, tuple(pattern.split("\n")))
        return NumberedFrames(folder, pattern, first, count)


def indexed(dataset: Dataset, progress: Callable[[int, int], None] = lambda done, total: None) -> Dataset:
    """Return the same data set with its boxes in memory, from the cache folder or read now and kept there.

    Its sequences are for training: what only scoring asks for (`flagged_absent`, `benchmark`) is left out.

    Args:
        dataset: What `open_dataset` gave; still pictures and annotated videos are in memory already and come back
            as they are, the latter with the frames of their video files in the cache folder.
        progress: Called with the number of sequences (or video files) read so far and of all.

    Raises:
        DatasetError: An annotation is missing or broken; names the file.
    """
    if isinstance(dataset, TracksDataset):
        dataset.unpack(progress)
    if not isinstance(dataset, VideoDataset):
        return dataset
    kept = cache_folder() / "index" / f"{dataset.name}-{_fingerprint(dataset)}.npz"
    columns = load_columns(kept)
    if columns is None:
        columns = _build(dataset, progress)
        save_columns(kept, columns)
    return IndexedDataset(dataset, columns)


def _fingerprint(dataset: VideoDataset) -> str:
    """Return a text that changes with any sequence, its place, its annotation file or its list of frames."""
    digest = hashlib.sha256(f"{dataset.name}|{dataset.split}|{_FORM}".encode())
    with ThreadPoolExecutor(NUM_STAMPERS) as pool:
        for text in pool.map(_stamp, dataset.entries):
            digest.update(text.encode())
    return digest.hexdigest()[:24]


def _stamp(entry: Entry) -> str:
    return f"{entry}|{entry.labels.stamp(entry.annotation)}|{entry.frames.stamp()}\n"


@dataclass(frozen=True)
class _Row:
    """The index's record of one sequence."""

    boxes: Float[np.ndarray, "num_frames 4"]
    visible: Bool[np.ndarray, " num_frames"]
    object_class: str
    pattern: str
    frames: tuple[int, int]
    marks: frozenset[str]


def _build(dataset: VideoDataset, progress: Callable[[int, int], None]) -> Columns:
    rows = []
    for row in _rows(dataset):
        rows.append(row)
        progress(len(rows), len(dataset))
    classes, patterns = pack_texts(row.object_class for row in rows), pack_texts(row.pattern for row in rows)
    return {
        "boxes": np.concatenate([np.zeros((0, 4), np.float32), *(row.boxes for row in rows)]),
        "visible": np.packbits(np.concatenate([np.zeros(0, bool), *(row.visible for row in rows)])),
        "offsets": offsets_of([len(row.boxes) for row in rows]),
        "frames": np.array([row.frames for row in rows], np.int64).reshape(-1, 2),
        "groups": group_by_marks([row.marks for row in rows]),
        "classes": classes.content,
        "class_offsets": classes.offsets,
        "patterns": patterns.content,
        "pattern_offsets": patterns.offsets,
    }


def _rows(dataset: VideoDataset) -> Iterator[_Row]:
    """Read every sequence, in processes if there are many: parsing text holds the interpreter's lock."""
    read = partial(_read_row, dataset.reader)
    if len(dataset) <= FEW:
        yield from map(read, dataset.entries)
        return
    with ProcessPoolExecutor() as pool:
        yield from pool.map(read, dataset.entries, chunksize=16)


def _read_row(reader: Reader, entry: Entry) -> _Row:
    sequence = reader.read(entry)
    return _Row(
        sequence.boxes_xywh.astype(np.float32),
        sequence.visible,
        sequence.object_class or "",
        *_describe(sequence.frames, entry),
        reader.marks(sequence),
    )


def group_by_marks(marks: Sequence[frozenset[str]]) -> Int64[np.ndarray, " num_sequences"]:
    """Return for each sequence the first one that it is connected with by marks that sequences share."""
    # Sets are joined as trees: `parent` leads to the first sequence of a set, `owner` from a mark to a member.
    parent, owner = list(range(len(marks))), {}

    def first_of(index: int) -> int:
        while parent[index] != index:
            # Every step halves the way for the next question.
            parent[index] = index = parent[parent[index]]
        return index

    for index, own in enumerate(marks):
        for mark in own:
            one, other = first_of(owner.setdefault(mark, index)), first_of(index)
            parent[max(one, other)] = min(one, other)
    return np.array([first_of(index) for index in range(len(marks))], np.int64)


def _describe(frames: FrameSource, entry: Entry) -> tuple[str, tuple[int, int]]:
    if isinstance(frames, NumberedFrames):
        return f"{frames.pattern}\0{_relative(frames.folder, entry)}", (frames.first, frames.count)
    if isinstance(frames, NamedFrames):
        return "\n".join(frames.names) + f"\0{_relative(frames.folder, entry)}", (-1, len(frames.names))
    raise DatasetError(f"{entry.frames} must hold the frames of {entry.name} to be indexed; they are missing")


def _relative(folder: Folder, entry: Entry) -> str:
    """Return the path from the entry's folder to the folder with the frames."""
    if folder.path == entry.frames.path:
        return (folder.inside or "")[len(entry.frames.inside or "") :].rstrip("/")
    return Path(folder.path).relative_to(entry.frames.path).as_posix()

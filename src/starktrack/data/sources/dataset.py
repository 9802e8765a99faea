"""The interface of data sets: sequences by number and by name, read on demand."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from starktrack.data.sources.folders import Folder
from starktrack.data.video_sequence import MaskSource, SequenceCollection, VideoSequence
from starktrack.errors import DatasetError, nearest_name


@runtime_checkable
class Dataset(SequenceCollection, Protocol):
    """A collection from disk with access by name too; cheap to open, and it can be sent to processes."""

    name: str
    split: str
    missing: tuple[str, ...]

    def __getitem__(self, key: int | str, /) -> VideoSequence:
        """Return a sequence by number (from 0) or by name."""
        ...


@dataclass(frozen=True)
class Entry:
    """The files of one sequence of a video data set.

    Attributes:
        name: Unique within the data set.
        frames: The folder of its frames.
        labels: The folder of its annotation.
        annotation: File of the boxes in `labels`.
        first: Number in the name of the frame that the first row of the annotation describes.
        skip: Rows and frames to leave out at the start.
        target: Which of several targets of one video, if the annotation has several.
    """

    name: str
    frames: Folder
    labels: Folder
    annotation: str
    first: int = 1
    skip: int = 0
    target: int = 0


@dataclass(frozen=True)
class Found:
    """The result of a search for a split's sequences."""

    entries: tuple[Entry, ...]
    missing: tuple[str, ...]


def _no_masks(entry: Entry) -> MaskSource | None:
    return None


def _origins(sequence: VideoSequence) -> frozenset[str]:
    return sequence.origins


@dataclass(frozen=True)
class Reader:
    """How sequences of one data set are read; every function can be pickled.

    Attributes:
        read: Gives the sequence of an entry.
        masks: Gives its masks, so that an index can bring them back.
        marks: Gives marks that sequences share if, and only if, they show the same frames.
    """

    read: Callable[[Entry], VideoSequence]
    masks: Callable[[Entry], MaskSource | None] = _no_masks
    marks: Callable[[VideoSequence], frozenset[str]] = _origins


class VideoDataset:
    """Videos with a file of boxes each, parsed on every access; see `index` for large sets."""

    def __init__(self, name: str, split: str, found: Found, reader: Reader) -> None:
        self.name = name
        self.split = split
        self.entries = found.entries
        self.missing = found.missing
        self.reader = reader
        self._positions = {entry.name: position for position, entry in enumerate(found.entries)}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the sequences, in the published order."""
        return tuple(self._positions)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: int | str) -> VideoSequence:
        """Return a sequence by number (from 0) or by name."""
        return self.reader.read(self.entry(key))

    def __iter__(self) -> Iterator[VideoSequence]:
        return (self.reader.read(entry) for entry in self.entries)

    def entry(self, key: int | str) -> Entry:
        """Return where a sequence lies.

        Raises:
            DatasetError: There is no sequence of this name.
        """
        return self.entries[position_of(key, self._positions, self.name)]


def position_of(key: int | str, positions: dict[str, int], dataset: str) -> int:
    """Return the number of a sequence given by number or name.

    Raises:
        DatasetError: There is no sequence of this name.
    """
    if not isinstance(key, str):
        return key
    if key not in positions:
        raise DatasetError(f"{dataset} has no sequence {key!r} here{nearest_name(key, positions)}")
    return positions[key]


def select(wanted: Sequence[str], entries: dict[str, Entry]) -> Found:
    """Return the wanted entries in their order, and the names of missing ones."""
    present = tuple(entries[name] for name in wanted if name in entries)
    return Found(present, tuple(name for name in wanted if name not in entries))


def _no_own_splits(root: Folder) -> list[str]:
    return []


@dataclass(frozen=True)
class DatasetSpec:
    """A kind of data set that can be opened by name.

    Attributes:
        name: How people call it in recipes and commands.
        title: Its published name and what it is.
        splits: Its parts; an asterisk stands for your own names.
        open: Opens the data set below a root; missing sequences are no error here.
        own_splits: Names the parts of one's own that a root holds.
    """

    name: str
    title: str
    splits: tuple[str, ...]
    open: Callable[[Folder, str], Dataset]
    own_splits: Callable[[Folder], list[str]] = _no_own_splits


def video_spec(
    name: str,
    title: str,
    splits: tuple[str, ...],
    find: Callable[[Folder, str], Found],
    reader: Reader,
    own_splits: Callable[[Folder], list[str]] = _no_own_splits,
) -> DatasetSpec:
    """Return the source of a data set of videos.

    Args:
        name: How people call it.
        title: Its published name.
        splits: Its parts.
        find: Finds the sequences of a split.
        reader: Reads one of them.
        own_splits: Names the parts of one's own that a root holds.
    """

    def open_split(root: Folder, split: str) -> Dataset:
        return VideoDataset(name, split, find(root, split), reader)

    return DatasetSpec(name, title, splits, open_split, own_splits)

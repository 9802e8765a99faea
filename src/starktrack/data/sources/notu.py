"""NOTU: the 401 sequences of NFS, OTB100, the `_ce` part of TC128, and UAV123.

A name is the data set's and the sequence's, as in `otb_David`, for some sequences share a name.

Source: the definition by the paper's authors (100 + 100 + 78 + 123 sequences, each counting the same).
"""

import dataclasses

from starktrack.data.sources.dataset import Dataset, DatasetSpec, position_of
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.nfs import NFS
from starktrack.data.sources.otb import OTB
from starktrack.data.sources.tc128 import TC128
from starktrack.data.sources.uav123 import UAV123
from starktrack.data.video_sequence import VideoSequence

_PARTS = (
    (NFS, "30fps", ("nfs", "NFS", "Nfs")),
    (OTB, "test", ("otb", "OTB", "OTB100", "OTB2015", "otb100")),
    (TC128, "ce", ("tc128", "TC128", "Temple-color-128")),
    (UAV123, "test", ("uav123", "UAV123", "uav")),
)


PART_SPLITS = {source.name: split for source, split, _ in _PARTS}
"""Which part of each data set belongs to NOTU."""


class UnionDataset:
    """Several data sets as one."""

    def __init__(self, name: str, split: str, parts: dict[str, Dataset], missing: tuple[str, ...]) -> None:
        self.name = name
        self.split = split
        self.parts = parts
        self.missing = missing
        self._owners = [(part, own) for part, dataset in parts.items() for own in dataset.names]
        self._positions = {f"{part}_{own}": position for position, (part, own) in enumerate(self._owners)}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the sequences, each after its data set's."""
        return tuple(self._positions)

    def __len__(self) -> int:
        return len(self._owners)

    def __getitem__(self, key: int | str) -> VideoSequence:
        part, own = self._owners[position_of(key, self._positions, self.name)]
        return dataclasses.replace(self.parts[part][own], name=f"{part}_{own}")

    def part_of(self, name: str) -> str:
        """Return which data set a sequence is from, of a union in this one too: the rules are those of it."""
        part, own = self._owners[position_of(name, self._positions, self.name)]
        inner = self.parts[part]
        return inner.part_of(own) if isinstance(inner, UnionDataset) else part


def _open(root: Folder, split: str) -> Dataset:
    parts: dict[str, Dataset] = {}
    missing: list[str] = []
    for source, part_split, places in _PARTS:
        folder = next((found for place in places if (found := root.folder(place))), None)
        # An absent folder opens as an empty data set, which lists everything as missing.
        dataset = source.open(folder or root.below(places[0]), part_split)
        parts[source.name] = dataset
        missing += [f"{source.name}_{name}" for name in dataset.missing]
    return UnionDataset("notu", split, parts, tuple(missing))


NOTU = DatasetSpec("notu", "NOTU (NFS + OTB100 + TC128ce + UAV123)", ("test",), _open)

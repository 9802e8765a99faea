"""All data sets below one folder as one, to track and score them with one command."""

from collections.abc import Iterable
from pathlib import Path

from starktrack.config.benchmarks import BENCHMARKS
from starktrack.data.check import recognise
from starktrack.data.sources.dataset import Dataset, VideoDataset
from starktrack.data.sources.folders import open_folder
from starktrack.data.sources.notu import UnionDataset
from starktrack.data.sources.registry import open_dataset
from starktrack.errors import DatasetError

ALL = "all"
"""Name of the collection in place of a data set's name."""


def open_benchmark(
    name: str, root: Path, split: str | None = None, *, allow_missing: bool = False
) -> Dataset:
    """Return a data set by name in the split that benchmarks use, or every one below a folder.

    Args:
        name: A data set of the registry, or `all`.
        root: Its folder or zip; for `all` the folder of several.
        split: Another part than the benchmark's.
        allow_missing: Accept a split with missing sequences.

    Raises:
        DatasetError: Unknown name or split, no such folder, or sequences are missing; names them.
    """
    if name == ALL:
        return _open_all(root, allow_missing=allow_missing)
    known = split or (BENCHMARKS[name].split if name in BENCHMARKS else ALL)
    return open_dataset(name, root, known, allow_missing=allow_missing)


def _open_all(root: Path, *, allow_missing: bool) -> Dataset:
    places = [(place, source) for place, source in recognise(open_folder(root)) if source.name in BENCHMARKS]
    if not places:
        raise DatasetError(f"{root} holds no data set that is known; see: starktrack data check {root}")
    parts: dict[str, Dataset] = {}
    for place, source in places:
        split = BENCHMARKS[source.name].split
        parts[_free(source.name, parts)] = source.open(place, split)
    missing = tuple(f"{part}_{name}" for part, dataset in parts.items() for name in dataset.missing)
    if missing and not allow_missing:
        raise DatasetError(
            f"the data sets below {root} must be whole, {len(missing)} sequences are missing: "
            f"{', '.join(missing[:8])}; add them, or allow missing ones explicitly"
        )
    return UnionDataset(ALL, ALL, parts, missing)


def _free(name: str, taken: dict[str, Dataset]) -> str:
    """Return the name, with a number where two folders hold the same data set."""
    count = sum(part.partition("#")[0] == name for part in taken)
    return f"{name}#{count + 1}" if count else name


def by_benchmark(dataset: Dataset, names: Iterable[str]) -> dict[str, list[str]]:
    """Return names by the data set they are from, whose inference settings and scoring rules apply."""
    parts: dict[str, list[str]] = {}
    for name in names:
        part = dataset.part_of(name) if isinstance(dataset, UnionDataset) else dataset.name
        parts.setdefault(part.partition("#")[0], []).append(name)
    return parts


def annotation_form(dataset: Dataset) -> str:
    """Return how the annotation files of a data set are named: NFS comes in two forms that differ in length.

    Example:
        `nfs_<sequence>.txt` for the re-packed NFS, `<sequence>.txt` for the published one.
    """
    if isinstance(dataset, UnionDataset):
        return ", ".join(f"{name}: {annotation_form(part)}" for name, part in dataset.parts.items())
    entries = dataset.entries[:1] if isinstance(dataset, VideoDataset) else ()
    return "".join(entry.annotation.replace(entry.name, "<sequence>") for entry in entries)

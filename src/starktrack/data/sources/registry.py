"""All data sets by name, and how one is opened."""

from pathlib import Path

from starktrack.data.sources.coco import COCO
from starktrack.data.sources.dataset import Dataset, DatasetSpec
from starktrack.data.sources.davis import DAVIS
from starktrack.data.sources.folders import open_folder
from starktrack.data.sources.got10k import GOT10K, VIDEOS
from starktrack.data.sources.lasot import LASOT
from starktrack.data.sources.nfs import NFS
from starktrack.data.sources.notu import NOTU
from starktrack.data.sources.otb import OTB
from starktrack.data.sources.tc128 import TC128
from starktrack.data.sources.tlp import TLP
from starktrack.data.sources.trackingnet import TRACKINGNET
from starktrack.data.sources.tracks import TRACKS
from starktrack.data.sources.uav123 import UAV123
from starktrack.data.sources.vot import VOT
from starktrack.errors import DatasetError, nearest_name

SOURCES: dict[str, DatasetSpec] = {
    source.name: source
    for source in (
        COCO,
        LASOT,
        GOT10K,
        TRACKINGNET,
        DAVIS,
        VOT,
        UAV123,
        OTB,
        NFS,
        TC128,
        TLP,
        NOTU,
        TRACKS,
        VIDEOS,
    )
}
"""In the order in which `starktrack data check` tries to recognise a folder: the plainest layout last."""


def open_dataset(name: str, root: str | Path, split: str, *, allow_missing: bool = False) -> Dataset:
    """Return a data set whose sequences are read when they are asked for.

    Args:
        name: A key of `SOURCES`.
        root: Its folder, or a zip file of it.
        split: One of the source's splits.
        allow_missing: Take the sequences that are there; `Dataset.missing` names the others.

    Raises:
        DatasetError: Unknown name or split, no such folder, or sequences are missing; names them.
    """
    if name not in SOURCES:
        raise DatasetError(f"unknown data set {name!r}{nearest_name(name, SOURCES)}")
    source = SOURCES[name]
    if split not in source.splits and "*" not in source.splits:
        raise DatasetError(f"{name} has no split {split!r}{nearest_name(split, source.splits)}")
    dataset = source.open(open_folder(Path(root)), split)
    if not len(dataset):
        raise DatasetError(
            f"{root} holds no sequence of {source.title} {split}; see: starktrack data check {root}"
        )
    if dataset.missing and not allow_missing:
        raise DatasetError(_missing_text(dataset, root))
    return dataset


def _missing_text(dataset: Dataset, root: str | Path) -> str:
    shown = ", ".join(dataset.missing[:8]) + (", ..." if len(dataset.missing) > 8 else "")
    total = len(dataset) + len(dataset.missing)
    return (
        f"{root} must hold all {total} sequences of {dataset.name} {dataset.split}, "
        f"{len(dataset.missing)} are missing: {shown}; add them, or allow missing ones explicitly"
    )

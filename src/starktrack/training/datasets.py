"""The data sets that a recipe names, opened below one data root."""

from collections.abc import Callable, Mapping
from pathlib import Path

from starktrack.config.training import DatasetConfig
from starktrack.data.parts import Parts
from starktrack.data.samples.drawing import Mixture
from starktrack.data.selection import outlined, select
from starktrack.data.sources import indexed, open_dataset
from starktrack.data.synthetic.videos import SyntheticVideos
from starktrack.data.video_sequence import SequenceCollection

SYNTHETIC = "synthetic"


def open_collections(
    datasets: Mapping[str, DatasetConfig],
    root: Path,
    seed: int,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> dict[str, SequenceCollection]:
    """Return the data sets by name, with the boxes of video sets in memory; pictures are read on demand.

    Args:
        datasets: What to open.
        root: Folder that their own roots lie below.
        seed: Of synthetic videos and of parts.
        progress: Called while an index is built, with name, sequences read so far, and all.

    Raises:
        DatasetError: A data set is unknown, missing or incomplete; names it.
    """
    opened: dict[str, SequenceCollection] = {}
    for name, config in datasets.items():
        if config.source != SYNTHETIC:
            found = open_dataset(
                config.source, root / config.root, config.split, allow_missing=config.allow_missing
            )
            whole = indexed(found, lambda done, total, name=name: progress(name, done, total))
            chosen = select(whole, only=config.only, exclude=config.exclude)
            chosen = outlined(chosen) if config.outlined else chosen
            opened[name] = Parts(chosen, seed) if config.parts else chosen
    for name, config in datasets.items():
        if config.source == SYNTHETIC:
            opened[name] = SyntheticVideos(
                opened[config.objects], opened[config.backgrounds], config.synthetic, seed
            )
    return {name: opened[name] for name in datasets}


def mix(datasets: Mapping[str, DatasetConfig], opened: Mapping[str, SequenceCollection]) -> Mixture:
    """Return the data sets as one, drawn from in proportion to their ratios."""
    ratios = tuple(each.ratio for each in datasets.values())
    return Mixture(tuple(opened[name] for name in datasets), ratios, tuple(datasets))

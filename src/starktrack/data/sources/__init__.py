"""Readers, one file per data set; `open_dataset` finds them by name."""

from starktrack.data.sources.dataset import Dataset
from starktrack.data.sources.index import indexed
from starktrack.data.sources.registry import SOURCES, open_dataset

__all__ = ["SOURCES", "Dataset", "indexed", "open_dataset"]

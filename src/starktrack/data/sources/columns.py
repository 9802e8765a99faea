"""Columns of a large data set in one file: arrays and packed text instead of millions of Python objects."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from starktrack.data.cache import write_cache

Columns = dict[str, np.ndarray]


class Texts:
    """Many short texts in one array of bytes; an item is decoded on access."""

    def __init__(
        self, content: UInt8[np.ndarray, " num_bytes"], offsets: Int64[np.ndarray, " num_texts_1"]
    ) -> None:
        self.content = content
        self.offsets = offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        return self.content[self.offsets[index] : self.offsets[index + 1]].tobytes().decode()


def pack_texts(texts: Iterable[str]) -> Texts:
    """Return the texts packed."""
    encoded = [text.encode() for text in texts]
    content = np.frombuffer(b"".join(encoded), np.uint8)
    return Texts(content, offsets_of([len(text) for text in encoded]))


def offsets_of(lengths: list[int]) -> Int64[np.ndarray, " num_parts_1"]:
    """Return the starts of consecutive parts, and the end of the last: [2, 3] gives [0, 2, 5]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array(lengths, np.int64), dtype=np.int64)])


def save_columns(path: Path, columns: Columns) -> bool:
    """Keep the columns in one file; return whether the cache could be written."""

    def write(file: Any) -> None:
        # The stubs see `allow_pickle` among the names that columns could have.
        np.savez(file, **columns)  # pyright: ignore[reportArgumentType]

    return write_cache(path, write)


def load_columns(path: Path) -> Columns | None:
    """Return the columns in a file, or None if it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return dict(kept)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None

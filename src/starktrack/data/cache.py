"""The cache folder: indices, listings of folders, compiled networks; never the data root, which may be read-only."""

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from platformdirs import user_cache_path

from starktrack.errors import InputError
from starktrack.files import atomic_write


def cache_folder() -> Path:
    """Return the system's cache folder; `$XDG_CACHE_HOME` moves it on Linux."""
    return user_cache_path("starktrack", appauthor=False)


def write_cache(path: Path, write: Callable[[IO[bytes]], Any]) -> bool:
    """Write a cache file whole or not at all; return whether it was kept.

    A cache that cannot be written (read-only home, full disk) costs time at the next start and is no error.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial, partial.open("wb") as file:
            write(file)
    except (OSError, InputError):
        return False
    return True

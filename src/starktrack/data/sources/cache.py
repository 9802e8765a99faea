"""Where parsed directories and indices are kept: never in the data root, which may be read-only."""

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def cache_folder() -> Path:
    """Return the folder for what can be computed again, in `$XDG_CACHE_HOME` or `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "starktrack"


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> bool:
    """Write a cache file so that readers see all of it or nothing; return whether it was kept.

    A cache that cannot be written (read-only home, full disk) costs time at the next start, never the run.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            temporary = Path(file.name)
            write(file)
        temporary.replace(path)
    except OSError:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        return False
    return True

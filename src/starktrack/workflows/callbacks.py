"""The types of callbacks that several workflows take.

A callback with a record of its own lies beside that record: `jobs.OnProgress`, `batch.OnStatus`.
"""

from collections.abc import Callable
from typing import TypeAlias

Note: TypeAlias = Callable[[str], object]
"""Takes one line of text."""

OnFrame: TypeAlias = Callable[[str, int, int | None], None]
"""Takes the name of a video, the frames done (0 before the first), and of all where that is known."""

OnIndex: TypeAlias = Callable[[str, int, int], None]
"""Called while the index of a data set is built, with its name, the number of sequences read, and of all."""

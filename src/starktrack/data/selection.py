"""Part of a data set, chosen by names or properties of its sequences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np
from jaxtyping import Int64

from starktrack.data.video_sequence import SequenceCollection, TargetClasses, VideoSequence, classes_of
from starktrack.errors import DatasetError, nearest_name


@dataclass(frozen=True, eq=False)
class Selection:
    """Some sequences of a data set, itself a `SequenceCollection`."""

    whole: SequenceCollection
    positions: Int64[np.ndarray, " num_chosen"]

    @property
    def names(self) -> Sequence[str]:
        """Return the name of every chosen sequence."""
        names = self.whole.names
        return [names[int(position)] for position in self.positions]

    def target_classes(self) -> TargetClasses:
        """Return the class of every chosen target."""
        classes = classes_of(self.whole)
        return replace(classes, number=classes.number[self.positions]) if classes.names else classes

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int, /) -> VideoSequence:
        """Return chosen sequence `index` (from 0)."""
        return self.whole[int(self.positions[index])]


def select(
    collection: SequenceCollection, *, only: Iterable[str] = (), exclude: Iterable[str] = ()
) -> SequenceCollection:
    """Return the sequences whose names match a pattern of `only` (all without one) and none of `exclude`.

    Example:
        `select(videos, only=["otb_*"], exclude=["otb_Car1"])`

    Raises:
        DatasetError: A pattern matches no name, or no sequence is left.
    """
    only, exclude = tuple(only), tuple(exclude)
    if not only and not exclude:
        return collection
    names = list(collection.names)
    for pattern in (*only, *exclude):
        if not any(fnmatchcase(name, pattern) for name in names):
            hint = nearest_name(pattern, names)
            if "did you mean" not in hint:
                hint = nearest_name(pattern, names[:20])  # lists the first names, not all of a large data set
            raise DatasetError(f"a pattern of only or exclude must match a sequence, got {pattern!r}{hint}")
    kept = np.flatnonzero(
        [(not only or _matches(name, only)) and not _matches(name, exclude) for name in names]
    )
    if not len(kept):
        raise DatasetError(f"only={list(only)} and exclude={list(exclude)} must leave sequences, got none")
    return Selection(collection, kept)


def outlined(collection: SequenceCollection) -> Selection:
    """Return the sequences whose target has an outline: masks or polygons.

    Raises:
        DatasetError: There is none.
    """
    kept = np.flatnonzero([collection[position].masks is not None for position in range(len(collection))])
    if not len(kept):
        raise DatasetError("outlined = true needs sequences with masks or polygons, got none; leave it out")
    return Selection(collection, kept)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)

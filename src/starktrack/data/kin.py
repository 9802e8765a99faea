"""Which targets of a data set are of the same class: real look-alikes, which copies of a target are not."""

from collections.abc import Sequence as List
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from starktrack.data.sampling import SequenceCollection

MAX_DRAWS = 5
"""Targets of the class that are drawn before none is said to be another one."""


@runtime_checkable
class Classified(Protocol):
    """A data set that tells the class of each target without making its sequence."""

    @property
    def object_classes(self) -> List[str]:
        """Return the class of every target, empty where it is not known."""
        ...


class Kin:
    """The targets of a data set by class; capital letters do not count.

    Without classes in the data set, no target has kin.
    """

    def __init__(self, collection: SequenceCollection) -> None:
        self._collection = collection

    @cached_property
    def _positions(self) -> dict[str, Int64[np.ndarray, " num_targets"]]:
        classes = self._collection.object_classes if isinstance(self._collection, Classified) else ()
        names, numbers = np.unique([name.casefold() for name in classes], return_inverse=True)
        groups = np.split(np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers))[:-1])
        return {str(name): group for name, group in zip(names, groups, strict=False) if name}

    def has(self, object_class: str | None) -> bool:
        """Return whether there are targets of the class."""
        return (object_class or "").casefold() in self._positions

    def draw(self, object_class: str | None, origins: frozenset[str], rng: np.random.Generator) -> int | None:
        """Return a target of the class from other videos or pictures than `origins`; None if none was found."""
        if not self.has(object_class):
            return None
        of_class = self._positions[(object_class or "").casefold()]
        for _ in range(MAX_DRAWS):
            position = int(rng.choice(of_class))
            if not self._collection[position].origins & origins:
                return position
        return None

"""Targets of the same class, as distractors from real pictures."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from jaxtyping import Int

from starktrack.data.video_sequence import SequenceCollection, VideoSequence, classes_of

MAX_LOOKED_AT = 20
"""Targets of the class that are tried before the answer is that none fits."""


class TargetsByClass:
    """The targets of a data set by class; names ignore case."""

    def __init__(self, collection: SequenceCollection) -> None:
        self._collection = collection

    @cached_property
    def _positions(self) -> dict[str, Int[np.ndarray, " num_of_class"]]:
        classes = classes_of(self._collection)
        folded = {name: name.casefold() for name in classes.names if name}
        found = dict.fromkeys(folded.values(), np.zeros(0, np.int64))
        order = np.argsort(classes.number, kind="stable")
        edges = np.searchsorted(classes.number[order], range(len(classes.names) + 1))
        for which, name in enumerate(classes.names):
            if name:
                same = order[edges[which] : edges[which + 1]]
                found[folded[name]] = np.concatenate([found[folded[name]], same])
        return {name: positions for name, positions in found.items() if len(positions)}

    def draw(
        self,
        object_class: str | None,
        origins: frozenset[str],
        rng: np.random.Generator,
        *,
        fits: Callable[[VideoSequence], bool] = lambda sequence: True,
    ) -> VideoSequence | None:
        """Return a target of the class, None if none fits.

        Args:
            object_class: Its class.
            origins: Videos or pictures to leave out.
            rng: The source of randomness.
            fits: A further condition.
        """
        of_class = self._positions.get((object_class or "").casefold(), ())
        for position in rng.choice(of_class, min(len(of_class), MAX_LOOKED_AT), replace=False):
            sequence = self._collection[int(position)]
            if not sequence.origins & origins and fits(sequence):
                return sequence
        return None

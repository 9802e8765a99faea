"""Parts of targets as targets: a head, a sign on a van, half a dog. Users box such things; few data sets do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from starktrack.data.video_sequence import SequenceCollection, TargetClasses, VideoSequence, classes_of

SHARES = (0.35, 0.8)
"""Width and height of a part, over those of the whole."""

MIN_SIDE = 12
"""Narrower or lower parts are not taken: such a target stays whole, image pixels."""

STREAM = 0x9A575
"""Keeps the draws of parts apart from those of samples."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The targets of a data set, each cut down to one part of its box; itself a `SequenceCollection`.

    Which part is drawn once from `(seed, index)`, as shares of the box; meant for still pictures, for in a video the
    same share of the box may come to show another part.
    """

    whole: SequenceCollection
    seed: int = 0

    @property
    def names(self) -> Sequence[str]:
        """Return the name of every target that a part is taken of."""
        return self.whole.names

    def target_classes(self) -> TargetClasses:
        """Return the class of the whole that each part is of."""
        return classes_of(self.whole)

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, index: int, /) -> VideoSequence:
        """Return target `index` (from 0), cut down."""
        sequence = self.whole[index]
        size = np.nanmin(sequence.boxes_xywh[sequence.visible, 2:], axis=0, initial=np.inf)
        share = self._share(index)
        if (size * share[2:]).min() < MIN_SIDE:
            return sequence
        corner = sequence.boxes_xywh[:, :2] + sequence.boxes_xywh[:, 2:] * share[:2]
        boxes = np.concatenate([corner, sequence.boxes_xywh[:, 2:] * share[2:]], axis=1)
        return replace(sequence, boxes_xywh=boxes, masks=None)

    def _share(self, index: int) -> Float[np.ndarray, "4"]:
        """Return where the part lies in its box, xywh in sides of the box."""
        rng = np.random.default_rng([self.seed, STREAM, index])
        size = rng.uniform(*SHARES, 2)
        return np.concatenate([(1 - size) * rng.random(2), size])

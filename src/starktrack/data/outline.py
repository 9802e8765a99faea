"""The target's outline in a crop, for networks that learn to draw it."""

from collections.abc import Sequence as List
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from starktrack.arrays import Box
from starktrack.data.sampling import SequenceCollection
from starktrack.data.sequence import Sequence
from starktrack.errors import DatasetError
from starktrack.geometry.crop import CropTransform, cut


@dataclass(frozen=True)
class Outline:
    """What a refiner learns from beyond the box.

    Attributes:
        template_box_cxcywh: The target in the initial template, crop units, after mirroring.
        pixels: Which pixels of the search crop are the target's, before mirroring; None where the data set
            does not say.
    """

    template_box_cxcywh: Box
    pixels: Bool[np.ndarray, "side side"] | None


def cut_outline(
    mask: Bool[np.ndarray, "height width"], window: CropTransform
) -> Bool[np.ndarray, "side side"]:
    """Return a mask as a crop of its frame shows it: pixels of which at least half is the target's."""
    shades = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255
    return cut(shades, window, "exact").image[..., 0] >= 128


@dataclass(frozen=True)
class Outlined:
    """The sequences of a data set whose target has an outline, itself a `SequenceCollection`."""

    whole: SequenceCollection
    positions: tuple[int, ...]

    @property
    def names(self) -> List[str]:
        """Return the name of every such sequence."""
        return [self.whole.names[position] for position in self.positions]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.positions)

    def __getitem__(self, index: int, /) -> Sequence:
        """Return one of them by number (from 0)."""
        return self.whole[self.positions[index]]


def outlined(collection: SequenceCollection) -> Outlined:
    """Return the sequences whose target has an outline.

    Raises:
        DatasetError: There is none.
    """
    kept = tuple(position for position in range(len(collection)) if collection[position].masks is not None)
    if not kept:
        raise DatasetError("outlined = true needs sequences with masks or polygons, got none; leave it out")
    return Outlined(collection, kept)

"""What a tracker asks of a network: NumPy in, NumPy out; the engine crops by itself.

This is the line between state and arithmetic: `tracking` owns boxes, templates and time, an engine owns the
network and its device. No torch on this side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from starktrack.arrays import Boxes, Image
from starktrack.config.schema import Config


@dataclass(frozen=True)
class BoxQueries:
    """Boxes on images: box b lies on `images[image_index[b]]`, so a frame reaches a device once.

    Attributes:
        images: The distinct frames.
        image_index: For each box, which frame it lies on.
        boxes_xywh: Image pixels.
    """

    images: Sequence[Image]
    image_index: Int[np.ndarray, " batch"]
    boxes_xywh: Float[np.ndarray, "batch 4"]

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.boxes_xywh)


@dataclass(frozen=True)
class Prediction:
    """What the network says about a batch of search regions.

    Attributes:
        boxes_cxcywh: In crop units [0, 1] of each search region.
        scores: Probability that the search region holds the target, or None without a score head.
    """

    boxes_cxcywh: Boxes
    scores: Float[np.ndarray, " batch"] | None


Template = Any
"""What an engine remembers of one template crop; only the engine that made it looks inside."""


@runtime_checkable
class Engine(Protocol):
    """A network behind a plain interface. Results do not depend on how boxes were grouped in `BoxQueries`.

    Whatever fulfils it can be given to `Tracker`: a network of your own, another runtime.

    Example:
        >>> import starktrack
        >>> isinstance(starktrack.load().engine, starktrack.Engine)
        True
    """

    @property
    def config(self) -> Config:
        """The network's configuration, and how to track with it unless a tracker has settings of its own."""
        ...

    def embed(self, queries: BoxQueries) -> list[Template]:
        """Return what the network keeps of a template cut around each box."""
        ...

    def predict(self, queries: BoxQueries, templates: Sequence[Sequence[Template]]) -> Prediction:
        """Return the target's box in the search region cut around each box.

        Args:
            queries: The last known box of each target, on the frame to search.
            templates: For each target its templates, initial first, dynamic after.
        """
        ...


@dataclass(frozen=True)
class Refinement:
    """What a refiner says about a batch of crops around boxes.

    Attributes:
        boxes_cxcywh: In crop units [0, 1].
        mask_logits: Of the cells of each crop, above 0 where the target is more likely than not.
    """

    boxes_cxcywh: Boxes
    mask_logits: Float[np.ndarray, "batch cells cells"]


@runtime_checkable
class Refiner(Protocol):
    """A second network that makes boxes exact and draws outlines; it composes with any tracker.

    Example:
        >>> import starktrack
        >>> isinstance(starktrack.load(refine="refine_mobile").refiner, starktrack.Refiner)
        True
    """

    @property
    def config(self) -> Config:
        """The network's configuration."""
        ...

    def embed(self, queries: BoxQueries) -> list[Template]:
        """Return what the network keeps of the target in each box, once, in the frame where it was given."""
        ...

    def predict(self, queries: BoxQueries, templates: Sequence[Sequence[Template]]) -> Refinement:
        """Return exact box and outline in the crop around each box that a tracker found.

        Args:
            queries: Where the tracker found each target.
            templates: For each target the one template of it.
        """
        ...

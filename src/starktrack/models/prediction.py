"""The interface of box heads, and their output."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class CentreMaps:
    """The centre head's output for every cell of the search region.

    Attributes:
        heat_logits: Logit that the target's centre lies in the cell.
        offset: Its place in the cell, x and y in cells [0, 1].
        size: Width and height of the target, crop units [0, 1].
    """

    heat_logits: Float[Tensor, "batch cells"]
    offset: Float[Tensor, "batch 2 cells"]
    size: Float[Tensor, "batch 2 cells"]


@dataclass(frozen=True)
class BoxPrediction:
    """A box per search region.

    Attributes:
        box_xyxy: Crop units [0, 1]; corners may be inverted early in training.
        corner_logits: Top-left and bottom-right map before the softmax, or None.
        centre: The maps of the centre head, or None.
    """

    box_xyxy: Float[Tensor, "batch 4"]
    corner_logits: Float[Tensor, "batch 2 cells"] | None
    centre: CentreMaps | None = None


@dataclass(frozen=True)
class CornerPrediction(BoxPrediction):
    """A box that was read from corner maps."""

    corner_logits: Float[Tensor, "batch 2 cells"]


@runtime_checkable
class BoxHead(Protocol):
    """Predicts the box from the encoded search region and the target's embedding."""

    def box(
        self, search: Float[Tensor, "batch cells width"], embedding: Float[Tensor, "batch width"]
    ) -> BoxPrediction:
        """Return the box in crop units."""
        ...

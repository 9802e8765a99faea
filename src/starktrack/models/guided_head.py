"""The guided corner head: the centre head picks the object, the corner maps locate its corners.

Not in the paper. Where two objects look alike, the expectation of a corner map lies between them. The peak of the heat
does not. So each corner map is weighted with a Gaussian around the corner of the box at the peak.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from starktrack.models.centre_head import CentreHead
from starktrack.models.corner_head import CornerHead
from starktrack.models.prediction import BoxPrediction

SPREAD = 0.5
"""Deviation of the Gaussian in widths and heights of the box at the peak; at least one cell."""


class GuidedHead(nn.Module):
    """A corner head and the centre head that guides its reading.

    It returns the corner maps without the weight. In train mode the box comes from the corner maps alone, so that the
    two heads learn independently.
    """

    def __init__(self, corner: CornerHead, centre: CentreHead) -> None:
        super().__init__()
        self.corner, self.centre = corner, centre

    def box(
        self, search: Float[Tensor, "batch cells width"], embedding: Float[Tensor, "batch width"]
    ) -> BoxPrediction:
        """Return the expected corners near the box at the peak of the heat, and all maps."""
        alone = self.corner.box(search, embedding)
        rough = self.centre.box(search, embedding)
        if self.training:
            return BoxPrediction(alone.box_xyxy, alone.corner_logits, rough.centre)
        near = self._near(rough.box_xyxy)
        guided = self.corner.expectation(alone.corner_logits.float() + near)
        return BoxPrediction(guided.box_xyxy, alone.corner_logits, rough.centre)

    def _near(self, box_xyxy: Float[Tensor, "batch 4"]) -> Float[Tensor, "batch 2 cells"]:
        """Return the logarithm of a Gaussian around each corner, up to a constant."""
        place = torch.stack([self.corner.expectation.x, self.corner.expectation.y])
        corners = box_xyxy.unflatten(1, (2, 2))
        deviation = ((corners[:, 1] - corners[:, 0]) * SPREAD).clamp(min=1 / self.corner.cells)
        away = (place - corners[..., None]) / deviation[:, None, :, None]
        return -0.5 * (away**2).sum(dim=2)

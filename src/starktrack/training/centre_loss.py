"""The loss of the centre maps: of the heat, and of the box at the true centre.

Source: the penalty-reduced focal loss of "Objects as Points" (Zhou et al. 2019), equation 1.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from starktrack.geometry.boxes import cxcywh_to_xyxy
from starktrack.models.centre_head import box_at
from starktrack.models.prediction import CentreMaps

SPREAD = 0.12
"""Deviation of the true heat around the centre, in sides of the box; at least `LEAST` cells."""
LEAST = 0.5


def centre_terms(
    maps: CentreMaps,
    true_xyxy: Float[Tensor, "batch 4"],
    others_cxcywh: Float[Tensor, "batch num_others 4"] | None = None,
    others_weight: float = 1.0,
) -> tuple[Float[Tensor, ""], Float[Tensor, "batch 4"]]:
    """Return the loss of the heat, and the boxes (xyxy, crop units) that the maps give at the true centres.

    Args:
        maps: The network's maps.
        true_xyxy: Crop units.
        others_cxcywh: Boxes of other targets in the search region, crop units; rows of zeros are none.
        others_weight: Weight of the heat in the middle of these boxes.
    """
    cells = round(maps.heat_logits.shape[1] ** 0.5)
    target = heat_target(true_xyxy, cells)
    weight = None
    if others_weight != 1 and others_cxcywh is not None and others_cxcywh.shape[1]:
        weight = 1 + (others_weight - 1) * others_heat(others_cxcywh, cells)
    return focal_loss(maps.heat_logits, target, weight), box_at(maps, target.argmax(dim=1))


def others_heat(
    others_cxcywh: Float[Tensor, "batch num_others 4"], cells: int
) -> Float[Tensor, "batch cells_squared"]:
    """Return a heat that is 1 in the middle of any other target and falls off like the target's."""
    there = others_cxcywh[..., 2:].amin(dim=-1) > 0
    heats = heat_target(cxcywh_to_xyxy(others_cxcywh.flatten(0, 1)), cells)
    return (heats.unflatten(0, there.shape) * there[..., None]).amax(dim=1)


def heat_target(true_xyxy: Float[Tensor, "batch 4"], cells: int) -> Float[Tensor, "batch cells_squared"]:
    """Return a heat that is 1 in the cell of each box's centre and falls off with the size of the box."""
    corner, opposite = true_xyxy[:, :2] * cells, true_xyxy[:, 2:] * cells
    centre = ((corner + opposite) / 2).floor().clamp(0, cells - 1)
    deviation = (SPREAD * (opposite - corner)).clamp(min=LEAST)
    index = torch.arange(cells, device=true_xyxy.device)
    falloff = torch.exp(-0.5 * ((index - centre[..., None]) / deviation[..., None]) ** 2)
    return (falloff[:, 1, :, None] * falloff[:, 0, None, :]).flatten(1)


def focal_loss(
    heat_logits: Float[Tensor, "batch cells"],
    target: Float[Tensor, "batch cells"],
    weight: Float[Tensor, "batch cells"] | None = None,
) -> Float[Tensor, ""]:
    """Return the penalty-reduced focal loss, summed over cells, mean over samples (exponents 2 and 4).

    `weight` multiplies the loss of all cells except the true centre.
    """
    hot, cold = functional.logsigmoid(heat_logits), functional.logsigmoid(-heat_logits)
    at_centre = -hot * cold.exp() ** 2
    elsewhere = -cold * hot.exp() ** 2 * (1 - target) ** 4
    elsewhere = elsewhere if weight is None else elsewhere * weight
    return torch.where(target == 1, at_centre, elsewhere).sum(dim=1).mean()

"""Precise pooling of a region: the mean of a bilinearly interpolated map over each bin, in closed form.

A map interpolated bilinearly is a sum of tents, one around each cell's middle. The integral of a tent is a
polynomial and the tents of rows and columns separate, so that pooling is two small matrix products: no
sampling points, and a gradient for the box as well.

Source: Jiang et al., Acquisition of Localization Confidence for Accurate Object Detection, ECCV 2018, equation 5.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from starktrack.geometry.boxes import cxcywh_to_xyxy

SMALLEST_BIN = 1e-3
"""Smallest side of a bin, cells; a bin without area takes the value at its place."""


def precise_pool(
    features: Float[Tensor, "batch channels height width"],
    boxes_cxcywh: Float[Tensor, "batch 4"],
    bins: int,
) -> Float[Tensor, "batch channels {bins} {bins}"]:
    """Return the mean of the map over `bins` x `bins` equal parts of each box.

    Convention: a cell's value lies in its middle; outside the map the value falls to 0 within a cell.

    Args:
        features: One map for each box.
        boxes_cxcywh: Units of the map's sides: 0 and 1 are its edges.
        bins: Parts along each side of the box.
    """
    height, width = features.shape[2:]
    left, top, right, bottom = cxcywh_to_xyxy(boxes_cxcywh.to(features.dtype)).unbind(-1)
    rows = _shares(top * height, bottom * height, bins, height)
    columns = _shares(left * width, right * width, bins, width)
    # Not einsum: that of ONNX Runtime ends the process for an empty batch.
    return rows[:, None] @ features @ columns[:, None].mT


def _shares(
    start: Float[Tensor, " batch"], stop: Float[Tensor, " batch"], bins: int, cells: int
) -> Float[Tensor, "batch {bins} {cells}"]:
    """Return how much of each bin's mean along one axis comes from each cell; all in cells."""
    step = ((stop - start) / bins).clamp(min=SMALLEST_BIN)
    edges = start[:, None] + step[:, None] * torch.arange(bins + 1, device=start.device)
    middles = torch.arange(cells, device=start.device) + 0.5
    below = _tent_integral(edges[..., None] - middles)
    return (below[:, 1:] - below[:, :-1]) / step[:, None, None]


def _tent_integral(distance: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the integral of max(0, 1 - |t|) from minus infinity to each distance."""
    reach = distance.clamp(-1, 1)
    return 0.5 + reach - reach * reach.abs() / 2

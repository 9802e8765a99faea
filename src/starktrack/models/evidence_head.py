"""A score from more than the target's embedding: it compares the predicted box with the template.

Not in the paper. With a decoder of one layer the embedding alone says little about presence. The sharpness of the box
head's maps says more, and so does the similarity of the features in the predicted box and in the template.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from starktrack.models.features import Features
from starktrack.models.mlp_head import Perceptron
from starktrack.models.prediction import BoxPrediction

EDGE = 2.0
"""Slope of a cell's weight across the edge of the predicted box, per cell."""


class EvidenceScoreHead(nn.Module):
    """The logit that the search region holds the target, from the embedding, the maps and the features.

    Args:
        width: Channels of the tokens.
        cells: Cells along one side of the search region.
        template_cells: Cells along one side of a template.
        template_factor: Side of a template over that of the target.
        num_maps: Maps of the box head: two corners, one centre, or all three.
    """

    centre: Float[Tensor, " cells"]
    on_target: Float[Tensor, " template_cells_squared"]

    def __init__(
        self, width: int, cells: int, template_cells: int, template_factor: float, num_maps: int
    ) -> None:
        super().__init__()
        self.perceptron = Perceptron(4 * width + 3 * num_maps, width, 1)
        centre = (torch.arange(cells) + 0.5) / cells
        self.register_buffer("centre", centre, persistent=False)
        # In every template the target has the same place: the middle, 1 / template_factor of each side.
        target = torch.tensor([[0.5 - 0.5 / template_factor] * 2 + [0.5 + 0.5 / template_factor] * 2])
        place = (torch.arange(template_cells) + 0.5) / template_cells
        self.register_buffer("on_target", inside(target, place)[0], persistent=False)

    def logit(
        self,
        templates: Features,
        search: Features,
        encoded: Float[Tensor, "batch cells width"],
        embedding: Float[Tensor, "batch width"],
        box: BoxPrediction,
    ) -> Float[Tensor, " batch"]:
        """Return the logit.

        Args:
            templates: All templates; the comparison is with the first, the initial one.
            search: Search tokens before the encoder.
            encoded: Search tokens after it.
            embedding: Output of the decoder.
            box: Output of the box head.
        """
        weight = inside(box.box_xyxy.float(), self.centre)
        if search.padding_mask is not None:
            weight = weight * ~search.padding_mask
        # The bound is for boxes that lie in the padding, or outside the region early in training.
        weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1e-6)
        initial = templates.tokens[:, : self.on_target.shape[0]]
        share = self.on_target[None]
        if templates.padding_mask is not None:
            share = share * ~templates.padding_mask[:, : self.on_target.shape[0]]
        wanted = functional.normalize(_pooled(initial, share), dim=1)
        found = functional.normalize(_pooled(search.tokens, weight), dim=1)
        parts = [embedding, _pooled(encoded, weight), wanted * found, (wanted - found).abs()]
        return self.perceptron(torch.cat([*(part.float() for part in parts), sharpness(box)], dim=1))[:, 0]


def inside(
    box_xyxy: Float[Tensor, "batch 4"], centre: Float[Tensor, " cells"]
) -> Float[Tensor, "batch cells_squared"]:
    """Return how far inside each box each cell lies, from 0 to 1, a half on its edge."""
    cells = centre.shape[0]
    near, far = box_xyxy[:, :2, None], box_xyxy[:, 2:, None]
    along = ((centre - near) * cells * EDGE).sigmoid() * ((far - centre) * cells * EDGE).sigmoid()
    return (along[:, 1, :, None] * along[:, 0, None, :]).flatten(1)


def sharpness(box: BoxPrediction) -> Float[Tensor, "batch numbers"]:
    """Return for each map of the box head its highest logit, and the log-peak and entropy of its softmax."""
    heat = None if box.centre is None else box.centre.heat_logits[:, None]
    maps = torch.cat([each for each in (box.corner_logits, heat) if each is not None], dim=1)
    log_probability = maps.float().log_softmax(dim=-1)
    entropy = -(log_probability.exp() * log_probability).sum(dim=-1)
    return torch.cat([maps.float().amax(dim=-1), log_probability.amax(dim=-1), entropy], dim=1)


def _pooled(tokens: Tensor, weight: Tensor) -> Float[Tensor, "batch width"]:
    return (tokens * weight[..., None].to(tokens.dtype)).sum(dim=1)

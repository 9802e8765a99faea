"""The corner head: a probability map for each of two corners, and its expectation.

Source: section 3.1, Head, Figure 3, equation 2.
"""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn

from starktrack.models.prediction import CornerPrediction


class CornerExpectation(nn.Module):
    """The expected position of a corner under the softmax of its map.

    Args:
        cells: Cells along one side of the map.
        cell_offset: Where in its cell a corner lies, in cells.
    """

    x: Float[Tensor, " cells"]
    y: Float[Tensor, " cells"]

    def __init__(self, cells: int, cell_offset: float) -> None:
        super().__init__()
        coordinate = (torch.arange(cells) + cell_offset) / cells
        self.register_buffer("x", coordinate.repeat(cells), persistent=False)
        self.register_buffer("y", coordinate.repeat_interleave(cells), persistent=False)

    def forward(self, corner_logits: Float[Tensor, "batch 2 cells"]) -> CornerPrediction:
        """Return the box from both maps."""
        # Equation 2: the expectation, not the highest cell, so that it is differentiable and finer than a cell.
        # In float32: half precision moves corners by pixels.
        probability = corner_logits.float().softmax(dim=-1)
        x, y = (probability * self.x).sum(-1), (probability * self.y).sum(-1)
        return CornerPrediction(torch.stack([x, y], dim=-1).flatten(1), corner_logits)


class CornerHead(nn.Module):
    """Two fully-convolutional towers over the search region weighted by its similarity to the target.

    Args:
        width: Channels of the tokens.
        hidden: Channels after the first layer; halved by each of the next three.
        cells: Cells along one side of the search region.
        weighted: Whether to weight by similarity; off without a decoder, whose output is compared.
    """

    def __init__(self, width: int, hidden: int, cells: int, cell_offset: float, weighted: bool) -> None:
        super().__init__()
        self.cells, self.weighted = cells, weighted
        self.top_left = _tower(width, hidden)
        self.bottom_right = _tower(width, hidden)
        self.expectation = CornerExpectation(cells, cell_offset)

    def box(
        self, search: Float[Tensor, "batch cells width"], embedding: Float[Tensor, "batch width"]
    ) -> CornerPrediction:
        """Return the expected corners and their maps."""
        if self.weighted:
            search = weighted_by_similarity(search, embedding)
        grid = search.transpose(1, 2).unflatten(2, (self.cells, self.cells)).contiguous()
        maps = torch.cat([self.top_left(grid), self.bottom_right(grid)], dim=1)
        return self.expectation(maps.flatten(2))


def weighted_by_similarity(
    search: Float[Tensor, "batch cells width"], embedding: Float[Tensor, "batch width"]
) -> Float[Tensor, "batch cells width"]:
    """Return the search tokens, each times its similarity to the target (section 3.1, Head)."""
    # A dot product without softmax or scaling, as published.
    return search * (search @ embedding[:, :, None])


def _tower(width: int, hidden: int) -> nn.Sequential:
    widths = [width, hidden, hidden // 2, hidden // 4, hidden // 8]
    blocks = [
        nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True))
        for before, after in itertools.pairwise(widths)
    ]
    # The last layer gives logits: no norm and no ReLU.
    return nn.Sequential(*blocks, nn.Conv2d(widths[-1], 1, 1))

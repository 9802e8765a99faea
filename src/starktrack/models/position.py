"""Position encodings: the place of a feature cell as a vector of the token's width."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class SinePosition(nn.Module):
    """Sines and cosines of row and column, counted over the cells that are not padding.

    Source: section 3.1; the form of DETR, with temperature 10000 and coordinates scaled to 2 pi.
    """

    period: Float[Tensor, " per_axis"]

    def __init__(self, width: int) -> None:
        super().__init__()
        per_axis = width // 2  # half of the channels for the row, half for the column
        exponent = 2 * torch.div(torch.arange(per_axis), 2, rounding_mode="floor") / per_axis
        self.register_buffer("period", 10000**exponent, persistent=False)

    def forward(
        self, padding_mask: Bool[Tensor, "batch rows columns"]
    ) -> Float[Tensor, "batch length width"]:
        """Return one vector per cell, row features before column features."""
        inside = (~padding_mask).float()
        row, column = self._scaled_count(inside, 1), self._scaled_count(inside, 2)
        return torch.cat([self._waves(row), self._waves(column)], dim=-1).flatten(1, 2)

    @staticmethod
    def _scaled_count(inside: Tensor, axis: int) -> Tensor:
        # Counting cells inside the image, as DETR does: padding does not move the positions of the others.
        count = inside.cumsum(axis)
        last = count.narrow(axis, count.shape[axis] - 1, 1)
        return count / (last + 1e-6) * (2 * math.pi)

    def _waves(self, coordinate: Tensor) -> Tensor:
        angle = coordinate[..., None] / self.period
        return torch.stack([angle[..., 0::2].sin(), angle[..., 1::2].cos()], dim=-1).flatten(-2)


class LearnedPosition(nn.Module):
    """A learned vector per row and per column; column features first.

    Source: STARK-Lightning as released.
    """

    def __init__(self, width: int, cells: int) -> None:
        super().__init__()
        self.row = nn.Parameter(torch.rand(cells, width // 2))
        self.column = nn.Parameter(torch.rand(cells, width // 2))

    def forward(
        self, padding_mask: Bool[Tensor, "batch rows columns"]
    ) -> Float[Tensor, "batch length width"]:
        """Return one vector per cell; padding changes nothing."""
        batch, rows, columns = padding_mask.shape
        grid = torch.cat(
            [self.column.expand(rows, columns, -1), self.row[:, None].expand(rows, columns, -1)], dim=-1
        )
        return grid.flatten(0, 1).expand(batch, -1, -1)


class NoPosition(nn.Module):
    """Zero everywhere (Table 7, row 3)."""

    zero: Float[Tensor, "1 1 width"]

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(1, 1, width), persistent=False)

    def forward(
        self, padding_mask: Bool[Tensor, "batch rows columns"]
    ) -> Float[Tensor, "batch length width"]:
        """Return zeros."""
        return self.zero.expand(padding_mask.shape[0], padding_mask[0].numel(), -1)

"""The tokens of crops: one per feature cell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Features:
    """Tokens of one or more crops.

    Convention: order is initial template, dynamic templates, search last; rows of cells before columns.

    Attributes:
        tokens: The backbone's features.
        padding_mask: True where a cell lies outside the image and is ignored; None when none does.
        position: Where each cell lies, added to queries and keys.
    """

    tokens: Float[Tensor, "batch length width"]
    padding_mask: Bool[Tensor, "batch length"] | None
    position: Float[Tensor, "batch length width"]

    @staticmethod
    def concatenate(parts: Sequence["Features"]) -> "Features":
        """Return the tokens of several crops of the same targets, one after the other."""
        return _join(parts, axis=1)

    @staticmethod
    def stack(targets: Sequence["Features"]) -> "Features":
        """Return one batch of the tokens of several targets."""
        return _join(targets, axis=0)

    def split(self, count: int) -> list["Features"]:
        """Return `count` equal parts one after the other, the inverse of `concatenate`."""
        length = self.tokens.shape[1] // count
        starts = range(0, count * length, length)
        return [self.map(lambda values, at=start: values[:, at : at + length]) for start in starts]

    def with_roles(self, embedding: Float[Tensor, "2 width"], num_templates: int) -> "Features":
        """Return the tokens of several templates with positions that also tell the initial from dynamic ones."""
        length = self.tokens.shape[1] // num_templates
        roles = embedding[[0] + [1] * (num_templates - 1)]
        return replace(self, position=self.position + roles.repeat_interleave(length, dim=0))

    def repeat(self, count: int) -> "Features":
        """Return every target `count` times, copies of one target next to each other."""
        return self.map(lambda values: values.repeat_interleave(count, dim=0))

    def map(self, change: Callable[[Tensor], Tensor]) -> "Features":
        """Return the features after the same change of tokens, mask and positions."""
        mask = None if self.padding_mask is None else change(self.padding_mask)
        return Features(change(self.tokens), mask, change(self.position))

    def row(self, index: int) -> "Features":
        """Return one target as a batch of one; a mask that masks nothing is dropped."""
        mask = None if self.padding_mask is None else self.padding_mask[index : index + 1]
        # Attention without a mask is faster and gives the same result.
        kept = None if mask is None or not mask.any() else mask
        return Features(self.tokens[index : index + 1], kept, self.position[index : index + 1])


def _join(parts: Sequence[Features], axis: int) -> Features:
    masks = None
    if any(part.padding_mask is not None for part in parts):
        # A part without a mask has no padding: its mask is all False.
        filled = [
            part.tokens.new_zeros(part.tokens.shape[:2], dtype=torch.bool)
            if part.padding_mask is None
            else part.padding_mask
            for part in parts
        ]
        masks = torch.cat(filled, dim=axis)
    return Features(
        torch.cat([part.tokens for part in parts], dim=axis),
        masks,
        torch.cat([part.position for part in parts], dim=axis),
    )


def attention_bias(
    padding_mask: Bool[Tensor, "batch length"] | None,
) -> Float[Tensor, "batch 1 1 length"] | None:
    """Return what to add to the logit of each key: minus infinity where it is padding, else 0.

    A row that is all padding attends to everything.
    """
    if padding_mask is None:
        return None
    # A softmax over no keys is NaN, hence all keys for a row that is all padding. A sum and not a boolean mask:
    # the ONNX exporter guards each boolean mask against NaN, which costs a seventh of the network's time.
    ignored = (padding_mask & ~padding_mask.all(dim=1, keepdim=True))[:, None, None, :]
    return torch.zeros_like(ignored, dtype=torch.float32).masked_fill(ignored, float("-inf"))

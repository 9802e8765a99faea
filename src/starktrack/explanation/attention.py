"""Attention weights, recomputed from the recorded inputs of each layer.

The network runs on fused attention, which never forms its weights. Layers have hooks inside `recording` only, so a
network outside it does no extra work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from starktrack.models.transformer import Attention


@dataclass(frozen=True)
class Asked:
    """The inputs of one call of an attention layer.

    Attributes:
        layer: The layer.
        query: Queries, positions added.
        key: Keys, positions added.
        bias: Added to the logit of each key, or None.
    """

    layer: Attention
    query: Float[Tensor, "batch queries width"]
    key: Float[Tensor, "batch keys width"]
    bias: Float[Tensor, "batch 1 1 keys"] | None

    @torch.no_grad()
    def weights(self, queries: slice) -> Float[np.ndarray, "heads asking keys"]:
        """Return the weight of every key for each chosen query of the first batch row; sums to 1 over keys.

        Source: section 3.1, Encoder and Decoder; softmax(Q K^T / sqrt(width per head)).
        """
        query = self.layer.split_heads(self.layer.query(self.query[:1, queries])).float()
        key = self.layer.split_heads(self.layer.key(self.key[:1])).float()
        logits = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        if self.bias is not None:
            logits = logits + self.bias[:1]
        return logits.softmax(dim=-1)[0].cpu().numpy()


@contextmanager
def recording(network: nn.Module) -> Iterator[dict[str, Asked]]:
    """Yield a record of the last call of every attention layer, by the layer's name in the network."""
    asked: dict[str, Asked] = {}

    def listener(name: str) -> Any:
        def note(layer: Attention, inputs: tuple[Any, ...]) -> None:
            query, key, _, *bias = inputs
            asked[name] = Asked(layer, query, key, bias[0] if bias else None)

        return note

    layers = [(name, module) for name, module in network.named_modules() if isinstance(module, Attention)]
    hooks = [module.register_forward_pre_hook(listener(name)) for name, module in layers]
    try:
        yield asked
    finally:
        for hook in hooks:
            hook.remove()


def layer_weights(
    asked: dict[str, Asked], suffix: str, queries: slice
) -> Float[np.ndarray, "layers heads keys"] | None:
    """Return the weights of all layers with this end of their name, mean over queries; None without such a layer."""
    chosen = [each.weights(queries).mean(axis=1) for name, each in asked.items() if name.endswith(suffix)]
    return np.stack(chosen) if chosen else None

"""Encoder and decoder: attention among the tokens of templates and search region."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from starktrack.config.schema import TransformerConfig
from starktrack.models.features import Features, attention_bias


class Attention(nn.Module):
    """Multi-head attention."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        query: Float[Tensor, "batch queries width"],
        key: Float[Tensor, "batch keys width"],
        value: Float[Tensor, "batch keys width"],
        bias: Float[Tensor, "batch 1 1 keys"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """Return for each query the mean of the values, weighted by attention; `bias` is added to the logits."""
        queries = self.split_heads(self.query(query))
        # In bfloat16 on a CPU, forward and backward take 10.0 ms as plain products and 20.8 ms as the fused kernel
        # (16 x 4 heads x 256 x 384 x 32, two cores with AVX-512); in float32 it is the other way round.
        attend = functional.scaled_dot_product_attention
        if queries.dtype == torch.bfloat16 and queries.device.type == "cpu" and torch.is_grad_enabled():
            attend = plain_attention
        mixed = attend(
            queries,
            self.split_heads(self.key(key)),
            self.split_heads(self.value(value)),
            attn_mask=None if bias is None else bias.to(queries.dtype),
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out(mixed.transpose(1, 2).flatten(2))

    def split_heads(
        self, tokens: Float[Tensor, "batch length width"]
    ) -> Float[Tensor, "batch heads length per_head"]:
        """Return the tokens with their width divided among the heads."""
        return tokens.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


def plain_attention(
    query: Float[Tensor, "batch heads queries per_head"],
    key: Float[Tensor, "batch heads keys per_head"],
    value: Float[Tensor, "batch heads keys per_head"],
    attn_mask: Float[Tensor, "batch 1 1 keys"] | None,
    dropout_p: float,
) -> Float[Tensor, "batch heads queries per_head"]:
    """Return `softmax(q k^T / sqrt(per_head) + mask) v`, as PyTorch's fused function does."""
    logits = query * query.shape[-1] ** -0.5 @ key.transpose(-2, -1)
    weights = (logits if attn_mask is None else logits + attn_mask).softmax(dim=-1).to(value.dtype)
    return functional.dropout(weights, dropout_p) @ value


class FeedForward(nn.Module):
    """Two linear layers with ReLU between."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Float[Tensor, "batch length width"]) -> Float[Tensor, "batch length width"]:
        """Return the transformed tokens, without the residual."""
        return self.contract(self.dropout(functional.relu(self.expand(tokens))))


class EncoderLayer(nn.Module):
    """Attention among tokens and a feed-forward network, each added and normalised (post-norm)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.residual_position = config.residual_position
        self.attention = Attention(config.width, config.num_heads, config.dropout)
        self.attention_norm = nn.LayerNorm(config.width)
        self.feed_forward = FeedForward(config.width, config.ffn_width, config.dropout)
        self.feed_forward_norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        tokens: Float[Tensor, "batch queries width"],
        position: Float[Tensor, "batch queries width"],
        memory: Features,
        bias: Float[Tensor, "batch 1 1 keys"] | None,
    ) -> Float[Tensor, "batch queries width"]:
        """Return the tokens after attention to `memory`."""
        # As in DETR, positions are added to queries and keys in every layer, never to values.
        query = tokens + position
        mixed = self.attention(query, memory.tokens + memory.position, memory.tokens, bias)
        # A quirk of STARK-Lightning as released: its residual has the position too.
        residual = query if self.residual_position else tokens
        tokens = self.attention_norm(residual + self.dropout(mixed))
        return self.feed_forward_norm(tokens + self.dropout(self.feed_forward(tokens)))


class Encoder(nn.Module):
    """N layers in which every token attends, or only those of the search region.

    Source: section 3.1, Encoder.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.search_only = config.encoder_queries == "search"
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_encoder_layers))

    def forward(self, features: Features, num_search: int) -> Features:
        """Return the features after all layers; the last `num_search` tokens are the search region's."""
        # STARK-Lightning queries with the search region alone: its templates pass unchanged through every layer.
        start = features.tokens.shape[1] - num_search if self.search_only else 0
        fixed, tokens = features.tokens[:, :start], features.tokens[:, start:]
        position = features.position[:, start:]
        bias = attention_bias(features.padding_mask)
        for layer in self.layers:
            memory = Features(torch.cat([fixed, tokens], dim=1), features.padding_mask, features.position)
            tokens = layer(tokens, position, memory, bias)
        return Features(torch.cat([fixed, tokens], dim=1), features.padding_mask, features.position)


class DecoderLayer(nn.Module):
    """Self-attention among queries, attention to the memory, feed-forward network (post-norm)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attention = Attention(config.width, config.num_heads, config.dropout)
        self.self_attention_norm = nn.LayerNorm(config.width)
        self.cross_attention = Attention(config.width, config.num_heads, config.dropout)
        self.cross_attention_norm = nn.LayerNorm(config.width)
        self.feed_forward = FeedForward(config.width, config.ffn_width, config.dropout)
        self.feed_forward_norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        target: Float[Tensor, "batch queries width"],
        query: Float[Tensor, "batch queries width"],
        memory: Features,
        bias: Float[Tensor, "batch 1 1 keys"] | None,
        query_bias: Float[Tensor, "batch 1 1 queries"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """Return the state of each query after this layer."""
        # Also for a single query, which attends to itself: the published weights have this layer.
        query_and_key = target + query
        mixed = self.self_attention(query_and_key, query_and_key, target, query_bias)
        target = self.self_attention_norm(target + self.dropout(mixed))
        mixed = self.cross_attention(target + query, memory.tokens + memory.position, memory.tokens, bias)
        target = self.cross_attention_norm(target + self.dropout(mixed))
        return self.feed_forward_norm(target + self.dropout(self.feed_forward(target)))


class Decoder(nn.Module):
    """M layers in which target queries attend to the memory.

    Args:
        config: Width and layers.
        num_queries: Learned queries; 0 where callers give their own to `gather`.

    Source: section 3.1, Decoder: one query, no Hungarian matching.
    """

    def __init__(self, config: TransformerConfig, num_queries: int = 1) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(num_queries, config.width)) if num_queries else None
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_decoder_layers))
        self.norm = nn.LayerNorm(config.width)  # as in DETR, after the post-norm of the last layer

    def forward(self, memory: Features) -> Float[Tensor, "batch queries width"]:
        """Return the output embedding of each learned query."""
        query = self.learned_query(memory)
        return self.gather(torch.zeros_like(query), query, memory)

    def learned_query(self, memory: Features) -> Float[Tensor, "batch queries width"]:
        """Return the learned queries for each target of the memory."""
        assert self.query is not None, "built with num_queries above 0"
        return self.query.expand(memory.tokens.shape[0], -1, -1)

    def gather(
        self,
        target: Float[Tensor, "batch queries width"],
        query: Float[Tensor, "batch queries width"],
        memory: Features,
        query_bias: Float[Tensor, "batch 1 1 queries"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """Return the output embedding of any queries.

        Args:
            target: State of each query at the start.
            query: Added to the state in every attention, as a position.
            memory: Keys and values.
            query_bias: Added to the logits of self-attention.
        """
        bias = attention_bias(memory.padding_mask)
        for layer in self.layers:
            target = layer(target, query, memory, bias, query_bias)
        return self.norm(target)

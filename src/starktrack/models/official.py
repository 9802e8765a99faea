"""Renames the authors' parameters and recognises their model.

Source: key lists of the released checkpoints (tests/golden/*_state_keys.json).
"""

import re
from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor

from starktrack.config.presets import PRESETS
from starktrack.config.schema import Config
from starktrack.errors import CheckpointError
from starktrack.models.build import build_network
from starktrack.models.folding import fold

PUBLISHED = ("stark_s50", "stark_st50", "stark_st101", "stark_lightning")

_RENAMES = (
    (r"^backbone\.0\.body\.", "backbone.body."),
    (r"^backbone\.body\.stage0\.", "backbone.0."),
    (r"^backbone\.body\.stage1\.(\d+)\.", lambda m: f"backbone.{1 + int(m[1])}."),
    (r"^backbone\.body\.stage2\.(\d+)\.", lambda m: f"backbone.{3 + int(m[1])}."),
    (r"^backbone\.body\.stage3\.(\d+)\.", lambda m: f"backbone.{7 + int(m[1])}."),
    (r"\.rbr_dense\.bn\.", ".dense.norm."),
    (r"\.rbr_dense\.", ".dense."),
    (r"\.rbr_1x1\.bn\.", ".pointwise.norm."),
    (r"\.rbr_1x1\.", ".pointwise."),
    (r"\.rbr_identity\.", ".identity."),
    (r"\.rbr_reparam\.", ".folded."),
    (r"^transformer\.encoder\.(?!layers)", "encoder.layers.0."),
    (r"^transformer\.", ""),
    (r"^(encoder\.layers\.\d+)\.self_attn\.", r"\1.attention."),
    (r"^(encoder\.layers\.\d+)\.norm1\.", r"\1.attention_norm."),
    (r"^(encoder\.layers\.\d+)\.norm2\.", r"\1.feed_forward_norm."),
    (r"^(decoder\.layers\.\d+)\.self_attn\.", r"\1.self_attention."),
    (r"^(decoder\.layers\.\d+)\.multihead_attn\.", r"\1.cross_attention."),
    (r"^(decoder\.layers\.\d+)\.norm1\.", r"\1.self_attention_norm."),
    (r"^(decoder\.layers\.\d+)\.norm2\.", r"\1.cross_attention_norm."),
    (r"^(decoder\.layers\.\d+)\.norm3\.", r"\1.feed_forward_norm."),
    (r"\.linear1\.", ".feed_forward.expand."),
    (r"\.linear2\.", ".feed_forward.contract."),
    (r"\.out_proj\.", ".out."),
    (r"^query_embed\.weight$", "decoder.query"),
    (r"^box_head\.conv(\d)_tl\.", lambda m: f"box_head.top_left.{int(m[1]) - 1}."),
    (r"^box_head\.conv(\d)_br\.", lambda m: f"box_head.bottom_right.{int(m[1]) - 1}."),
    (r"^box_head\.conv_tower\.", "box_head.tower."),
    (r"^cls_head\.", "score_head."),
    (r"^pos_emb_x\.(row|col)_embed\.weight$", r"search_position.\1"),
    (r"^pos_emb_z0\.(row|col)_embed\.weight$", r"template_position.\1"),
    (r"_position\.col$", "_position.column"),
)
_COUNTER = ".num_batches_tracked"

_NUM_NAMED = 8
"""Differences that an error lists; it counts the others."""

_IN_PROJECTION = re.compile(r"\.in_proj_(weight|bias)$")


def convert_keys(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the authors' tensors under our names; joint projections are split in query, key and value."""
    state: dict[str, Tensor] = {}
    for key, tensor in official.items():
        name = key
        for pattern, replacement in _RENAMES:
            name = re.sub(pattern, replacement, name)
        joint = _IN_PROJECTION.search(name)
        if joint is None:
            state[name] = tensor
            continue
        stem = name[: joint.start()]
        for part, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=False):
            state[f"{stem}.{part}.{joint[1]}"] = (
                piece.clone()
            )  # pieces share memory, which safetensors refuses
    return state


def recognise(state: Mapping[str, Tensor]) -> Config:
    """Return the published configuration that this converted state belongs to.

    Raises:
        CheckpointError: It is none of them; the error lists the first differences from the nearest one.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    folded = any(".folded." in name for name in shapes)
    differences = {name: _difference(shapes, name, folded) for name in PUBLISHED}
    nearest = min(differences, key=lambda name: len(differences[name]))
    if differences[nearest]:
        named, rest = differences[nearest][:_NUM_NAMED], len(differences[nearest]) - _NUM_NAMED
        raise CheckpointError(
            f"a published checkpoint must hold the parameters of one of {', '.join(PUBLISHED)}; "
            f"the nearest is {nearest}, but: {'; '.join(named)}{f'; and {rest} more' if rest > 0 else ''}"
        )
    return PRESETS[nearest]()


def fill_counters(state: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Return the state with the batch counters that some tools drop; they do not affect outputs."""
    folded = any(".folded." in name for name in state)
    counters = [key for key in _expected_shapes(config.name, folded) if key.endswith(_COUNTER)]
    return {**{key: torch.zeros((), dtype=torch.int64) for key in counters}, **state}


def _difference(shapes: Mapping[str, tuple[int, ...]], name: str, folded: bool) -> list[str]:
    expected = _expected_shapes(name, folded)
    missing = [f"missing {key}" for key in expected if key not in shapes and not key.endswith(_COUNTER)]
    unexpected = [f"unexpected {key}" for key in shapes if key not in expected]
    misshapen = [
        f"{key} has shape {list(shapes[key])}, expected {list(expected[key])}"
        for key in expected
        if key in shapes and shapes[key] != expected[key]
    ]
    return [*missing, *unexpected, *misshapen]


@lru_cache
def _expected_shapes(name: str, folded: bool) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network = build_network(PRESETS[name]().model)
        if folded:
            fold(network)
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}

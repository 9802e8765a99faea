import json
from pathlib import Path

import pytest
import torch

from starktrack.config.presets import preset
from starktrack.errors import CheckpointError
from starktrack.models.build import build_network
from starktrack.models.folding import fold
from starktrack.models.official import convert_keys, fill_counters, recognise

GOLDEN = Path(__file__).parents[1] / "golden"
LISTS = {
    "stark_s50": "stark_s50",
    "stark_st50": "stark_st50",
    "stark_st101": "stark_st101",
    "stark_lightning": "stark_lightning",
    "stark_lightning_deploy": "stark_lightning",
}


def published(name):
    entries = json.loads((GOLDEN / f"{name}_state_keys.json").read_text())
    return {
        key: torch.empty(shape, dtype=getattr(torch, kind), device="meta") for key, shape, kind in entries
    }


@pytest.mark.parametrize("name", LISTS)
def test_every_published_key_list_is_recognised_and_every_key_has_its_place(name):
    state = convert_keys(published(name))
    config = recognise(state)
    assert config == preset(LISTS[name])
    with torch.device("meta"):
        network = build_network(config.model)
        network = fold(network) if name.endswith("deploy") else network
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert {key: tuple(value.shape) for key, value in state.items()} == expected


def test_joint_projections_become_query_key_and_value_in_this_order():
    joint = torch.arange(6.0).repeat_interleave(2).view(6, 2)
    state = convert_keys({"transformer.encoder.layers.3.self_attn.in_proj_weight": joint})
    stem = "encoder.layers.3.attention"
    assert [state[f"{stem}.{part}.weight"][:, 0].tolist() for part in ("query", "key", "value")] == [
        [0.0, 1.0],
        [2.0, 3.0],
        [4.0, 5.0],
    ]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            "backbone.0.body.layer2.0.downsample.1.running_var",
            "backbone.body.layer2.0.downsample.1.running_var",
        ),
        (
            "transformer.decoder.layers.5.multihead_attn.out_proj.bias",
            "decoder.layers.5.cross_attention.out.bias",
        ),
        ("query_embed.weight", "decoder.query"),
        ("box_head.conv1_tl.0.weight", "box_head.top_left.0.0.weight"),
        ("box_head.conv5_br.bias", "box_head.bottom_right.4.bias"),
        ("cls_head.layers.2.bias", "score_head.layers.2.bias"),
    ],
)
def test_keys_are_renamed_to_the_papers_words(theirs, ours):
    assert list(convert_keys({theirs: torch.zeros(1)})) == [ours]


def test_every_missing_unexpected_and_misshapen_key_is_named():
    official = published("stark_s50")
    del official["bottleneck.bias"], official["box_head.conv3_tl.1.weight"]
    official["something.else"] = torch.zeros(1)
    official["query_embed.weight"] = torch.zeros(3, 256)
    with pytest.raises(CheckpointError) as error:
        recognise(convert_keys(official))
    text = str(error.value)
    assert text.startswith(
        "a published checkpoint must hold the parameters of one of stark_s50, stark_st50, "
    )
    for part in (
        "the nearest is stark_s50",
        "missing bottleneck.bias",
        "missing box_head.top_left.2.1.weight",
        "unexpected something.else",
        "decoder.query has shape [3, 256], expected [1, 256]",
    ):
        assert part in text
    assert text.count(";") == 4


def test_batch_counters_that_a_tool_dropped_are_filled_in():
    state = convert_keys(published("stark_lightning"))
    counters = [key for key in state if key.endswith("num_batches_tracked")]
    dropped = {key: value for key, value in state.items() if key not in counters}
    config = recognise(dropped)
    assert config == preset("stark_lightning") and len(counters) == 6
    filled = fill_counters(dropped, config)
    assert set(filled) == set(state) and all(filled[key] == 0 for key in counters)


def test_of_many_differences_the_first_are_named_and_the_rest_is_counted():
    official = {f"other.{key}": value for key, value in published("stark_s50").items()}
    with pytest.raises(CheckpointError, match=r"the nearest is .*; and \d{3,4} more$") as error:
        recognise(convert_keys(official))
    assert len(str(error.value)) < 800


def test_an_empty_state_is_of_no_model():
    with pytest.raises(CheckpointError, match="a published checkpoint must hold the parameters"):
        recognise({})

import dataclasses

import pytest

from starktrack.config.loading import from_mapping
from starktrack.config.schema import Config, ModelConfig, TrackingConfig
from starktrack.errors import ConfigError


def refusal(schema, values):
    with pytest.raises(ConfigError) as error:
        from_mapping(schema, values)
    return str(error.value)


def test_without_values_a_model_is_the_papers_spatial_one():
    model = ModelConfig()
    assert (model.search.side, model.search.factor) == (320, 5.0)
    assert (model.template.side, model.template.factor) == (128, 2.0)
    assert (model.backbone.name, model.backbone.stride) == ("resnet50", 16)
    transformer = model.transformer
    assert (transformer.num_encoder_layers, transformer.num_decoder_layers, transformer.width) == (6, 6, 256)


def test_without_values_tracking_is_the_papers():
    config = TrackingConfig()
    assert (config.update_interval, config.update_score, config.clip_margin) == (200, 0.5, 10.0)


def test_records_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig().num_templates = 3


SCHEMA_REFUSALS = {
    "side off the stride": (
        {"search": {"side": 321, "factor": 5}},
        "search.side must be a multiple of 16 (backbone.stride), got 321; use 320",
    ),
    "side below the stride": (
        {"template": {"side": 3, "factor": 2}},
        "template.side must be a multiple of 16 (backbone.stride), got 3; use 16",
    ),
    "width off the heads": (
        {"transformer": {"width": 30}},
        "transformer: width must be a multiple of num_heads=8, got 30; use 24",
    ),
    "width below the heads": (
        {"transformer": {"width": 4}},
        "transformer: width must be a multiple of num_heads=8, got 4; use 8",
    ),
    "width off the position": (
        {"transformer": {"width": 30, "num_heads": 5}},
        "transformer: width must be a multiple of 4 (sine and cosine of row and column), got 30; use 32",
    ),
    "corner width": (
        {"box_head": {"width": 12}},
        "box_head: width must be a multiple of 8 (halved three times), got 12; use 16",
    ),
    "a choice": (
        {"transformer": {"position": "sinus"}},
        "must be 'sine', 'learned' or 'none', got 'sinus'",
    ),
    "all dropped": (
        {"transformer": {"dropout": 1.0}},
        "transformer.dropout must be below 1, got 1.0",
    ),
    "negative layers": (
        {"transformer": {"num_encoder_layers": -1}},
        "num_encoder_layers must be at least 0, got -1",
    ),
    "no template": ({"num_templates": 0}, "num_templates must be above 0, got 0"),
    "infinite": (
        {"search": {"side": 320, "factor": float("inf")}},
        "search.factor must be a finite number",
    ),
    "a fraction of a pixel": (
        {"search": {"side": 320.5, "factor": 5}},
        "search.side must be a whole number",
    ),
    "no table": (
        {"backbone": 5},
        "backbone must be a table of settings, got 5",
    ),
}


@pytest.mark.parametrize("case", SCHEMA_REFUSALS)
def test_a_value_outside_its_range_is_refused_with_rule_value_and_remedy(case):
    values, text = SCHEMA_REFUSALS[case]
    assert text in refusal(ModelConfig, values)


def test_a_perceptron_head_may_have_any_width():
    assert from_mapping(ModelConfig, {"box_head": {"kind": "mlp", "width": 12}}).box_head.width == 12


def test_all_errors_are_told_at_once():
    text = refusal(
        Config,
        {
            "modell": {},
            "model": {"search": {"side": "big", "factor": -5}, "num_template": 2},
            "tracking": {"update_interval": 0, "update_scores": 1},
        },
    )
    for part in (
        "name must be given",
        "unknown key 'modell'; did you mean 'model'?",
        "model.search.side must be a whole number, got 'big'",
        "model.search.factor must be above 0, got -5",
        "unknown key 'model.num_template'; did you mean 'num_templates'?",
        "tracking.update_interval must be above 0, got 0",
        "unknown key 'tracking.update_scores'; did you mean 'update_score'?",
    ):
        assert part in text
    assert text.count(";") == 6 + 3 and "\n" not in text


def test_an_unknown_key_without_a_near_one_lists_all():
    text = refusal(ModelConfig, {"search": {"side": 320, "factor": 5, "zzz": 1}})
    assert text == "unknown key 'search.zzz'; known: factor, side"

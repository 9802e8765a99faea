import pytest

from starktrack.config.loading import from_mapping, to_mapping
from starktrack.config.presets import PRESETS, preset, presets_of
from starktrack.config.schema import Config
from starktrack.errors import ConfigError

# name, templates, score head, encoder layers, decoder layers, width, geometry
EXPECTED = {
    "stark_s50": (1, False, 6, 6, 256, "published"),
    "stark_st50": (2, True, 6, 6, 256, "published"),
    "stark_st101": (2, True, 6, 6, 256, "published"),
    "stark_lightning": (1, False, 1, 0, 128, "published"),
    "stark_mobile": (2, True, 4, 1, 128, "exact"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_preset_carries_its_name_and_shape(name):
    config = preset(name)
    model, transformer = config.model, config.model.transformer
    layers = (transformer.num_encoder_layers, transformer.num_decoder_layers)
    assert config.name == name
    assert (model.num_templates, model.score_head, *layers, transformer.width, model.geometry) == EXPECTED[
        name
    ]


def test_every_preset_is_expected_and_is_its_own_mapping():
    assert set(presets_of("tracker")) == set(EXPECTED) and set(presets_of("refiner")) == {
        "refine_r34",
        "refine_mobile",
    }
    for build in PRESETS.values():
        assert from_mapping(Config, to_mapping(build())) == build()


def test_spatio_temporal_is_spatial_with_a_template_and_a_score_more():
    spatial, temporal = to_mapping(preset("stark_s50").model), to_mapping(preset("stark_st50").model)
    assert {key for key in spatial if spatial[key] != temporal[key]} == {"num_templates", "score_head"}


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("stark_s5", "got 'stark_s5'; did you mean 'stark_s50'?"),
        ("STARK_ST101", "got 'STARK_ST101'; did you mean 'stark_st101'?"),
        ("mobile", "got 'mobile'; did you mean 'stark_mobile'?"),
        ("zzz", "known: stark_lightning, stark_mobile, stark_s50, stark_st101, stark_st50"),
    ],
)
def test_an_unknown_preset_is_refused_with_a_suggestion(name, ending):
    with pytest.raises(ConfigError) as error:
        preset(name, "tracker")
    assert str(error.value).startswith("a model must be one of the presets")
    assert str(error.value).endswith(ending)

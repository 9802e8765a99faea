import json
import tomllib

import pytest

from starktrack.config.loading import from_mapping, override, read_toml, to_mapping
from starktrack.config.presets import preset, stark_s50
from starktrack.config.recipes import read_recipe
from starktrack.config.schema import Config, ModelConfig
from starktrack.config.training import Recipe
from starktrack.errors import ConfigError
from starktrack.training.resume import check_same_recipe

TEXT = """
name = "mine"
[model]
num_templates = 2
[model.backbone]
name = "resnet18"
[tracking]
update_interval = 25
"""


def test_toml_becomes_a_record_with_defaults_elsewhere(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    config = from_mapping(Config, read_toml(path))
    assert (config.name, config.model.num_templates, config.model.backbone.name) == ("mine", 2, "resnet18")
    assert (config.tracking.update_interval, config.tracking.update_score) == (25, 0.5)
    assert config.model.search.side == 320


def test_a_record_survives_json():
    config = override(preset("stark_mobile"), ["tracking.update_score=0.7", "model.search.factor=4.5"])
    assert from_mapping(Config, json.loads(json.dumps(to_mapping(config)))) == config


def test_the_mapping_given_is_not_changed():
    values = {"name": "x", "model": {"num_templates": 2}}
    from_mapping(Config, values)
    assert values == {"name": "x", "model": {"num_templates": 2}}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a = = 3", "must be valid TOML, {path}: Invalid value (at line 1, column 5)"),
        (b"\xff\xfe", "must be valid TOML, {path}: 'utf-8' codec can't decode"),
        (b"a = 1\na = 2", "must be valid TOML, {path}: Cannot overwrite a value"),
    ],
)
def test_a_file_that_is_not_toml_is_refused_with_its_place(content, text, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        read_toml(path)
    assert text.format(path=path) in str(error.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"must be a TOML file, .*nowhere\.toml does not exist"):
        read_toml(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match=r"must be a readable file, .*: Is a directory"):
        read_toml(tmp_path)


def test_overrides_take_toml_values_and_bare_text():
    config = override(
        stark_s50(),
        [
            "model.search.side=256",
            "model.search.factor = 4",
            "model.backbone.name=resnet18",
            'model.transformer.position="none"',
            "model.score_head=true",
            "model.template={side=112, factor=2.5}",
        ],
    )
    model = config.model
    assert (model.search.side, model.search.factor, model.backbone.name) == (256, 4.0, "resnet18")
    assert (model.transformer.position, model.score_head, model.template.side) == ("none", True, 112)


def test_no_override_changes_nothing():
    assert override(stark_s50(), []) == stark_s50()


def test_values_that_only_fit_together_can_be_given_together():
    model = override(stark_s50(), ["model.backbone.stride=8", "model.search.side=264"]).model
    assert (model.backbone.stride, model.search.side) == (8, 264)


@pytest.mark.parametrize(
    ("assignment", "text"),
    [
        ("model.search.side", "an override must read key=value, got 'model.search.side'"),
        ("model.serch.side=256", "unknown key 'model.serch'; did you mean 'search'?"),
        ("model.search.sid=256", "unknown key 'model.search.sid'; did you mean 'side'?"),
        ("zzz=1", "unknown key 'zzz'; known: model, name, tracking"),
        ("lost_after=1", "unknown key 'lost_after'; did you mean 'tracking.lost_after'?"),
        (
            "model.side=64",
            "unknown key 'model.side'; did you mean 'model.search.side' or 'model.template.side'?",
        ),
        ("tracking.lost_after=2.5", "tracking.lost_after must be a whole number, got 2.5"),
        ("model.score_head=3", "model.score_head must be true or false, got 3"),
        ("=1", "unknown key ''; known: model, name, tracking"),
        ("name.x=3", "name has no keys below it, got 'name.x'; give name=value"),
        ("model.search.side=321", "search.side must be a multiple of 16 (backbone.stride), got 321; use 320"),
        ("model.backbone.name=18", "model.backbone.name must be text, got 18"),
        ("model.search=256", "model.search must be a table of settings, got 256"),
        ("tracking.update_score=nan", "tracking.update_score must be a finite number, got nan"),
    ],
)
def test_a_wrong_override_is_refused_with_the_rule(assignment, text):
    with pytest.raises(ConfigError) as error:
        override(stark_s50(), [assignment])
    assert text in str(error.value)


def test_all_wrong_values_of_overrides_are_told_at_once():
    with pytest.raises(ConfigError) as error:
        override(stark_s50(), ["model.search.side=abc", "tracking.update_score=2"])
    assert "model.search.side" in str(error.value) and "tracking.update_score" in str(error.value)


def test_the_toml_of_a_mapping_with_every_kind_of_value_is_read_back():
    values = tomllib.loads(
        'num_templates = 3\n[search]\nside = 128\nfactor = 2.5\n[transformer]\nposition = "none"'
    )
    model = from_mapping(ModelConfig, values)
    assert (model.num_templates, model.search.factor, model.transformer.position) == (3, 2.5, "none")


def mobile_with(**settings):
    values = to_mapping(read_recipe("mobile"))
    stage = values["stages"]["harden"]["data"]
    del stage["distractors"]
    stage["staging"] = settings
    values["datasets"]["synthetic"]["synthetic"] = {"kin": 0.25}
    return values


def test_settings_under_their_former_names_are_taken_with_a_notice(caplog):
    former = {"decoys": 0.1, "most_decoys": 3, "intruders": 0.2, "kin": 0.3, "surroundings": 0.4}
    recipe = from_mapping(Recipe, mobile_with(**former))
    found = recipe.stages["harden"].data.distractors
    assert (found.target_copies, found.most_target_copies, found.distractors) == (0.1, 3, 0.2)
    assert (found.same_class, found.background_fill) == (0.3, 0.4)
    assert recipe.datasets["synthetic"].synthetic.same_class == 0.25
    assert "the setting data.staging is now called data.distractors" in caplog.text
    assert "the setting distractors.decoys is now called distractors.target_copies" in caplog.text
    changed = override(recipe, ["stages.harden.data.staging.decoys=0.9"])
    assert changed.stages["harden"].data.distractors.target_copies == 0.9


def test_a_setting_under_both_names_is_refused():
    with pytest.raises(ConfigError, match=r"decoys is now called distractors\.target_copies, got both"):
        from_mapping(Recipe, mobile_with(decoys=0.1, target_copies=0.1))


def test_settings_of_templates_under_their_former_names_are_taken():
    recipe = override(
        read_recipe("mobile"),
        ["config.model.template_slots=true", "stages.harden.data.jitter.astray_share=0.1"],
    )
    assert recipe.config.model.role_embedding
    assert recipe.stages["harden"].data.jitter.drift_share == 0.1


def test_a_run_whose_recipe_has_former_names_goes_on(tmp_path):
    values = to_mapping(read_recipe("mobile"))
    data = values["stages"]["harden"]["data"]
    data["staging"] = data.pop("distractors")
    data["staging"]["decoys"] = data["staging"].pop("target_copies")
    (tmp_path / "recipe.json").write_text(json.dumps(values))
    check_same_recipe(read_recipe("mobile"), tmp_path / "recipe.json")
    assert read_recipe(str(tmp_path / "recipe.json")) == read_recipe("mobile")

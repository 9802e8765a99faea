"""Configurations in weights files: one key for all kinds, and both forms in which earlier versions wrote them."""

import json
from pathlib import Path

import pytest

from starktrack.config.loading import to_mapping
from starktrack.config.metadata import METADATA_KEY, REFINER_KEY, from_metadata, to_metadata
from starktrack.config.presets import PRESETS, preset
from starktrack.config.recipes import read_recipe, recipe_from_mapping
from starktrack.config.schema import BackboneConfig, Config, RefineModel
from starktrack.errors import CheckpointError

FILE = Path("w.safetensors")
MODEL = {"backbone": {"name": "resnet18", "stride": 16, "padding": "symmetric"}, "width": 64}
OLD_REFINER = {"name": "mine", "model": MODEL, "mask_threshold": 0.4, "box": "tracker"}


@pytest.mark.parametrize("name", PRESETS)
def test_every_kind_is_stored_under_one_key(name):
    metadata = to_metadata(preset(name))
    assert list(metadata) == [METADATA_KEY]
    assert from_metadata(FILE, metadata) == preset(name)


def test_a_tracker_reads_as_before_there_were_kinds():
    assert "kind" not in json.loads(to_metadata(preset("stark_s50"))[METADATA_KEY])["model"]
    config = from_metadata(FILE, {METADATA_KEY: '{"name": "old", "model": {"num_templates": 2}}'})
    assert (config.model.kind, config.model.num_templates) == ("tracker", 2)


def test_a_refiner_of_an_earlier_version_is_read_exactly():
    expected = RefineModel(
        backbone=BackboneConfig(name="resnet18"), width=64, mask_threshold=0.4, box="tracker"
    )
    read = from_metadata(FILE, {REFINER_KEY: json.dumps(OLD_REFINER)}, "refiner")
    assert read == Config(name="mine", model=expected)


@pytest.mark.parametrize("text", ["3", "[]", "null", '{"name": "x", "model": []}', "{"])
@pytest.mark.parametrize("key", [METADATA_KEY, REFINER_KEY])
def test_what_is_no_configuration_is_refused(key, text):
    with pytest.raises(CheckpointError, match=r"the configuration in w.safetensors"):
        from_metadata(FILE, {key: text})


@pytest.mark.parametrize(
    ("key", "kind", "text"),
    [
        (
            METADATA_KEY,
            "refiner",
            r"^refine must be a refiner's weights, w\S+ is a tracker's; give it as weights",
        ),
        (
            REFINER_KEY,
            "tracker",
            r"^weights must be a tracker's weights, w\S+ is a refiner's; give it as refine",
        ),
    ],
)
def test_weights_of_another_kind_are_refused(key, kind, text):
    with pytest.raises(CheckpointError, match=text):
        from_metadata(FILE, {key: '{"name": "x"}'}, kind)


def test_an_unknown_kind_is_refused():
    with pytest.raises(
        CheckpointError, match=r"model: kind must be one that is known, got 'refine'; did you mean"
    ):
        from_metadata(FILE, {METADATA_KEY: '{"name": "x", "model": {"kind": "refine"}}'})


def test_the_recipe_that_an_earlier_run_of_a_refiner_left_is_read():
    recipe = read_recipe("refine")
    values = json.loads(json.dumps(to_mapping(recipe)))
    model = values["config"].pop("model")
    del values["config"]["tracking"], model["kind"]
    own = {name: model.pop(name) for name in ("mask_threshold", "box")}
    values["config"] |= {"model": model, **own}
    assert recipe_from_mapping(values) == recipe

import json
import os
import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from starktrack.config.loading import override, to_mapping
from starktrack.config.metadata import METADATA_KEY
from starktrack.config.schema import Config
from starktrack.errors import CheckpointError, InputError
from starktrack.kinds import load_network
from starktrack.models.build import build_network
from starktrack.models.folding import fold
from starktrack.models.weights import read_config, read_weights, save_weights


@pytest.fixture
def config(small_model):
    return override(Config(name="mine", model=small_model()), ["tracking.update_interval=7"])


@pytest.fixture
def saved(config, tmp_path):
    torch.manual_seed(0)
    network = build_network(config.model).eval()
    path = tmp_path / "mine.safetensors"
    save_weights(path, network.state_dict(), config)
    return path, network


def test_weights_and_configuration_come_back(saved, config):
    path, network = saved
    assert read_config(path) == config
    read, state = read_weights(path)
    assert read == config
    expected = network.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_the_network_that_is_loaded_answers_as_the_one_that_was_saved(saved, crops_for):
    path, network = saved
    config, loaded = load_network(path)
    assert not loaded.training
    crops = crops_for(config.model)
    with torch.no_grad():
        assert torch.equal(loaded(*crops).box_cxcywh, network(*crops).box_cxcywh)


def test_a_folded_network_is_loaded_folded(tmp_path, small_model, crops_for):
    model = small_model("backbone.name=repvgg_a0_lite", "box_head.kind=corner_rep")
    network = fold(build_network(model).eval())
    save_weights(tmp_path / "folded.safetensors", network.state_dict(), Config(name="x", model=model))
    loaded = load_network(tmp_path / "folded.safetensors")[1]
    with torch.no_grad():
        assert torch.equal(loaded(*crops_for(model)).box_cxcywh, network(*crops_for(model)).box_cxcywh)


def test_the_file_is_plain_safetensors_with_json_beside_the_tensors(saved, config):
    path, network = saved
    header = json.loads(path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")])
    assert json.loads(header["__metadata__"][METADATA_KEY]) == to_mapping(config)
    assert load_file(path).keys() == network.state_dict().keys()


def test_tensors_that_share_memory_or_are_not_contiguous_are_saved_whole(tmp_path, config):
    whole = torch.arange(12.0).view(3, 4)
    save_weights(tmp_path / "a.safetensors", {"t": whole.T, "part": whole[1:], "whole": whole}, config)
    state = read_weights(tmp_path / "a.safetensors")[1]
    assert torch.equal(state["t"], whole.T) and torch.equal(state["part"], whole[1:])


@pytest.mark.parametrize("kept", [0, 4, 8, 100, 0.5, 0.99, -1])
def test_a_truncated_file_is_refused_with_what_it_must_be(saved, kept):
    path, _ = saved
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept) if isinstance(kept, float) else kept])
    for read in (read_config, read_weights, load_network):
        with pytest.raises(
            CheckpointError, match=r"must be a safetensors file, .*mine\.safetensors is not or is trunc"
        ):
            read(path)


def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path):
    path = tmp_path / "STARKS_ep0500.pth.tar"
    torch.save({"net": {}}, path)
    with pytest.raises(CheckpointError, match="for a file of the authors run: starktrack convert"):
        load_network(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "nowhere.safetensors", tmp_path):
        with pytest.raises(
            CheckpointError, match=f"weights must be a file written by starktrack, {path} is "
        ):
            load_network(path)


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        (None, "must carry their configuration in the metadata 'starktrack.config'"),
        ({"format": "pt"}, "only files written by starktrack can be loaded"),
        ({METADATA_KEY: "{not json"}, "the configuration in {path} is not JSON"),
        ({METADATA_KEY: "3"}, "the configuration in {path} is not"),
        ({METADATA_KEY: '{"name": "x", "modell": {}}'}, "unknown key 'modell'; did you mean 'model'?"),
    ],
)
def test_a_file_whose_configuration_cannot_be_read_is_refused(metadata, text, tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata=metadata)
    with pytest.raises(CheckpointError) as error:
        load_network(path)
    assert text.format(path=path) in str(error.value) and str(path) in str(error.value)


def test_tensors_that_do_not_fit_their_configuration_are_all_named(saved, config):
    path, network = saved
    state = network.state_dict()
    del state["bottleneck.bias"]
    state["decoder.query"] = torch.zeros(2, 32)
    state["extra.weight"] = torch.zeros(1)
    save_weights(path, state, config)
    with pytest.raises(CheckpointError) as error:
        load_network(path)
    text = str(error.value)
    for part in ("does not fit its model", "bottleneck.bias", "extra.weight", "decoder.query", str(path)):
        assert part in text
    assert "\n" not in text


def test_weights_of_another_model_are_refused(saved, small_model):
    path, network = saved
    save_weights(path, network.state_dict(), Config(name="other", model=small_model("score_head=true")))
    with pytest.raises(CheckpointError, match=r"does not fit its model: .*score_head"):
        load_network(path)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_write_that_fails_keeps_the_file_before_and_leaves_nothing_beside_it(
    saved, config, failing, monkeypatch
):
    path, _ = saved
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if failing == "fsync" else (Path, "replace")), full)
    with pytest.raises(InputError, match="must be written whole, got: No space left"):
        save_weights(path, {"weight": torch.ones(3)}, config)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_write_over_a_file_replaces_it(saved, config):
    path, _ = saved
    save_weights(path, {"weight": torch.ones(3)}, config)
    assert list(read_weights(path)[1]) == ["weight"]


def test_a_configuration_that_asks_for_terabytes_takes_no_memory(saved, config):
    path, network = saved
    huge = override(config, ["model.transformer.width=16384", "model.transformer.ffn_width=16384"])
    huge = override(huge, ["model.transformer.num_encoder_layers=128"])
    save_weights(path, network.state_dict(), huge)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match="does not fit its model"):
        load_network(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 500_000  # kB; it asks for 500 GB

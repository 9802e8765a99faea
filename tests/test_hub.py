import sys
import types

import jaxtyping
import pytest
import torch

import starktrack
from starktrack import hub
from starktrack.config.schema import Config
from starktrack.errors import CheckpointError, ConfigError, MissingExtraError
from starktrack.models.build import build_network
from starktrack.models.weights import save_weights
from starktrack.pretrained import pretrained_weights


@pytest.fixture
def checkpoint(small_model, tmp_path):
    torch.manual_seed(0)
    config = Config(name="mine", model=small_model())
    path = tmp_path / "mine.safetensors"
    save_weights(path, build_network(config.model).state_dict(), config)
    return path


@pytest.fixture
def fake_hub(monkeypatch, checkpoint):
    """A hub without a network; `calls` says what was asked of it, `fails` lets it refuse."""

    class HfHubHTTPError(OSError):
        pass

    class HFValidationError(ValueError):
        pass

    module = types.ModuleType("huggingface_hub")
    module.errors = types.SimpleNamespace(HfHubHTTPError=HfHubHTTPError, HFValidationError=HFValidationError)
    module.calls, module.fails = [], None

    def asked(name, answer):
        def call(*args, **options):
            module.calls.append((name, args, options))
            if module.fails:
                raise module.fails
            return answer

        return call

    module.hf_hub_download = asked("download", str(checkpoint))
    module.create_repo = asked("create", None)
    module.upload_file = asked("upload", "https://hub/commit/1")
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return module


def test_weights_of_a_repository_become_a_tracker(fake_hub):
    tracker = starktrack.from_pretrained("org/name", revision="v1", device="cpu")
    assert tracker.engine.config.name == "mine"
    assert fake_hub.calls == [("download", ("org/name", "model.safetensors"), {"revision": "v1"})]


def test_pushing_makes_the_repository_and_uploads_one_file(fake_hub, checkpoint):
    assert hub.push(checkpoint, "org/name", private=True) == "https://hub/commit/1"
    (_, created, options), (_, _, upload) = fake_hub.calls
    assert created == ("org/name",) and options == {"private": True, "exist_ok": True}
    assert upload == {
        "path_or_fileobj": checkpoint,
        "path_in_repo": "model.safetensors",
        "repo_id": "org/name",
    }


def test_only_checkpoints_of_ours_are_pushed(fake_hub, tmp_path):
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="must be a safetensors file"):
        hub.push(tmp_path / "other.safetensors", "org/name")
    assert fake_hub.calls == []


@pytest.mark.parametrize("kind", ["HfHubHTTPError", "HFValidationError", "OSError"])
def test_a_hub_that_refuses_is_one_clear_error(kind, fake_hub, checkpoint):
    fake_hub.fails = getattr(fake_hub.errors, kind, OSError)("404 not found")
    with pytest.raises(
        CheckpointError,
        match=r"weights of 'org/name' could not be had from the hub: model\.safetensors: 404 not found",
    ):
        hub.from_pretrained("org/name")
    with pytest.raises(CheckpointError, match="could not be pushed to 'org/name': 404 not found"):
        hub.push(checkpoint, "org/name")


def test_without_the_package_the_extra_to_install_is_named(monkeypatch, checkpoint):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    text = r'the Hugging Face hub needs the package huggingface_hub, .*pip install "starktrack\[hub\]"'
    with pytest.raises(MissingExtraError, match=text):
        starktrack.from_pretrained("org/name")
    with pytest.raises(MissingExtraError, match=text):
        hub.push(checkpoint, "org/name")


def test_an_exported_network_is_taken_where_it_is_asked_for_or_nothing_else_is_there(fake_hub, monkeypatch):
    file = str(pretrained_weights("stark_mobile", "onnx"))
    monkeypatch.setattr(fake_hub, "hf_hub_download", lambda _, name, **__: refuse_or(name, file))

    def refuse_or(name: str, file: str) -> str:
        if name != "model.onnx":
            raise fake_hub.errors.HfHubHTTPError("no such file")
        return file

    for engine in ("auto", "onnx"):
        tracker = starktrack.from_pretrained("org/name", engine=engine)
        assert tracker.engine.runtime.engine in (("onnx",) if engine == "onnx" else ("onnx", "openvino"))
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no such file$"):
        starktrack.from_pretrained("org/name", engine="torch")


def test_an_exported_network_is_pushed_under_its_own_name(fake_hub):
    hub.push(pretrained_weights("stark_mobile", "onnx"), "org/name")
    assert fake_hub.calls[-1][2]["path_in_repo"] == "model.onnx"


def test_an_unknown_engine_is_refused_before_anything_is_downloaded(fake_hub, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users see it
    with pytest.raises(ConfigError, match="an engine must be auto, torch, onnx or openvino, got 'foo'"):
        starktrack.from_pretrained("org/name", engine="foo")
    assert fake_hub.calls == []

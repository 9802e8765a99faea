import os
import subprocess
import sys

import jaxtyping
import numpy as np
import pytest

import starktrack
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.data.video.writer import VideoWriter
from starktrack.engines.exported import ExportedEngine
from starktrack.engines.onnx_engine import OnnxEngine
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import CheckpointError, ConfigError, DeviceError
from starktrack.models.weights import save_weights

BOX = (150, 120, 80, 70)


@pytest.fixture(scope="module")
def checkpoint(network, config, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save_weights(path, network.state_dict(), config)
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    with VideoWriter(path, (240, 320), 30.0) as writer:
        for frame in synthetic_clip(12, size_hw=(240, 320)):
            writer.write(frame.image)
    return path


@pytest.mark.parametrize("engine", ["auto", "onnx"])
def test_an_exported_file_runs_without_torch(exported, engine):
    expected = OnnxEngine if engine == "onnx" else ExportedEngine
    assert isinstance(starktrack.load(weights=exported[0], engine=engine).engine, expected)


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_a_checkpoint_runs_on_torch(checkpoint, engine):
    assert isinstance(starktrack.load(weights=checkpoint, device="cpu", engine=engine).engine, TorchEngine)


def test_an_engine_that_cannot_run_the_file_says_what_to_do(exported, checkpoint):
    with pytest.raises(CheckpointError, match=r"run: starktrack export .*tiny\.safetensors .*tiny\.onnx$"):
        starktrack.load(weights=checkpoint, engine="onnx")
    with pytest.raises(
        CheckpointError, match=r"torch engine cannot run .*tiny\.onnx; give it the \.safetensors"
    ):
        starktrack.load(weights=exported[0], engine="torch")


def test_a_device_that_this_onnx_runtime_was_not_built_for(exported):
    with pytest.raises(
        DeviceError, match=r"cuda needs an ONNX Runtime with CUDAExecutionProvider, this one has .* use cpu"
    ):
        starktrack.load(weights=exported[0], device="cuda")


def test_an_exported_network_of_another_model_is_refused(exported):
    with pytest.raises(
        CheckpointError, match=r"must be of stark_s50, .* is of tiny; leave the model out, or give tiny"
    ):
        starktrack.load("stark_s50", weights=exported[0])


def test_an_unknown_engine_is_refused(exported, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users see it
    with pytest.raises(ConfigError, match="must be auto, torch, onnx or openvino, got 'tensorrt'"):
        starktrack.load(weights=exported[0], engine="tensorrt")


def run(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, timeout=120)


def test_tracking_with_an_exported_network_imports_no_torch(exported, checkpoint, video, tmp_path):
    program = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['timm'] = None\n"
        "from starktrack.cli.main import main\n"
        "main()"
    )
    saved = tmp_path / "boxes.txt"
    box = ",".join(map(str, BOX))
    done = run(program, "track", video, "--box", box, "--weights", exported[0], "--save", saved)
    assert done.returncode == 0, done.stderr
    found = np.loadtxt(saved, delimiter=",")
    frames = starktrack.track(video, BOX, weights=checkpoint, device="cpu")
    theirs = [tracked.output.box_xywh for tracked in frames]
    assert found.shape == (12, 4)
    assert np.abs(found - theirs).max() <= 0.05

import os
import subprocess
import sys

import jaxtyping
import numpy as np
import onnx
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
    assert isinstance(starktrack.load(weights=exported, engine=engine).engine, expected)


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_a_checkpoint_runs_on_torch(checkpoint, engine):
    assert isinstance(starktrack.load(weights=checkpoint, device="cpu", engine=engine).engine, TorchEngine)


def test_an_engine_that_cannot_run_the_file_says_what_to_do(exported, checkpoint):
    with pytest.raises(CheckpointError, match=r"run: starktrack export .*tiny\.safetensors .*tiny\.onnx$"):
        starktrack.load(weights=checkpoint, engine="onnx")
    with pytest.raises(
        CheckpointError, match=r"torch engine cannot run .*tiny\.onnx; give it the \.safetensors"
    ):
        starktrack.load(weights=exported, engine="torch")


def test_a_device_that_this_onnx_runtime_was_not_built_for(exported):
    with pytest.raises(
        DeviceError, match=r"cuda needs an ONNX Runtime with CUDAExecutionProvider, this one has .* use cpu"
    ):
        starktrack.load(weights=exported, device="cuda")


def cut_a_reshape(graph):
    """Reshape to a size that the values do not divide into."""
    constants = {each.name: each for each in graph.initializer}
    for node in graph.node:
        shape = constants.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and shape.dims[0] > 1:
            shape.raw_data = shape.raw_data[:-8] + (7).to_bytes(8, "little")


def forget_the_batch(graph):
    """Answer about every crop with the first row alone."""
    for name in [each.name for each in graph.output]:
        for node in graph.node:
            node.output[:] = [f"{each}.all" if each == name else each for each in node.output]
        graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(1, np.int64), f"{name}.first"))
        graph.node.append(onnx.helper.make_node("Gather", [f"{name}.all", f"{name}.first"], [name]))


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize("damage", [cut_a_reshape, forget_the_batch])
def test_a_graph_that_opens_but_cannot_be_run_is_an_error_of_ours(exported, tmp_path, engine, damage):
    """Found by fuzzing: runtimes check many things only when they run a graph."""
    model = onnx.load(exported)
    damage(model.graph)
    onnx.save(model, tmp_path / "damaged.onnx")
    image = np.zeros((240, 320, 3), np.uint8)
    with pytest.raises(CheckpointError):
        tracker = starktrack.load(weights=tmp_path / "damaged.onnx", device="cpu", engine=engine)
        tracker.start(image, boxes_xywh=[BOX, BOX])
        tracker.update_all(image)


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_graph_that_lacks_an_output_names_it(exported, tmp_path, engine):
    model = onnx.load(exported)
    lost = next(each for each in model.graph.output if each.name == "score")
    model.graph.output.remove(lost)
    onnx.save(model, tmp_path / "less.onnx")
    with pytest.raises(CheckpointError, match=r"less\.onnx lacks score; write it anew"):
        starktrack.load(weights=tmp_path / "less.onnx", device="cpu", engine=engine)


def test_an_exported_network_of_another_model_is_refused(exported):
    with pytest.raises(
        CheckpointError, match=r"must be of stark_s50, .* is of tiny; leave the model out, or give tiny"
    ):
        starktrack.load("stark_s50", weights=exported)


def test_an_unknown_engine_is_refused(exported, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users see it
    with pytest.raises(ConfigError, match="must be auto, torch, onnx or openvino, got 'tensorrt'"):
        starktrack.load(weights=exported, engine="tensorrt")


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
    done = run(program, "track", video, "--box", box, "--weights", exported, "--save", saved)
    assert done.returncode == 0, done.stderr
    found = np.loadtxt(saved, delimiter=",")
    frames = starktrack.track(video, BOX, weights=checkpoint, device="cpu")
    theirs = [tracked.output.box_xywh for tracked in frames]
    assert found.shape == (12, 4)
    assert np.abs(found - theirs).max() <= 0.05

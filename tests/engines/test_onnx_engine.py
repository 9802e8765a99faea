import numpy as np
import pytest
import torch

from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.engines.export import export_onnx
from starktrack.engines.onnx_engine import open_onnx
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import CheckpointError
from starktrack.tracking.protocol import BoxQueries, Engine
from starktrack.tracking.tracker import Tracker


@pytest.fixture(scope="module")
def engine(exported):
    return open_onnx(exported, threads=1)


@pytest.fixture(scope="module")
def clip():
    return list(synthetic_clip(40, seed=3))


def test_it_is_an_engine(engine):
    assert isinstance(engine, Engine)


def test_lightning_follows_the_golden_video_as_the_authors_tracker_does(
    golden, golden_network, golden_video, tmp_path
):
    numbers = golden("golden_track_stark_lightning")
    overrides = {key[9:]: value for key, value in numbers.items() if key.startswith("override/")}
    config, network = golden_network("stark_lightning", overrides)
    parity = export_onnx(network, config, tmp_path / "lightning.onnx")
    assert parity.overlap > 0.9999
    tracker = Tracker(open_onnx(tmp_path / "lightning.onnx", threads=1))
    frames, _ = golden_video
    tracker.start(frames[0], box_xywh=numbers["states"][0])
    boxes = np.array([tracker.update(frame).box_xywh for frame in frames[1:]])
    assert boxes.shape == (39, 4)
    assert np.abs(boxes - numbers["states"][1:]).max() <= 0.05


def test_several_targets_with_updated_templates_are_followed_as_by_torch(engine, network, config, clip):
    trackers = [Tracker(engine), Tracker(TorchEngine(network, config, device=torch.device("cpu")))]
    found = [[], []]
    for tracker, outputs in zip(trackers, found, strict=True):
        tracker.start(clip[0].image, boxes_xywh=[clip[0].box_xywh, (-10, -5, 60, 80), (440, 300, 60, 90)])
        for frame in clip[1:]:
            outputs.append(
                [(*output.box_xywh, output.score) for output in tracker.update_all(frame.image).values()]
            )
    ours, theirs = np.array(found[0]), np.array(found[1])
    assert ours.shape == (39, 3, 5)
    assert np.abs(ours[..., :4] - theirs[..., :4]).max() <= 0.05
    assert np.abs(ours[..., 4] - theirs[..., 4]).max() <= 1e-4


def assert_alone_as_together(engine, images, boxes):
    """Check that targets get the same answers alone and as a batch."""
    together = BoxQueries(images, np.arange(len(images)), boxes)
    templates = [[template] * 2 for template in engine.embed(together)]
    all_at_once = engine.predict(together, templates)
    assert len(all_at_once.boxes_cxcywh) == len(images)
    for index, image in enumerate(images):
        alone = BoxQueries([image], np.zeros(1, np.int64), boxes[index : index + 1])
        prediction = engine.predict(alone, [engine.embed(alone) * 2])
        assert np.abs(prediction.boxes_cxcywh[0] - all_at_once.boxes_cxcywh[index]).max() <= 1e-5
        assert np.abs(prediction.scores[0] - all_at_once.scores[index]) <= 1e-5


def test_answers_do_not_depend_on_how_targets_are_grouped(engine, clip):
    images = [frame.image for frame in clip[:3]]
    boxes = np.stack([frame.box_xywh for frame in clip[:3]])
    boxes[2, :2] = -30
    assert_alone_as_together(engine, images, boxes)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"must be a file, .*none\.onnx does not exist"):
        open_onnx(tmp_path / "none.onnx")


@pytest.mark.parametrize("keep", [0, 100, 5000, -1000])
def test_a_truncated_file_is_refused(exported, tmp_path, keep):
    path = tmp_path / "cut.onnx"
    path.write_bytes(exported.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"cut\.onnx is not or is truncated"):
        open_onnx(path)


def test_a_graph_of_somebody_else_is_refused(tmp_path):
    import onnx

    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [result])
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "foreign.onnx")
    with pytest.raises(CheckpointError, match="only files written by starktrack can be loaded"):
        open_onnx(tmp_path / "foreign.onnx")

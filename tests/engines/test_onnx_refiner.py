import dataclasses
import shutil

import numpy as np
import pytest
import torch
from tests.small_networks import REFINER, sharp_refiner

from starktrack.api import load_refiner
from starktrack.config.schema import Config
from starktrack.engines import export as exporting
from starktrack.engines.export import export_onnx
from starktrack.engines.exported import ExportedEngine
from starktrack.engines.onnx_engine import OnnxEngine, open_onnx
from starktrack.engines.parity import compare
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import CheckpointError, DeviceError
from starktrack.tracking.protocol import BoxQueries, Refiner

BOXES = np.array([[40.0, 30.0, 20.0, 24.0], [70.5, 20.25, 30.0, 18.0], [-5.0, 80.0, 22.0, 30.0]])


@pytest.fixture(scope="module")
def network():
    return sharp_refiner(0)


def on_torch(network):
    return TorchEngine(network, REFINER, device=torch.device("cpu"))


def queries(clip, *indices):
    return BoxQueries([clip[0].image], np.zeros(len(indices), np.int64), BOXES[list(indices)])


def test_the_exported_refiner_agrees_with_torch_on_every_crop(exported_refiner, network):
    engine = open_onnx(exported_refiner)
    parity = compare(on_torch(network), engine)
    assert parity.num_crops == 12 and parity.overlap == 1
    assert parity.corner_difference < 1e-5 and parity.probability_difference < 1e-5
    assert isinstance(engine, Refiner) and engine.config == REFINER


def test_both_answer_the_same_of_boxes_in_and_over_the_edge_of_a_frame(exported_refiner, network, small_clip):
    asked = queries(small_clip, 0, 1, 2)
    theirs, ours = on_torch(network), open_onnx(exported_refiner, threads=1)
    looks = theirs.embed(asked), ours.embed(asked)
    np.testing.assert_allclose(
        torch.cat(looks[0]).numpy(), np.stack([look["template_features"] for look in looks[1]]), atol=1e-4
    )
    first, second = (
        theirs.predict(asked, [[look] for look in looks[0]]),
        ours.predict(asked, [[look] for look in looks[1]]),
    )
    np.testing.assert_allclose(first.boxes_cxcywh, second.boxes_cxcywh, atol=1e-5)
    np.testing.assert_allclose(first.mask_logits, second.mask_logits, atol=1e-4)


def test_targets_get_the_same_alone_and_together(exported_refiner, small_clip):
    refiner = open_onnx(exported_refiner, threads=1)
    looks = refiner.embed(queries(small_clip, 0, 1, 2))
    together = refiner.predict(queries(small_clip, 0, 1, 2), [[look] for look in looks])
    for index in range(3):
        alone = refiner.predict(queries(small_clip, index), [[looks[index]]])
        np.testing.assert_allclose(alone.mask_logits[0], together.mask_logits[index], atol=1e-5)
        np.testing.assert_allclose(alone.boxes_cxcywh[0], together.boxes_cxcywh[index], atol=1e-6)


def test_the_check_sees_that_two_refiners_differ(exported_refiner):
    parity = compare(on_torch(sharp_refiner(1)), open_onnx(exported_refiner))
    assert parity.probability_difference > 1e-2 and not parity.holds


def test_a_refiner_that_differs_is_not_written(exported_refiner, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_write", lambda *given: shutil.copy(exported_refiner, given[-1]))
    with pytest.raises(CheckpointError, match=r"must answer as PyTorch does .* was not written"):
        export_onnx(sharp_refiner(1), REFINER, tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_refiner_whose_cells_look_at_their_own_alone_is_exported(tmp_path):
    assert REFINER.model.non_local  # as the others here, and as published; refine_mobile is not
    model = dataclasses.replace(REFINER.model, non_local=False)
    config = Config(name="own", model=model)
    parity = export_onnx(sharp_refiner(0, model), config, tmp_path / "own.onnx")
    assert parity.holds and parity.probability_difference < 1e-5


def test_the_file_and_the_device_decide_the_engine(exported_refiner):
    assert isinstance(load_refiner(exported_refiner, engine="onnx"), OnnxEngine)
    assert isinstance(load_refiner("refine_mobile"), ExportedEngine)
    assert isinstance(load_refiner("refine_mobile", device="cpu", engine="torch"), TorchEngine)
    with pytest.raises(DeviceError, match="device cuda needs an ONNX Runtime with CUDAExecutionProvider"):
        load_refiner(exported_refiner, device="cuda")


def test_what_is_no_refiner_is_refused(tmp_path):
    from starktrack.pretrained import pretrained_weights

    with pytest.raises(
        CheckpointError,
        match=r"must be a refiner's weights, .* is a tracker's; give it as weights",
    ):
        load_refiner(pretrained_weights("stark_mobile", "onnx"))
    with pytest.raises(CheckpointError, match=r"must be a file, .*none\.onnx does not exist"):
        load_refiner(tmp_path / "none.onnx")
    with pytest.raises(CheckpointError, match="got 'refine_mobil'; did you mean 'refine_mobile'"):
        load_refiner("refine_mobil")
    with pytest.raises(CheckpointError, match="refine_r34 needs weights, got none; train some"):
        load_refiner("refine_r34")

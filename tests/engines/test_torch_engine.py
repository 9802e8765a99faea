import os
import signal
import time

import numpy as np
import pytest
import torch

import starktrack
from starktrack.engines.torch_engine import TorchEngine, resolve_device
from starktrack.errors import DeviceError
from starktrack.kinds import load_network
from starktrack.models.lightning import RepVggBlock
from starktrack.tracking.protocol import BoxQueries, Engine

BOXES = np.array([[40.0, 30.0, 20.0, 24.0], [70.5, 20.25, 30.0, 18.0], [-4.0, 80.0, 30.0, 30.0]])


@pytest.fixture(scope="module")
def engine(small_checkpoint):
    config, network = load_network(small_checkpoint)
    return TorchEngine(network, config, device=torch.device("cpu"))


def queries(images, index, boxes=BOXES):
    return BoxQueries(images, np.array(index, np.int64), boxes)


def search(engine, seen):
    templates = [[template] * 2 for template in engine.embed(seen)]
    return engine.predict(seen, templates)


def test_it_fulfils_the_trackers_protocol(engine):
    assert isinstance(engine, Engine)


def test_each_box_gets_a_template_an_answer_and_a_score(engine, small_clip):
    seen = queries([small_clip[0].image], [0, 0, 0])
    assert len(engine.embed(seen)) == len(seen) == 3
    prediction = search(engine, seen)
    assert prediction.boxes_cxcywh.shape == (3, 4) and prediction.boxes_cxcywh.dtype == np.float64
    assert prediction.scores.shape == (3,)
    assert ((prediction.scores > 0) & (prediction.scores < 1)).all()


def test_a_model_without_a_score_head_gives_no_scores(small_model, small_clip):
    from starktrack.config.schema import Config
    from starktrack.models.build import build_network

    model = small_model()
    engine = TorchEngine(build_network(model), Config(name="x", model=model), device=torch.device("cpu"))
    seen = queries([small_clip[0].image], [0, 0, 0])
    assert engine.predict(seen, [[template] for template in engine.embed(seen)]).scores is None


def test_a_frame_given_once_equals_the_frame_given_for_each_box(engine, small_clip):
    image = small_clip[0].image
    once, each = (
        search(engine, seen) for seen in (queries([image], [0, 0, 0]), queries([image] * 3, [0, 1, 2]))
    )
    np.testing.assert_array_equal(once.boxes_cxcywh, each.boxes_cxcywh)
    np.testing.assert_array_equal(once.scores, each.scores)


def test_boxes_of_several_frames_are_answered_as_those_of_each(engine, small_clip):
    images = [small_clip[0].image, small_clip[5].image[:80]]
    together = search(engine, queries(images, [1, 0, 1]))
    for row, image in enumerate((1, 0, 1)):
        alone = search(engine, queries([images[image]], [0], BOXES[row : row + 1]))
        np.testing.assert_allclose(together.boxes_cxcywh[row], alone.boxes_cxcywh[0], atol=1e-5)
        np.testing.assert_allclose(together.scores[row], alone.scores[0], atol=1e-5)


def test_templates_that_change_are_noticed(engine, small_clip):
    seen, later = queries([small_clip[0].image], [0, 0, 0]), queries([small_clip[8].image], [0, 0, 0])
    first, second = engine.embed(seen), engine.embed(later)
    before = engine.predict(later, [[template] * 2 for template in first])
    changed = engine.predict(later, [list(pair) for pair in zip(first, second, strict=True)])
    again = engine.predict(later, [[template] * 2 for template in first])
    np.testing.assert_array_equal(before.boxes_cxcywh, again.boxes_cxcywh)
    assert np.abs(before.boxes_cxcywh - changed.boxes_cxcywh).max() > 1e-6


@pytest.mark.parametrize("form", ["mirrored colours", "a part of a larger one", "read only", "columns first"])
def test_any_memory_layout_of_a_frame_gives_the_same_answer(form, engine, small_clip, recwarn):
    image = small_clip[0].image
    if form == "mirrored colours":
        other = image[..., ::-1].copy()[..., ::-1]
    elif form == "a part of a larger one":
        other = np.pad(image, ((3, 5), (2, 7), (0, 0)))[3:-5, 2:-7]
    elif form == "read only":
        other = image.copy()
        other.flags.writeable = False
    else:
        other = np.asfortranarray(image)
    ours, theirs = (search(engine, queries([each], [0, 0, 0])) for each in (image, other))
    np.testing.assert_array_equal(ours.boxes_cxcywh, theirs.boxes_cxcywh)
    assert [warning for warning in recwarn if "writ" in str(warning.message)] == []


def test_the_frame_is_not_changed(engine, small_clip):
    image = small_clip[0].image.copy()
    search(engine, queries([image], [0, 0, 0]))
    np.testing.assert_array_equal(image, small_clip[0].image)


def test_the_network_runs_folded_and_in_eval_mode(small_model):
    from starktrack.config.schema import Config
    from starktrack.models.build import build_network

    model = small_model("backbone.name=repvgg_a0_lite")
    network = build_network(model).train()
    engine = TorchEngine(network, Config(name="x", model=model), device=torch.device("cpu"))
    blocks = [module for module in engine.network.modules() if isinstance(module, RepVggBlock)]
    assert len(blocks) == 11 and all(block.folded is not None for block in blocks)
    assert not engine.network.training


def test_an_unknown_device_is_refused_with_those_that_are_known():
    with pytest.raises(DeviceError, match="device must be auto, cpu, cuda, cuda:N or mps, got 'tpu'"):
        resolve_device("tpu")


def test_a_device_that_is_not_there_is_refused_with_what_to_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("cuda", "cuda:1"):
        with pytest.raises(
            DeviceError, match=f"device {name} is not available on this machine; use auto or cpu"
        ):
            resolve_device(name)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_cuda_then_mps_then_the_processor(cuda, mps, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto").type == expected
    assert resolve_device("cpu").type == "cpu"


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_an_engine_in_a_forked_process_is_one_clear_error_at_once(engine, small_checkpoint):
    """Without the check the child waits for threads that it does not have."""
    tracker = starktrack.load(weights=small_checkpoint if engine == "torch" else None, engine=engine)
    frame = np.zeros((96, 128, 3), np.uint8)
    tracker.start(frame, (40, 30, 20, 24))
    tracker.update(frame)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            tracker.update(frame)
        except DeviceError as error:
            code = 0 if "call starktrack.load there" in str(error) else 2
        finally:
            os._exit(code)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    if ended[0] == 0:
        os.kill(child, signal.SIGKILL)
    assert ended == (child, 0)

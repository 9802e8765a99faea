import numpy as np
import pytest
import torch
from tests.data.samples.test_outline import MODEL

import starktrack
from starktrack.api import load_refiner
from starktrack.config.schema import Config
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import CheckpointError
from starktrack.models.refine import build_refiner
from starktrack.models.weights import save_weights
from starktrack.tracking.protocol import BoxQueries, Refiner

BOXES = np.array([[40.0, 30.0, 20.0, 24.0], [70.5, 20.25, 30.0, 18.0]])


@pytest.fixture(scope="module")
def refiner():
    torch.manual_seed(0)
    return TorchEngine(build_refiner(MODEL), Config(name="small", model=MODEL), device=torch.device("cpu"))


def queries(clip, *indices, boxes=BOXES):
    return BoxQueries([clip[0].image], np.zeros(len(indices), np.int64), boxes[list(indices)])


def test_it_fulfils_the_protocol(refiner):
    assert isinstance(refiner, Refiner)


def test_targets_get_the_same_alone_and_together(refiner, small_clip):
    looks = refiner.embed(queries(small_clip, 0, 1))
    together = refiner.predict(queries(small_clip, 0, 1), [[look] for look in looks])
    assert together.mask_logits.shape == (2, 16, 16)
    for index in (0, 1):
        one = queries(small_clip, index)
        (look,) = refiner.embed(one)
        torch.testing.assert_close(look, looks[index], rtol=1e-4, atol=1e-5)
        alone = refiner.predict(one, [[look]])
        # Convolutions of one picture and of two round differently.
        np.testing.assert_allclose(alone.mask_logits[0], together.mask_logits[index], atol=1e-4)
        np.testing.assert_allclose(alone.boxes_cxcywh[0], together.boxes_cxcywh[index], atol=1e-5)


def test_the_template_is_pooled_inside_the_given_box(refiner, small_clip):
    # The network gets the place of the box in its crop: a window of twice the root of 20 x 24, 44 px.
    seen = {}
    network = refiner.network
    embed = network.embed
    network.embed = lambda crops, boxes: seen.setdefault("boxes", boxes) is None or embed(crops, boxes)
    try:
        refiner.embed(queries(small_clip, 0))
    finally:
        del network.embed
    expected = [[(50 - 28) / 44, (42 - 20) / 44, 20 / 44, 24 / 44]]
    np.testing.assert_allclose(seen["boxes"].numpy(), expected, rtol=1e-6)


def test_loading_gives_a_tracker_with_outlines(tmp_path, small_checkpoint, small_clip):
    path = tmp_path / "refiner.safetensors"
    save_weights(path, build_refiner(MODEL).state_dict(), Config(name="small", model=MODEL))
    tracker = starktrack.load(weights=small_checkpoint, refine=path, device="cpu")
    tracker.start(small_clip[0].image, box_xywh=BOXES[0])
    plain = starktrack.load(weights=small_checkpoint, device="cpu")
    plain.start(small_clip[0].image, box_xywh=BOXES[0])
    assert tracker.update(small_clip[1].image).mask.shape == (96, 128)
    assert plain.update(small_clip[1].image).mask is None
    np.testing.assert_array_equal(tracker.last_box(0), plain.last_box(0))
    with pytest.raises(CheckpointError, match="is a tracker's; give it as weights"):
        load_refiner(small_checkpoint)

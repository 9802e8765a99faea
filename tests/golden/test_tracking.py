"""Closed-loop runs of the tracker against the authors' trackers, box by box.

Limit: 0.05 px (the authors' own boxes move by 0.0015 px with the number of threads).
"""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from starktrack.engines.torch_engine import TorchEngine
from starktrack.geometry.crop import CropTransform, crop_transform, cut
from starktrack.tracking.protocol import BoxQueries
from starktrack.tracking.tracker import Tracker

MODELS = ["stark_s50", "stark_st50", "stark_lightning"]
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")),
]


@pytest.fixture(scope="module")
def run(golden, golden_network):
    def build(model, device="cpu"):
        numbers = golden(f"golden_track_{model}")
        overrides = {key[9:]: value for key, value in numbers.items() if key.startswith("override/")}
        config, network = golden_network(model, overrides)
        interval = int(numbers.get("update_interval", config.tracking.update_interval))
        config = dataclasses.replace(
            config, tracking=dataclasses.replace(config.tracking, update_interval=interval)
        )
        return numbers, TorchEngine(copy.deepcopy(network), config, device=torch.device(device))

    return build


# The first frames hold the first three template updates; the whole run takes 40 s for each ResNet.
@pytest.mark.parametrize("num_frames", [16, pytest.param(39, marks=pytest.mark.slow)])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", MODELS)
def test_closed_loop_boxes_equal_the_authors_box_by_box(model, device, num_frames, run, golden_video):
    numbers, engine = run(model, device)
    frames, _ = golden_video
    tracker = Tracker(engine)
    tracker.start(frames[0], box_xywh=numbers["states"][0])
    outputs = [tracker.update(frame) for frame in frames[1 : num_frames + 1]]
    boxes = np.array([output.box_xywh for output in outputs])
    assert boxes.shape == (num_frames, 4) and len(numbers["states"]) == 40
    assert np.abs(boxes - numbers["states"][1 : num_frames + 1]).max() <= 0.05
    if model == "stark_st50":
        scores = np.array([output.score for output in outputs])
        assert np.abs(scores - numbers["conf"][:num_frames]).max() <= 1e-4
        updated = [index for index, output in enumerate(outputs, start=1) if output.template_updated]
        assert updated == [each for each in (5, 10, 15, 20, 25, 30) if each <= num_frames]


@pytest.mark.parametrize("model", MODELS)
def test_teacher_forced_predictions_equal_the_authors(model, run, golden_video):
    numbers, engine = run(model)
    frames, _ = golden_video
    start = BoxQueries([frames[0]], np.zeros(1, np.int64), numbers["states"][:1])
    template = engine.embed(start)[0]
    templates = [[template] * engine.config.model.num_templates]
    before_the_first_update = 4
    for index in range(before_the_first_update):
        queries = BoxQueries([frames[index + 1]], np.zeros(1, np.int64), numbers["state_before"][index : index + 1])
        predicted = engine.predict(queries, templates).boxes_cxcywh
        assert np.abs(predicted - numbers["raw_pred_cxcywh"][index]).max() <= 1e-4


def test_every_crop_of_the_authors_run_is_the_crop_that_we_cut(golden, golden_video):
    frames, _ = golden_video
    compared = 0
    for model in MODELS:
        numbers = golden(f"golden_track_{model}")
        for row in numbers["crop_calls"]:
            frame, factor, size = int(row[0]), float(row[1]), int(row[2])
            transform = crop_transform(row[None, 3:7], factor, size)
            crop = cut(frames[frame], transform, "published")
            assert size / transform.side[0] == pytest.approx(row[7], abs=1e-12)
            assert crop.padding_mask.sum() == row[8]
            assert crop.image.sum(dtype=np.int64) == row[9]
            compared += 1
    assert compared == 40 + 46 + 40


def test_decoding_equals_the_authors_map_back(golden):
    numbers = golden("golden_boxes_losses")
    boxes, side = numbers["map_state"], 320 / numbers["map_rf"]
    centre = boxes[:, :2] + boxes[:, 2:] / 2
    mapped = CropTransform(centre - side[:, None] / 2, side, 320).to_image(numbers["map_pred"])
    assert len(mapped) == 200
    assert np.abs(mapped - numbers["map_out"]).max() <= 1e-9

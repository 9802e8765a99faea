import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from starktrack.config.costs import COSTS, PresetCost
from starktrack.config.presets import PRESETS, preset, presets_of
from starktrack.config.schema import Config
from starktrack.data.video.writer import VideoWriter
from starktrack.engines.profile import TimedEngine, count, hardware, measure
from starktrack.engines.torch_engine import TorchEngine
from starktrack.kinds import load_network
from starktrack.models.refine import build_refiner
from starktrack.tracking.tracker import Tracker


def test_a_convolution_is_counted_by_hand(small_model):
    # Without any attention: what is left of the frame is convolutions and linear layers.
    changes = ("transformer.num_encoder_layers=0", "transformer.num_decoder_layers=0")
    model = small_model("backbone.name=repvgg_a0_lite", *changes)
    cost = count(Config(name="x", model=model))
    assert cost.frame_macs == cost.paper_macs
    cells, channels, width = 16, 192, 32
    head = 2 * cells * (9 * (32 * 64 + 64 * 32 + 32 * 16 + 16 * 8) + 8)
    backbone = 4 * (cost.template_macs - 4 * channels * width)  # the template has a quarter of the cells
    assert cost.frame_macs == backbone + cells * channels * width + head


def test_search_only_queries_cost_less_and_templates_cost_nothing_per_frame(small_model):
    whole, search_only, more = (
        count(Config(name="x", model=small_model(*changes)))
        for changes in ([], ["transformer.encoder_queries=search"], ["num_templates=2"])
    )
    assert search_only.frame_macs < whole.frame_macs < more.frame_macs
    assert whole.parameters == search_only.parameters == more.parameters
    assert whole.template_macs == more.template_macs


def test_lightning_is_counted_in_its_folded_form_but_with_the_parameters_it_trains():
    cost = count(preset("stark_lightning"))
    assert cost.parameters == 2_349_986
    # 11 folded 3 x 3 convolutions of the backbone on 320 px, by hand
    sides, channels = (160, 80, 80, 40, 40, 40, 40, 20, 20, 20, 20), (3, 48, 48, 48, *[96] * 4, *[192] * 4)
    backbone = sum(
        side * side * 9 * before * after
        for side, before, after in zip(sides, channels[:-1], channels[1:], strict=True)
    )
    head = 400 * 9 * (128 * 128 * 2 + 128 * 2)
    rest = 400 * (192 * 128 + 2 * 128 * 1024)
    assert cost.paper_macs == backbone + head + rest


def test_each_stage_of_a_frame_is_timed(small_checkpoint, small_clip, tmp_path):
    config, network = load_network(small_checkpoint)
    timed = TimedEngine(TorchEngine(network, config, device=torch.device("cpu")))
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, (96, 128), 25.0) as writer:
        for frame in small_clip:
            writer.write(frame.image)
    latency = measure(timed, Tracker(timed), path, small_clip[0].box_xywh, warm_up=4)
    assert list(latency) == ["decode", "crop", "network", "frame"]
    for value in latency.values():
        lower, median, upper = value.lower_quartile_ms, value.median_ms, value.upper_quartile_ms
        assert 0 < lower <= median <= upper
    assert latency["frame"].median_ms > latency["network"].median_ms
    assert len(timed.crop_seconds) == len(timed.network_seconds) == 11
    timed_frames = np.array(timed.network_seconds[4:]) * 1000
    assert latency["network"].median_ms == pytest.approx(np.median(timed_frames))


def test_what_ran_is_named():
    machine = hardware(torch.device("cpu"))
    assert machine["torch"] == torch.__version__
    assert machine["threads"] == torch.get_num_threads()
    assert len(machine["device"]) > 3


def test_a_cost_is_plain_numbers():
    assert all(type(value) is int for value in dataclasses.asdict(count(preset("stark_mobile"))).values())


@pytest.mark.parametrize("name", presets_of("tracker"))
def test_the_table_of_costs_is_what_is_counted(name):
    cost = count(preset(name))
    assert COSTS[name] == PresetCost(cost.parameters, cost.frame_macs)


@pytest.mark.parametrize("name", presets_of("tracker"))
def test_the_readme_tells_the_size_that_is_counted(name):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    line = next(line for line in readme.splitlines() if line.startswith(f"| `{name}` |"))
    assert f"{COSTS[name].parameters / 1e6:.2f} M" in line
    assert f"/ {COSTS[name].frame_macs / 1e9:.1f} G" in line


def test_every_preset_has_its_cost():
    assert set(COSTS) == set(PRESETS)


@pytest.mark.parametrize("name", presets_of("refiner"))
def test_the_table_of_refiners_costs_is_what_is_counted(name):
    model = preset(name).model
    with torch.device("meta"):
        network = build_refiner(model).eval().requires_grad_(False)
        crop = torch.zeros(1, 3, model.crop.side, model.crop.side)
        template = network.embed(crop, torch.zeros(1, 4))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    with FlopCounterMode(display=False) as counter:
        network.refine(template, crop)
    assert COSTS[name] == PresetCost(parameters, counter.get_total_flops() // 2)

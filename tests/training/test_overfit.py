"""A tiny network learns one sequence by heart: loader, loss, optimiser and tracker agree with each other."""

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from tests.memory import MemoryCollection
from tests.training.tiny import stage, tiny_config, tiny_job, tiny_network, tiny_recipe

from starktrack.config.data import AugmentConfig, JitterConfig
from starktrack.config.schema import CropConfig, TransformerConfig
from starktrack.config.training import LossConfig, OptimConfig
from starktrack.data.frames import open_frames
from starktrack.data.samples.drawing import Mixture
from starktrack.data.video_sequence import VideoSequence
from starktrack.training.loop import train
from starktrack.workflows.validation import track_and_score


class Discs:
    """A bright disc that drifts over a dark floor of noise."""

    def __init__(self, length=20):
        time = np.arange(length)
        self.centres = np.stack([40 + 30 * np.sin(time / 4), 45 + 20 * np.cos(time / 5)], axis=1)

    def __len__(self):
        return len(self.centres)

    def read(self, index):
        picture = np.random.default_rng(index).integers(0, 90, (90, 120, 3), dtype=np.uint8)
        rows, columns = np.mgrid[0:90, 0:120] + 0.5
        x, y = self.centres[index]
        picture[(columns - x) ** 2 + (rows - y) ** 2 < 100] = (250, 200, 40)
        return picture


def synthetic_sequence():
    frames = Discs()
    boxes = np.concatenate([frames.centres - 10, np.full((len(frames), 2), 20.0)], axis=1)
    return VideoSequence("disc", frames, boxes, np.ones(len(frames), bool))


class Pictures(list):
    """Decoded frames."""

    read = list.__getitem__


def motorcycle(shared, length):
    """Return the first frames of a real video, decoded from where it lies."""
    folder = shared / "data" / "train" / "sequences"
    index = {entry["file"]: entry for entry in json.loads((folder / "index.json").read_text())}
    entry = index["tlp_MotorcycleChase.mp4"]
    with open_frames(folder / entry["file"]) as video:
        frames = Pictures(frame.image for frame in islice(video, length))
    boxes = np.array(entry["targets"][0]["boxes_xywh"][:length])
    return VideoSequence("motorcycle", frames, boxes, np.ones(length, bool))


def overfit_recipe(num_steps, **sampling):
    config = tiny_config(
        search=CropConfig(side=96, factor=3.0),
        template=CropConfig(side=48, factor=2.0),
        transformer=TransformerConfig(
            width=64, num_heads=4, ffn_width=128, dropout=0.0, num_encoder_layers=1, num_decoder_layers=1
        ),
    )
    learn = stage(
        epochs=1,
        frozen_stride=0,
        sampling=sampling,
        loss=LossConfig(corner=0.5),
        optim=OptimConfig(lr=2e-3, backbone_lr=2e-3, clip_norm=1.0, schedule="cosine", drop_factor=0.05),
    )
    data = replace(
        learn.data,
        jitter=JitterConfig(search_centre=1.5, search_scale=0.15),
        augment=AugmentConfig(grayscale=0, joint_flip=0, flip=0, brightness=0.1),
    )
    return tiny_recipe(
        config=config,
        stages={"learn": replace(learn, data=data)},
        batch_size=16,
        micro_batch=16,
        samples_per_epoch=16 * num_steps,
        log_every=50,
    )


def overlap_after(recipe, sequence, out):
    mixture = Mixture((MemoryCollection([sequence]),), (1.0,))
    network = tiny_network(recipe)
    validate = track_and_score([sequence], torch.device("cpu"))
    ((before, _),) = validate(network.state_dict(), recipe.config)
    train(tiny_job(recipe, out, mixture=mixture), network)
    ((after, _),) = validate(network.state_dict(), recipe.config)
    return before, after


def test_a_tiny_network_overfits_a_synthetic_sequence(tmp_path):
    before, after = overlap_after(overfit_recipe(180), synthetic_sequence(), tmp_path)
    assert before < 0.3
    assert after > 0.7


@pytest.mark.shared
def test_a_tiny_network_overfits_a_real_sequence(tmp_path, shared):
    before, after = overlap_after(overfit_recipe(200), motorcycle(shared, 20), tmp_path)
    assert before < 0.5
    assert after > 0.7

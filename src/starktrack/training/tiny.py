"""A tiny network trained in seconds on the object it is to track: what the demo uses without weights."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from starktrack.config.schema import (
    BackboneConfig,
    BoxHeadConfig,
    Config,
    CropConfig,
    ModelConfig,
    TransformerConfig,
)
from starktrack.config.training import LossConfig
from starktrack.data.synthetic_clip import ClipFrame, synthetic_clip
from starktrack.geometry.crop import crop_transform, cut
from starktrack.models.build import build_network
from starktrack.models.crops import normalise
from starktrack.models.stark import Stark
from starktrack.training.losses import box_loss

BATCH_SIZE = 16


def tiny_config() -> Config:
    """Return a network small enough to learn one object in seconds on a CPU."""
    return Config(
        name="tiny",
        model=ModelConfig(
            backbone=BackboneConfig(name="mobilenetv2_050", stride=16),
            transformer=TransformerConfig(
                width=64,
                num_heads=4,
                ffn_width=128,
                dropout=0.0,
                num_encoder_layers=1,
                num_decoder_layers=1,
                encoder_queries="search",
            ),
            box_head=BoxHeadConfig(width=64, cell_offset=0.5),
            search=CropConfig(side=128, factor=4.0),
            template=CropConfig(side=64, factor=2.0),
            geometry="exact",
        ),
    )


def train_tiny(
    num_steps: int, *, seed: int = 0, object_seed: int = 0, tell: Callable[[], None] = lambda: None
) -> tuple[Config, Stark]:
    """Return a tiny network after training on clips of one object, in eval mode; `tell` is called every step."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    config = tiny_config()
    network = build_network(config.model).train()
    frames = [
        frame
        for clip in range(1, 9)
        for frame in list(synthetic_clip(160, seed=1000 * seed + clip, object_seed=object_seed))[::8]
    ]
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    loss = LossConfig(corner=1.0)
    for _ in range(num_steps):
        templates, search, box = _batch(config, frames, rng)
        output = network(templates[:, None], None, search, None)
        optimiser.zero_grad()
        box_loss(output, box, loss, config.model.box_head.cell_offset).total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        tell()
    return config, network.eval()


def _batch(
    config: Config, frames: Sequence[ClipFrame], rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    templates, searches, boxes = [], [], []
    for first, second in rng.integers(len(frames), size=(BATCH_SIZE, 2)):
        template, search = frames[first], frames[second]
        around = crop_transform(
            template.box_xywh[None], config.model.template.factor, config.model.template.side
        )
        templates.append(cut(template.image, around, "exact").image)
        jittered = search.box_xywh.copy()
        jittered[2:] *= np.exp(rng.normal(0, 0.25))
        jittered[:2] = search.box_xywh[:2] + (search.box_xywh[2:] - jittered[2:]) / 2
        jittered[:2] += rng.uniform(-1, 1, 2) * jittered[2:]
        around = crop_transform(jittered[None], config.model.search.factor, config.model.search.side)
        searches.append(cut(search.image, around, "exact").image)
        boxes.append(around.to_crop(search.box_xywh[None])[0])
    return (
        normalise(torch.from_numpy(np.stack(templates))),
        normalise(torch.from_numpy(np.stack(searches))),
        torch.from_numpy(np.stack(boxes)).float(),
    )

"""A run so small that it takes seconds: a network of few weights on videos in memory."""

import numpy as np
import torch
from tests.memory import small_collection

from starktrack.config.data import DataConfig, LoaderConfig, SamplingConfig
from starktrack.config.schema import (
    BackboneConfig,
    BoxHeadConfig,
    Config,
    CropConfig,
    ModelConfig,
    TransformerConfig,
)
from starktrack.config.training import (
    DatasetConfig,
    OptimConfig,
    Recipe,
    RunConfig,
    StageConfig,
    ValidationConfig,
)
from starktrack.data.samples.drawing import Mixture
from starktrack.models.build import build_network
from starktrack.training.batch_source import loader_batches
from starktrack.training.distributed import Processes
from starktrack.training.job import Job
from starktrack.training.metrics_log import read_metrics


def tiny_config(**model):
    values = {
        "backbone": BackboneConfig(name="test_efficientnet"),
        "transformer": TransformerConfig(
            width=32, num_heads=4, ffn_width=64, num_encoder_layers=1, num_decoder_layers=1
        ),
        "box_head": BoxHeadConfig(width=32, cell_offset=0.5),
        "search": CropConfig(side=64, factor=4.0),
        "template": CropConfig(side=32, factor=2.0),
        "geometry": "exact",
    }
    return Config(name="tiny", model=ModelConfig(**{**values, **model}))


def stage(*, sampling=None, loader=None, **values):
    data = DataConfig(
        sampling=SamplingConfig(**{"min_length": 5, **(sampling or {})}),
        loader=LoaderConfig(**{"num_workers": 0, **(loader or {})}),
    )
    return StageConfig(**{"epochs": 2, "data": data, "optim": OptimConfig(lr=1e-3, drop_epoch=100), **values})


def tiny_recipe(*, config=None, stages=None, validation=None, **run):
    values = {
        "batch_size": 8,
        "micro_batch": 4,
        "samples_per_epoch": 24,
        "log_every": 1,
        "picture_every": 0,
        "imagenet": False,
    }
    return Recipe(
        config=config or tiny_config(),
        datasets={"memory": DatasetConfig(source="memory")},
        stages=stages or {"localise": stage()},
        run=RunConfig(**{**values, **run}),
        validation=ValidationConfig(**(validation or {"every": 0})),
    )


def tiny_network(recipe, seed=0):
    # Tiny tensors gain nothing from threads, and lose much where other processes want the cores.
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return build_network(recipe.config.model, auxiliary_head=recipe.has_auxiliary_head)


def tiny_job(recipe, out, *, processes=None, mixture=None, **parts):
    processes = processes or Processes()
    mixture = mixture or Mixture((small_collection(),), (1.0,))
    device = torch.device("cpu")

    def open_batches(stage_config):
        return loader_batches(mixture, recipe, stage_config, device=device, processes=processes)

    return Job(
        **{"open_batches": open_batches, "device": device, "processes": processes, **parts},
        recipe=recipe,
        out=out,
    )


def losses(out, kind="train"):
    return [record["loss"] for record in read_metrics(out / "metrics.jsonl") if record["kind"] == kind]


def same_tensors(a, b):
    assert set(a) == set(b)
    return all(np.array_equal(a[name].cpu().numpy(), b[name].cpu().numpy()) for name in a)

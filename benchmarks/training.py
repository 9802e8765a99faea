"""Samples per second of the loader, the step and both together, the share spent waiting, and peak memory.

    python benchmarks/training.py DATA_ROOT [--models stark_mobile stark_s50] [--steps 8] [key=value ...]

Run by a person. Every figure is the median over the steps after a warm-up of three. Data are those of the
`mobile` recipe, weights are random. `--crops` also compares crops in the workers with crops on the device.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from conditions import conditions

from starktrack.config.loading import override
from starktrack.config.presets import preset
from starktrack.config.recipes import read_recipe
from starktrack.config.training import Recipe
from starktrack.data.samples.batch import Batch
from starktrack.engines.torch_engine import resolve_device
from starktrack.models.build import build_network
from starktrack.training.batch_source import loader_batches
from starktrack.training.datasets import mix, open_collections
from starktrack.training.distributed import ALONE
from starktrack.training.resolution import at_resolution
from starktrack.training.step import Trainer

WARM_UP = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--models", nargs="+", default=["stark_mobile", "stark_s50"])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--crops", action="store_true")
    options = parser.parse_intermixed_args()
    device = resolve_device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"{conditions()}, on {name}")
    for model in options.models:
        recipe = _recipe(model, options.overrides)
        for place in ("worker", "device") if options.crops else ("auto",):
            placed = override(recipe, [f"stages.localise.data.loader.crop_in={place}"])
            print(f"{model}, crops: {place}: {_measure(placed, options.data, device, options.steps)}")


def _recipe(model: str, overrides: list[str]) -> Recipe:
    recipe = read_recipe("mobile")
    stage = recipe.stages["localise"]
    if model != "stark_mobile":
        stage = replace(stage, frozen_stride=4)
    return override(replace(recipe, config=preset(model), stages={"localise": stage}), overrides)


def _measure(recipe: Recipe, data: Path, device: torch.device, steps: int) -> str:
    mixture = mix(recipe.datasets, open_collections(recipe.datasets, data, 0))
    stage, size = recipe.stages["localise"], recipe.run.micro_batch
    torch.manual_seed(0)
    layout = torch.channels_last if recipe.run.channels_last else torch.contiguous_format
    network = build_network(recipe.config.model, auxiliary_head=recipe.has_auxiliary_head).to(
        device, memory_format=layout
    )
    network = at_resolution(network, recipe, stage)
    if recipe.run.compile:
        network.compile()
    trainer = Trainer(network, recipe, stage, device=device, processes=ALONE)
    batches = loader_batches(mixture, recipe, stage, device=device, processes=ALONE)(0, 0)

    loading = _median_seconds(lambda: _next(batches, device), steps)
    batch = next(batches)
    stepping = _median_seconds(lambda: _step(trainer, batch, device), steps)
    waits, totals = _together(trainer, batches, device, steps)
    rates = f"loader {size / loading:.1f}, step {size / stepping:.1f}, both {size * len(totals) / sum(totals):.1f}"
    return f"{rates} samples/s, {sum(waits) / sum(totals):.1%} waiting, peak memory {_peak(device):.2f} GiB"


def _together(
    trainer: Trainer, batches: Iterator[Batch], device: torch.device, steps: int
) -> tuple[list[float], list[float]]:
    waits, totals = [], []
    for _ in range(WARM_UP + steps):
        start = time.perf_counter()
        batch = next(batches)
        waits.append(time.perf_counter() - start)
        _step(trainer, batch, device)
        totals.append(time.perf_counter() - start)
    return waits[WARM_UP:], totals[WARM_UP:]


def _median_seconds(work: Callable[[], None], steps: int) -> float:
    seconds = []
    for _ in range(WARM_UP + steps):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[WARM_UP:])


def _next(batches: Iterator[Batch], device: torch.device) -> None:
    next(batches)
    _synchronise(device)


def _step(trainer: Trainer, batch: Batch, device: torch.device) -> None:
    trainer.step([batch], [0])
    _synchronise(device)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()

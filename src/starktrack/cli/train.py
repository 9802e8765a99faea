"""`starktrack train`: a recipe and data in, weights out."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starktrack.cli.options import Device, DeviceOption
from starktrack.cli.progress import Progress, progress_of
from starktrack.config.loading import override, to_mapping
from starktrack.config.recipes import read_recipe
from starktrack.config.training import DatasetConfig, Recipe, RefineRecipe
from starktrack.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from starktrack.data.video_sequence import SequenceCollection
    from starktrack.training.distributed import Processes
    from starktrack.training.job import Job, Validate
    from starktrack.training.metrics_log import Record


def train(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a recipe of ours, such as s50."),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, such as run.batch_size=32."),
    ] = None,
    data: Annotated[
        Path, typer.Option("--data", metavar="ROOT", help="Folder that the recipe's data sets lie below.")
    ] = Path("data"),
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder for checkpoints, metrics, pictures and weights."),
    ] = Path("runs/train"),
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="Start from these weights of the same model; stark_mobile: those of the package.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint in DIR, if there is one.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what the run would do, need and take.")
    ] = False,
    device: DeviceOption = Device.auto,
) -> None:
    """Train a model; on several GPUs or machines start it with torchrun.

    SIGTERM or Ctrl-C saves and ends with 143 or 130; the same command with --resume goes on as if it had
    never stopped.
    """
    plan = override(read_recipe(recipe), overrides or [])
    from starktrack.training.checkpoint import snapshot_paths
    from starktrack.training.distributed import joined, processes_of_environment
    from starktrack.training.loop import train as run

    processes = processes_of_environment()
    where = _device_of(device, processes)
    with joined(processes, where):
        collections = _open(plan.datasets, data, plan.run.seed, processes)
        job = _job(plan, out, where, processes, collections, _validation(plan, data, where, processes))
        if dry_run:
            from starktrack.cli.train_plan import show_plan

            show_plan(job, _network(plan, where), collections)
            return
        has_begun = bool(snapshot_paths(job.checkpoints))
        if has_begun and not resume:
            raise ConfigError(f"--out must be a new folder, {out} holds a run; add --resume, or give another")
        # A checkpoint fills the whole network: what a fresh run starts from is neither needed nor fetched.
        network = _network(plan, where) if has_begun else _starting_network(plan, where, weights)
        stopped = run(job, network, resume=resume)
    if stopped:
        sys.stderr.write(f"stopped by signal {stopped}, saved in {job.checkpoints}; go on with --resume\n")
        raise typer.Exit(128 + stopped)
    if processes.is_first:
        sys.stderr.write(f"weights: {job.weights}\n")


def _job(
    recipe: Recipe,
    out: Path,
    device: "torch.device",
    processes: "Processes",
    collections: "Mapping[str, SequenceCollection]",
    validate: "Validate | None",
) -> "Job":
    from starktrack.training.batch_source import loader_batches
    from starktrack.training.datasets import mix
    from starktrack.training.distill import load_teacher
    from starktrack.training.job import Job

    mixture = mix(recipe.datasets, collections)
    teacher = recipe.distillation.teacher
    return Job(
        recipe,
        out,
        device,
        lambda stage: loader_batches(mixture, recipe, stage, device=device, processes=processes),
        processes,
        validate,
        load_teacher(Path(teacher), recipe.config.model).to(device) if teacher else None,
        _tell if processes.is_first else None,
    )


def _starting_network(recipe: Recipe, device: "torch.device", weights: Path | None) -> "nn.Module":
    """Return the network that a fresh run starts from: given weights, or those of its backbone."""
    from starktrack.config.comparison import different_settings
    from starktrack.models.stark import AUXILIARY
    from starktrack.models.weights import fill, read_refiner_weights, read_weights

    if weights is None:
        file = Path(recipe.run.backbone_weights) if recipe.run.backbone_weights else None
        return _network(recipe, device, imagenet=recipe.run.imagenet and file is None, backbone_weights=file)
    network = _network(recipe, device)
    fresh = {name: each for name, each in network.state_dict().items() if name.startswith(AUXILIARY)}
    from starktrack.pretrained import pretrained_weights

    if not weights.suffix:
        weights = pretrained_weights(str(weights), "torch") or weights
    read = read_refiner_weights if isinstance(recipe, RefineRecipe) else read_weights
    config, state = read(weights)
    try:
        fill(network, {**fresh, **state}, source=str(weights))
    except CheckpointError as error:
        different = different_settings(to_mapping(config.model), to_mapping(recipe.config.model))
        if not different:
            raise
        raise CheckpointError(
            f"weights to start from must be of the recipe's network, {weights} is of another: the recipe has "
            f"{'; '.join(different)}; change config.model of the recipe, or take other weights"
        ) from error
    return network


def _network(
    recipe: Recipe, device: "torch.device", *, imagenet: bool = False, backbone_weights: Path | None = None
) -> "nn.Module":
    import torch

    torch.manual_seed(recipe.run.seed)
    network = _untrained(recipe, imagenet=imagenet, backbone_weights=backbone_weights)
    layout = torch.channels_last if recipe.run.channels_last else torch.contiguous_format
    network = network.to(device, memory_format=layout)
    if recipe.run.compile:
        network.compile()
    return network


def _untrained(recipe: Recipe, *, imagenet: bool, backbone_weights: Path | None) -> "nn.Module":
    if isinstance(recipe, RefineRecipe):
        from starktrack.models.refine import build_refiner

        return build_refiner(recipe.config.model, imagenet=imagenet, backbone_weights=backbone_weights)
    from starktrack.models.build import build_network

    return build_network(
        recipe.config.model,
        imagenet=imagenet,
        backbone_weights=backbone_weights,
        auxiliary_head=recipe.has_auxiliary_head,
    )


def _validation(
    recipe: Recipe, data: Path, device: "torch.device", processes: "Processes"
) -> "Validate | None":
    from starktrack.workflows.validation import choose_sequences, track_and_score

    config = recipe.validation
    if not recipe.validates:
        return None
    collections = _open(config.datasets, data, recipe.run.seed, processes)
    own = choose_sequences(collections, config)[processes.rank :: processes.count]
    return track_and_score(own, device, max_frames=config.max_frames)


def _open(
    datasets: Mapping[str, DatasetConfig], data: Path, seed: int, processes: "Processes"
) -> "dict[str, SequenceCollection]":
    from starktrack.training.datasets import open_collections
    from starktrack.training.distributed import first_then_others

    with first_then_others(processes), _index_bars() as show:
        return open_collections(datasets, data, seed, show)


@contextmanager
def _index_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Give what shows the building of indices, one after the other; those that are there show nothing."""
    with ExitStack() as bars:
        shown: dict[str, Progress] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in shown:
                shown[name] = bars.enter_context(progress_of(total, f"index of {name}", "sequence"))
            shown[name].advance()
            if done == total:
                bars.close()

        yield show


def _device_of(device: Device, processes: "Processes") -> "torch.device":
    import torch

    from starktrack.engines.torch_engine import resolve_device

    where = resolve_device(device.value)
    return torch.device("cuda", processes.local_rank) if where.type == "cuda" else where


def _tell(record: "Record") -> None:
    if record["kind"] == "validation":
        best = ", the best so far" if record["best"] else ""
        text = f"validation: overlap {record['overlap']:.3f}, success {record['success']:.3f}{best}"
    else:
        shown = {name: value for name, value in record.items() if name in _SHOWN}
        terms = ", ".join(f"{name} {value:.3f}" for name, value in shown.items())
        text = (
            f"{terms}, {record['samples_per_second']:.1f} samples/s, {record['waiting']:.0%} waiting for data"
        )
    sys.stderr.write(f"{record['stage']} epoch {record['epoch']} step {record['step']}: {text}\n")


_SHOWN = ("loss", "giou", "l1", "corner", "bce", "overlap", "accuracy", "distill_kl", "distill_l1")

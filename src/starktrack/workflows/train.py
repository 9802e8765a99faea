"""Training: from a recipe and data to weights; the same call resumes after any interruption."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from starktrack.config.loading import override, to_mapping
from starktrack.config.recipes import read_recipe
from starktrack.config.training import DatasetConfig, Recipe
from starktrack.errors import CheckpointError, ConfigError
from starktrack.workflows.callbacks import OnIndex

if TYPE_CHECKING:
    import torch
    from torch import nn

    from starktrack.data.video_sequence import SequenceCollection
    from starktrack.training.distributed import Processes
    from starktrack.training.estimate import Estimate
    from starktrack.training.job import Job, Validate
    from starktrack.training.metrics_log import Record


@dataclass(frozen=True)
class TrainingRun:
    """The result of a run.

    Attributes:
        weights: The final weights, if the run is complete.
        checkpoints: The folder of checkpoints.
        signal: The signal that stopped it, 0 at its end.
        is_first: Whether this process speaks for all of a `torchrun`.

    Example:
        >>> run = TrainingRun(Path("weights.safetensors"), Path("checkpoints"), signal=0, is_first=True)
        >>> run.weights.name if run.signal == 0 else "stopped"
        'weights.safetensors'
    """

    weights: Path
    checkpoints: Path
    signal: int
    is_first: bool


@dataclass(frozen=True)
class TrainingPlan:
    """The plan of a run: its recipe, memory and time.

    Attributes:
        recipe: With overrides and defaults.
        device: The device of the measurement.
        num_processes: Number of processes that share the work.
        num_sequences: Number of sequences, by data set.
        estimates: By stage its parameters, memory and times.
        is_first: Whether this process speaks for all of a `torchrun`.
    """

    recipe: Recipe
    device: str
    num_processes: int
    num_sequences: Mapping[str, int]
    estimates: "Mapping[str, Estimate]"
    is_first: bool


def train(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    data: str | Path = "data",
    out: str | Path = "runs/train",
    weights: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    on_record: "Callable[[Record], None] | None" = None,
    on_index: OnIndex | None = None,
) -> TrainingRun:
    """Train a model; under `torchrun` every process calls this.

    Args:
        recipe: A TOML or JSON file, or the name of a recipe of ours, such as `s50`.
        overrides: `key=value`, such as `run.batch_size=32`.
        data: Folder that the recipe's data sets lie below.
        out: Folder for checkpoints, metrics, pictures and weights.
        weights: Start from these weights of the same model, or `stark_mobile` for those of the package.
        resume: Go on from the newest checkpoint in `out`, if there is one.
        device: `auto`, `cpu`, `cuda` or `mps`.
        on_record: Called in the first process with every record of `metrics.jsonl`.
        on_index: Called while the index of a data set is built.

    Returns:
        Where the weights are, or the signal (SIGTERM, SIGINT) that stopped the run after it was saved.

    Raises:
        ConfigError: A bad recipe, or `out` holds a run and `resume` is not set.
        DatasetError: A data set is unknown, missing or incomplete.
        CheckpointError: Weights of another network.
        TrainingError: The loss is no number, or too many samples cannot be read.
        MissingExtraError: PyTorch is not installed.

    Example:
        >>> import starktrack
        >>> run = starktrack.train("tiny.toml", data="data", out="runs/mine", device="cpu")
        >>> starktrack.load(weights=run.weights, device="cpu").engine.config.name
        'stark_mobile'
    """
    with _opened_job(recipe, overrides, data, out, device, on_record, on_index) as (job, _):
        from starktrack.training.checkpoint import snapshot_paths
        from starktrack.training.loop import train as run

        has_begun = bool(snapshot_paths(job.checkpoints))
        if has_begun and not resume:
            raise ConfigError(f"--out must be a new folder, {out} holds a run; add --resume, or give another")
        start = None if weights is None else Path(weights)
        # A checkpoint fills the whole network, so a resumed run neither needs nor downloads initial weights.
        network = (
            _network(job.recipe, job.device)
            if has_begun
            else _starting_network(job.recipe, job.device, start)
        )
        stopped = run(job, network, resume=resume)
    return TrainingRun(job.weights, job.checkpoints, stopped, job.processes.is_first)


def plan_training(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    data: str | Path = "data",
    out: str | Path = "runs/train",
    device: str = "auto",
    on_index: OnIndex | None = None,
) -> TrainingPlan:
    """Return the plan of a run, with memory and time from a step of each stage; arguments as `train`."""
    with _opened_job(recipe, overrides, data, out, device, None, on_index) as (job, collections):
        return plan_job(job, _network(job.recipe, job.device), collections)


def plan_job(
    job: "Job", network: "nn.Module", collections: "Mapping[str, SequenceCollection]"
) -> TrainingPlan:
    """Measure the memory and time of a job, in every process."""
    from starktrack.training.estimate import estimate_stage

    return TrainingPlan(
        job.recipe,
        str(job.device),
        job.processes.count,
        {name: len(collection) for name, collection in collections.items()},
        {name: estimate_stage(job, network, name) for name in job.recipe.stages},
        job.processes.is_first,
    )


@contextmanager
def _opened_job(
    recipe: str | Path,
    overrides: Sequence[str],
    data: str | Path,
    out: str | Path,
    device: str,
    on_record: "Callable[[Record], None] | None",
    on_index: OnIndex | None,
) -> "Iterator[tuple[Job, Mapping[str, SequenceCollection]]]":
    """Give the job of a recipe and its data sets, while this process is one of its `torchrun`."""
    plan = override(read_recipe(str(recipe)), list(overrides))
    from starktrack.api import require_torch

    require_torch("training")
    from starktrack.training.batch_source import loader_batches
    from starktrack.training.datasets import mix
    from starktrack.training.distill import load_teacher
    from starktrack.training.distributed import joined, processes_of_environment
    from starktrack.training.job import Job

    processes = processes_of_environment()
    where = _device_of(device, processes)
    with joined(processes, where):
        collections = _open(plan.datasets, Path(data), plan.run.seed, processes, on_index)
        validate = _validation(plan, Path(data), where, processes, on_index)
        mixture = mix(plan.datasets, collections)
        teacher = plan.distillation.teacher
        job = Job(
            plan,
            Path(out),
            where,
            lambda stage: loader_batches(mixture, plan, stage, device=where, processes=processes),
            processes,
            validate,
            load_teacher(Path(teacher), plan.config.model).to(where) if teacher else None,
            on_record if processes.is_first else None,
        )
        yield job, collections


def _starting_network(recipe: Recipe, device: "torch.device", weights: Path | None) -> "nn.Module":
    """Return the initial network of a new run: with given weights, or those of its backbone."""
    from starktrack.config.comparison import different_settings
    from starktrack.models.stark import AUXILIARY, ROLES
    from starktrack.models.weights import fill, read_weights

    if weights is None:
        file = Path(recipe.run.backbone_weights) if recipe.run.backbone_weights else None
        return _network(recipe, device, imagenet=recipe.run.imagenet and file is None, backbone_weights=file)
    network = _network(recipe, device)
    # What weights to start from may lack.
    fresh = {
        name: each
        for name, each in network.state_dict().items()
        if name.startswith(AUXILIARY) or name == ROLES
    }
    from starktrack.pretrained import pretrained_weights

    if not weights.suffix:
        weights = pretrained_weights(str(weights), "torch") or weights
    config, state = read_weights(weights, recipe.config.model.kind)
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

    from starktrack.kinds import kind_of
    from starktrack.models.folding import place

    torch.manual_seed(recipe.run.seed)
    network = kind_of(recipe.config).build(
        recipe.config.model,
        imagenet=imagenet,
        backbone_weights=backbone_weights,
        auxiliary_head=recipe.has_auxiliary_head,
    )
    layout = torch.channels_last if recipe.run.channels_last else torch.contiguous_format
    network = place(network, device, layout)
    if recipe.run.compile:
        network.compile()
    return network


def _validation(
    recipe: Recipe, data: Path, device: "torch.device", processes: "Processes", on_index: OnIndex | None
) -> "Validate | None":
    from starktrack.workflows.validation import choose_sequences, track_and_score

    config = recipe.validation
    if not recipe.validates:
        return None
    collections = _open(config.datasets, data, recipe.run.seed, processes, on_index)
    own = choose_sequences(collections, config)[processes.rank :: processes.count]
    return track_and_score(own, device, max_frames=config.max_frames)


def _open(
    datasets: Mapping[str, DatasetConfig],
    data: Path,
    seed: int,
    processes: "Processes",
    on_index: OnIndex | None,
) -> "dict[str, SequenceCollection]":
    from starktrack.training.datasets import open_collections
    from starktrack.training.distributed import first_then_others

    with first_then_others(processes):
        return open_collections(datasets, data, seed, on_index or (lambda name, done, total: None))


def _device_of(device: str, processes: "Processes") -> "torch.device":
    import torch

    from starktrack.engines.torch_engine import resolve_device

    where = resolve_device(device)
    return torch.device("cuda", processes.local_rank) if where.type == "cuda" else where

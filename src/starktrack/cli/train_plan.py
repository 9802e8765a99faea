"""`starktrack train --dry-run`: data sets, shapes, steps, memory, time, as tables."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from torch import nn

from starktrack.data.video_sequence import SequenceCollection
from starktrack.training.estimate import Estimate, estimate_stage
from starktrack.training.job import Job


def show_plan(job: Job, network: nn.Module, collections: Mapping[str, SequenceCollection]) -> None:
    """Measure what the run would do, need and take in every process, and print it in the first."""
    estimates = {name: estimate_stage(job, network, name) for name in job.recipe.stages}
    if not job.processes.is_first:
        return
    console = Console()
    console.print(_data_table(job, collections))
    console.print(_batch_table(job))
    console.print(_stage_table(job, estimates))


def _data_table(job: Job, collections: Mapping[str, SequenceCollection]) -> Table:
    table = Table("data set", "source", "split", "sequences", "share of samples", title="Data")
    ratios = {name: dataset.ratio for name, dataset in job.recipe.datasets.items()}
    for name, dataset in job.recipe.datasets.items():
        share = ratios[name] / sum(ratios.values())
        table.add_row(name, dataset.source, dataset.split, f"{len(collections[name]):,}", f"{share:.0%}")
    return table


def _batch_table(job: Job) -> Table:
    model, run = job.recipe.config.model, job.recipe.run
    sides = (model.template.side, model.search.side)
    table = Table("part of a micro-batch", "shape", title="Shapes")
    table.add_row("templates", f"[{run.micro_batch}, {model.num_templates}, 3, {sides[0]}, {sides[0]}]")
    table.add_row("search", f"[{run.micro_batch}, 3, {sides[1]}, {sides[1]}]")
    micro_batches = run.batch_size // run.micro_batch
    table.add_row(
        "batch", f"{run.batch_size} = {micro_batches} of these on {job.processes.count} process(es)"
    )
    return table


def _stage_table(job: Job, estimates: Mapping[str, Estimate]) -> Table:
    run = job.recipe.run
    titles = ("stage", "epochs", "steps", "samples", "parameters (trained)", "memory", "samples/s", "time")
    table = Table(*titles, title=f"Stages, measured on {job.device}")
    for name, estimate in estimates.items():
        stage = job.recipe.stages[name]
        num_samples = stage.epochs * run.steps_per_epoch * run.batch_size
        rate = _rate(estimate, max(1, stage.data.loader.num_workers)) * job.processes.count
        table.add_row(
            name,
            f"{stage.epochs}",
            f"{stage.epochs * run.steps_per_epoch:,}",
            f"{num_samples:,}",
            f"{estimate.num_parameters / 1e6:.2f} M ({estimate.num_trainable / 1e6:.2f} M)",
            f"{(estimate.state_bytes + estimate.activation_bytes) / 2**30:.2f} GiB",
            f"{rate:.1f}",
            _duration(num_samples / rate),
        )
    return table


def _rate(estimate: Estimate, num_workers: int) -> float:
    return 1 / max(estimate.step_seconds, estimate.load_seconds / num_workers)


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"

"""`starktrack train --dry-run`: data sets, shapes, steps, memory, time, as tables."""

from rich.console import Console
from rich.table import Table

from starktrack.workflows.train import TrainingPlan


def show_plan(plan: TrainingPlan) -> None:
    """Print the plan, memory and time of a run, in the first process."""
    if not plan.is_first:
        return
    console = Console()
    console.print(_data_table(plan))
    console.print(_batch_table(plan))
    console.print(_stage_table(plan))


def _data_table(plan: TrainingPlan) -> Table:
    table = Table("data set", "source", "split", "sequences", "share of samples", title="Data")
    for column in table.columns:
        column.overflow = "fold"
    ratios = {name: dataset.ratio for name, dataset in plan.recipe.datasets.items()}
    for name, dataset in plan.recipe.datasets.items():
        share = ratios[name] / sum(ratios.values())
        table.add_row(name, dataset.source, dataset.split, f"{plan.num_sequences[name]:,}", f"{share:.0%}")
    return table


def _batch_table(plan: TrainingPlan) -> Table:
    crops, run = plan.recipe.config.model.crops, plan.recipe.run
    sides = (crops.template.side, crops.search.side)
    table = Table("part of a micro-batch", "shape", title="Shapes")
    for column in table.columns:
        column.overflow = "fold"
    table.add_row("templates", f"[{run.micro_batch}, {crops.num_templates}, 3, {sides[0]}, {sides[0]}]")
    table.add_row("search", f"[{run.micro_batch}, 3, {sides[1]}, {sides[1]}]")
    micro_batches = run.batch_size // run.micro_batch
    table.add_row("batch", f"{run.batch_size} = {micro_batches} of these on {plan.num_processes} process(es)")
    return table


def _stage_table(plan: TrainingPlan) -> Table:
    run = plan.recipe.run
    titles = ("stage", "epochs", "steps", "samples", "parameters (trained)", "memory", "samples/s", "time")
    table = Table(*titles, title=f"Stages, measured on {plan.device}")
    for column in table.columns:
        column.overflow = "fold"
    for name, estimate in plan.estimates.items():
        stage = plan.recipe.stages[name]
        num_samples = stage.epochs * run.steps_per_epoch * run.batch_size
        load_seconds = estimate.load_seconds / max(1, stage.data.loader.num_workers)
        rate = plan.num_processes / max(estimate.step_seconds, load_seconds)
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


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"

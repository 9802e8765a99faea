"""`starktrack train`: from a recipe and data to weights."""

import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from starktrack.cli.options import DataRootOption, Device, DeviceOption
from starktrack.cli.progress import Progress, progress_of
from starktrack.workflows import train as workflow

if TYPE_CHECKING:
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
    data: DataRootOption = Path("data"),
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

    SIGTERM or Ctrl-C saves and ends with 143 or 130; the same command with --resume continues and gives the same
    weights.
    """
    if dry_run:
        from starktrack.cli.train_plan import show_plan

        with IndexBars() as on_index:
            plan = workflow.plan_training(
                recipe, overrides or (), data=data, out=out, device=device.value, on_index=on_index
            )
        show_plan(plan)
        return
    with IndexBars() as on_index:
        run = workflow.train(
            recipe,
            overrides or (),
            data=data,
            out=out,
            weights=weights,
            resume=resume,
            device=device.value,
            on_record=print_record,
            on_index=on_index,
        )
    end(run)


def end(run: workflow.TrainingRun) -> None:
    """Print the end of a run; after a signal exit with 128 and its number."""
    if run.signal:
        sys.stderr.write(f"stopped by signal {run.signal}, saved in {run.checkpoints}; go on with --resume\n")
        raise typer.Exit(128 + run.signal)
    if run.is_first:
        sys.stderr.write(f"weights: {run.weights}\n")


class IndexBars:
    """Shows the building of indices, one after the other; existing ones show nothing."""

    def __init__(self) -> None:
        self._bars = ExitStack()
        self._shown: dict[str, Progress] = {}

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show that one more sequence of a data set was read."""
        if name not in self._shown:
            self._shown[name] = self._bars.enter_context(progress_of(total, f"index of {name}", "sequence"))
        self._shown[name].advance()
        if done == total:
            self._bars.close()

    def __enter__(self) -> "IndexBars":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.close()


def print_record(record: "Record") -> None:
    """Print a record of the metrics log on standard error."""
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

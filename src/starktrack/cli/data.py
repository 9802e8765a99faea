"""`starktrack data`: look at folders of data, and make them from annotated videos."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from starktrack.data.check import Finding, check
from starktrack.errors import StarktrackError

NUM_SHOWN = 20
"""Most problems to print for a split; the others are counted."""

app = typer.Typer(
    help="Look at folders of data, and make them from annotated videos.",
    add_completion=False,
    no_args_is_help=True,
)


@app.callback()
def data() -> None:
    """Look at folders of data, and make them from annotated videos."""


@app.command("check")
def check_command(
    root: Annotated[Path, typer.Argument(help="A data set, or a folder of several.")],
    dataset: Annotated[str | None, typer.Option(help="Which data set it must be; else recognised.")] = None,
) -> None:
    """Tell what is there, what is missing or broken, and what that means."""
    output, errors = Console(), Console(stderr=True)
    try:
        findings = _check_with_bar(root, dataset, errors)
    except StarktrackError as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error
    output.print(_table(findings))
    for finding in findings:
        _print_details(output, finding)
    if any(finding.is_broken for finding in findings):
        raise typer.Exit(1)


@app.command("import")
def import_command(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="A file, or a folder of images.")],
    annotations: Annotated[
        Path, typer.Argument(metavar="ANNOTATIONS", help="Boxes of it, in any format of docs/annotations.md.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where a folder for each target goes.")],
    annotation_format: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="Format; default: the content tells.")
    ] = None,
    start: Annotated[int, typer.Option(metavar="N", min=0, help="First frame to take, from 0.")] = 0,
    end: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Frame before which to stop; default: the last box."),
    ] = None,
    first_frame: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Number of the first frame in the names of annotation files."),
    ] = 0,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="Fill in frames between two boxes of a target.")
    ] = False,
) -> None:
    """Make folders to train and evaluate on from an annotated video, in the layout of GOT-10k."""
    from starktrack.workflows.annotated_video import import_video

    errors = Console(stderr=True)
    with Progress(console=errors, transient=True) as bar:
        task = bar.add_task("frames", total=None)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        targets = import_video(
            video,
            annotations,
            out,
            annotation_format=annotation_format,
            start=start,
            end=end,
            first_frame=first_frame,
            interpolate=interpolate,
            progress=show,
        )
    for target in targets:
        label = f" ({target.label})" if target.label else ""
        errors.print(
            f"wrote {target.folder}{label}: {target.num_frames} frames, {target.num_boxes} boxes",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )


def _check_with_bar(root: Path, dataset: str | None, console: Console) -> list[Finding]:
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("searching", total=None)

        def show(step: str, done: int, total: int) -> None:
            bar.update(task, description=step, completed=done, total=total)

        return check(root, dataset, show)


def _table(findings: list[Finding]) -> Table:
    """Return one row per split; columns in which all is 0 are left out, and what does not fit is folded."""
    counts = {
        "found": [finding.num_found for finding in findings],
        "missing": [len(finding.missing) for finding in findings],
        "frames": [finding.num_frames for finding in findings],
        "without frames": [finding.num_bare for finding in findings],
        "broken": [len(finding.problems) for finding in findings],
    }
    shown = {name: numbers for name, numbers in counts.items() if name == "found" or any(numbers)}
    table = Table()
    for column in ("data set", "split", "folder"):
        table.add_column(column, overflow="fold")
    for column in shown:
        table.add_column(column, justify="right", overflow="fold")
    table.add_column("what that means", overflow="fold")
    for row, finding in enumerate(findings):
        words = (finding.dataset, finding.split, escape(finding.root))
        colour = "red" if finding.is_broken else "green" if finding.meaning == "complete" else "yellow"
        numbers = [f"{column[row]:,}" for column in shown.values()]
        table.add_row(*words, *numbers, f"[{colour}]{escape(finding.meaning)}[/{colour}]")
    return table


def _print_details(console: Console, finding: Finding) -> None:
    for problem in finding.problems[:NUM_SHOWN]:
        console.print(f"[red]broken:[/red] {escape(problem)}", soft_wrap=True)
    if len(finding.problems) > NUM_SHOWN:
        console.print(f"... and {len(finding.problems) - NUM_SHOWN} more")
    if finding.missing:
        shown = ", ".join(finding.missing[:5]) + (", ..." if len(finding.missing) > 5 else "")
        console.print(
            f"{finding.dataset} {finding.split} misses {len(finding.missing):,}: {escape(shown)}",
            soft_wrap=True,
        )

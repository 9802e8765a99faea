"""`starktrack data`: look at folders of data."""

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
"""Problems that are printed for a split; the rest is counted."""

app = typer.Typer(help="Look at folders of data.", add_completion=False, no_args_is_help=True)


@app.callback()
def data() -> None:
    """Look at folders of data."""


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


def _check_with_bar(root: Path, dataset: str | None, console: Console) -> list[Finding]:
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("searching", total=None)

        def show(step: str, done: int, total: int) -> None:
            bar.update(task, description=step, completed=done, total=total)

        return check(root, dataset, show)


def _table(findings: list[Finding]) -> Table:
    table = Table()
    for column in ("data set", "split", "folder"):
        table.add_column(column)
    for column in ("found", "missing", "frames", "without frames", "broken"):
        table.add_column(column, justify="right")
    table.add_column("what that means")
    for finding in findings:
        numbers = (
            finding.num_found,
            len(finding.missing),
            finding.num_frames,
            finding.num_bare,
            len(finding.problems),
        )
        words = (finding.dataset, finding.split, escape(finding.root))
        colour = "red" if finding.is_broken else "green" if finding.meaning == "complete" else "yellow"
        counts = [f"{number:,}" for number in numbers]
        table.add_row(*words, *counts, f"[{colour}]{escape(finding.meaning)}[/{colour}]")
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

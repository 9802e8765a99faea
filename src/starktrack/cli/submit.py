"""`starktrack submit`: a zip for a benchmark's server, and what that server would reject."""

from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from starktrack.cli.tables import print_error
from starktrack.errors import ConfigError
from starktrack.workflows import submit as workflow

SHOWN = 20
"""Most problems to print; a broken script makes thousands of the same."""


def submit(
    benchmark: Annotated[str, typer.Argument(help="got10k or trackingnet.")],
    results: Annotated[
        Path, typer.Argument(help="One tracker's folder or zip of results; with --check the zip to check.")
    ],
    annotations: Annotated[
        Path, typer.Option(help="The test set, or only the files with the first box of each sequence.")
    ],
    out: Annotated[Path | None, typer.Argument(help="The zip to write; must not exist yet.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only check a zip that was packed before.")] = False,
) -> None:
    """Pack results for a server and say what it would reject; the raw results stay where they are.

    Frames are counted where the test set has them; without, the number of boxes cannot be checked. A zip that
    would be rejected is not kept.
    """
    if check == (out is not None):
        raise ConfigError("submit needs RESULTS and OUT, or a ZIP and --check, got both or none")
    numbers = count()

    def show(problem: str) -> None:
        if next(numbers) < SHOWN:
            print_error(problem)

    found = workflow.submit(benchmark, results, annotations, out, on_problem=show)
    checked = "names, separators, numbers and first boxes"
    verdict = f"{found.path}: {found.num_sequences} sequences, nothing to reject in {checked}"
    if found.num_counted == found.num_sequences:
        typer.echo(f"{verdict} and lengths")
    else:
        typer.echo(
            f"{verdict}; the lengths of {found.num_sequences - found.num_counted} sequences are not checked: "
            "their frames are not below --annotations"
        )

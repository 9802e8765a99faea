"""`starktrack ablate`: every row of Tables 7 and 8 trained under one budget, and both tables."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from starktrack.cli.options import DataRootOption, Device, DeviceOption
from starktrack.cli.tables import print_error
from starktrack.cli.train import IndexBars, end, print_record
from starktrack.workflows import ablate as workflow


def ablate(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="What the rows differ from; a name or a file, as for train."),
    ] = "ablation",
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, for every row."),
    ] = None,
    data: DataRootOption = Path("data"),
    budget: Annotated[
        int, typer.Option(metavar="SAMPLES", min=1, help="Samples that each row may see, over all stages.")
    ] = 20_000,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the rows and tables.md.")
    ] = Path("runs/ablate"),
    row: Annotated[
        list[str] | None, typer.Option("--row", metavar="NAME", help="Only this row; repeat for more.")
    ] = None,
    device: DeviceOption = Device.auto,
) -> None:
    """Train every row of Tables 7 and 8 under one budget, score them, and print both tables.

    Every row is scored by tracking the recipe's validation sequences. The same command resumes after any
    interruption and repeats no finished row.
    """
    with IndexBars() as on_index:
        found = workflow.ablate(
            recipe,
            overrides or (),
            data=data,
            budget=budget,
            out=out,
            rows=row or (),
            device=device.value,
            on_note=print_error,
            on_record=print_record,
            on_index=on_index,
        )
    if found.stopped is not None:
        end(found.stopped)
    sys.stdout.write(found.tables)

"""`starktrack plot`: curves, speed against success, and overlap over time with the worst failures."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from starktrack.cli.options import named_places, parse_annotations
from starktrack.cli.tables import print_error
from starktrack.workflows import plot as workflow


class Picture(StrEnum):
    """Forms of pictures."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


def plot(
    results: Annotated[
        list[str], typer.Argument(help="One tracker each: a folder, zip or file, or NAME=PATH.")
    ],
    annotations: Annotated[
        list[str], typer.Option(help="The data set's folder or zip; DATASET=PLACE for each of a union.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    dataset: Annotated[str, typer.Option(help="As in report; default: what the results say.")] = "",
    split: Annotated[str | None, typer.Option(help="Part of the data set; default: the benchmark's.")] = None,
    dialect_name: Annotated[str, typer.Option("--dialect", help="Whose conventions apply.")] = "",
    sequences: Annotated[
        Path | None, typer.Option(exists=True, help="A file that names the sequences that count.")
    ] = None,
    sequence: Annotated[str, typer.Option(help="Draw this sequence over time instead of curves.")] = "",
    frames: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="That sequence's folder of pictures.")
    ] = None,
    published: Annotated[
        bool, typer.Option(help="Set published trackers beside ours in the speed plot.")
    ] = True,
    form: Annotated[Picture, typer.Option(help="Form of the pictures.")] = Picture.png,
) -> None:
    """Draw success, precision and speed of trackers, or one sequence over time; EAO or F for VOT."""
    paths = workflow.plot(
        named_places(results),
        parse_annotations(annotations),
        out,
        dataset=dataset,
        split=split,
        dialect=dialect_name,
        sequences=sequences,
        sequence=sequence,
        frames=frames,
        published=published,
        form=form.value,
        on_note=print_error,
    )
    for path in paths:
        typer.echo(str(path))

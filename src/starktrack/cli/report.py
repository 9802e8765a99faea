"""`starktrack report`: score raw result files against annotations alone."""

from pathlib import Path
from typing import Annotated

import typer

from starktrack.cli.options import named_places, parse_annotations
from starktrack.cli.tables import Form, print_error, show, write_json
from starktrack.workflows import report as workflow


def report(
    results: Annotated[
        list[str], typer.Argument(help="One tracker each: a folder, zip or file, or NAME=PATH.")
    ],
    annotations: Annotated[
        list[str],
        typer.Option(
            help="The data set's folder or zip, no frames needed; DATASET=PLACE for each of a union."
        ),
    ],
    dataset: Annotated[
        str,
        typer.Option(help="lasot, otb, got10k_val, notu, vot2020, custom …; default: what the results say."),
    ] = "",
    split: Annotated[str | None, typer.Option(help="Part of the data set; default: the benchmark's.")] = None,
    dialect_name: Annotated[str, typer.Option("--dialect", help="Whose conventions apply.")] = "",
    sequences: Annotated[
        Path | None, typer.Option(exists=True, help="A file that names the sequences that count.")
    ] = None,
    drop_invalid: Annotated[bool, typer.Option(help="Divide by frames with a valid truth only.")] = False,
    explained: Annotated[bool, typer.Option("--explain", help="Print each convention in words.")] = False,
    per: Annotated[list[str] | None, typer.Option(help="Also a table per `sequence` or `attribute`.")] = None,
    attributes: Annotated[Path | None, typer.Option(help="JSON: sequence -> attributes.")] = None,
    measure: Annotated[str, typer.Option(help="Measure of the tables per sequence and attribute.")] = "",
    compare: Annotated[bool, typer.Option(help="Compare the first two trackers pair by pair.")] = False,
    published: Annotated[bool, typer.Option(help="Show published numbers below, with their source.")] = False,
    form: Annotated[Form, typer.Option(help="How tables are printed.")] = Form.terminal,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything as JSON.")] = None,
) -> None:
    """Score raw result files: overall, per sequence, per attribute, with 95 % intervals over sequences."""
    found = workflow.report(
        named_places(results),
        parse_annotations(annotations),
        dataset=dataset,
        split=split,
        dialect=dialect_name,
        sequences=sequences,
        drop_invalid=drop_invalid,
        per=per or (),
        attributes=attributes,
        measure=measure,
        compare=compare,
        published=published,
        on_note=print_error,
    )
    for section in found.sections:
        if explained:
            typer.echo("\n".join(section.conventions))
        for table in section.tables:
            show(table, form)
    if json_path is not None:
        write_json(json_path, found.json)

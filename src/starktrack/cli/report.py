"""`starktrack report`: score raw result files against annotations alone."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from starktrack.errors import ConfigError, nearest_name
from starktrack.evaluation import report as tables
from starktrack.evaluation.annotations import Annotation, read_annotations
from starktrack.evaluation.attributes import read_attributes, with_derived_attributes
from starktrack.evaluation.dialects import Dialect, dialect, explain
from starktrack.evaluation.published import published_for
from starktrack.evaluation.result_files import read_results
from starktrack.evaluation.scoring import Evaluation, evaluate, join
from starktrack.evaluation.vot_report import (
    anchor_table,
    longterm_table,
    score_anchor_results,
    score_longterm_results,
    to_json,
)
from starktrack.evaluation.vot_results import read_sequences

DEFAULT_DIALECTS = {"got10k": "got10k", "trackingnet": "trackingnet"}
"""Data sets whose own toolkit gives the official number; the paper scores all others as `stark` does."""

LONG_TERM = ("vot_longterm", "vot2019lt", "vot2020lt")
KNOWN = (
    *("lasot", "otb", "uav", "uav123", "nfs", "tc128", "notu", "tlp", "davis"),
    *("got10k", "got10k_val", "got10k_test", "trackingnet", "vot", "vot2020", *LONG_TERM, "custom"),
)
"""Data sets that a report may name; `custom` has no special cases."""


def report(
    results: Annotated[list[Path], typer.Argument(help="One tracker each: a folder or zip, or NAME=PATH.")],
    dataset: Annotated[str, typer.Option(help="lasot, otb, uav123, got10k_val, trackingnet, vot2020 …")],
    annotations: Annotated[
        list[Path], typer.Option(help="Folder or zip, no frames needed; DATASET=PLACE for each of a union.")
    ],
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
    published: Annotated[bool, typer.Option(help="Show published numbers below.")] = False,
    form: Annotated[str, typer.Option(help="terminal, markdown, csv or latex.")] = "terminal",
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything as JSON.")] = None,
) -> None:
    """Score raw result files: overall, per sequence, per attribute, with 95 % intervals over sequences."""
    check_known(dataset)
    if dataset.startswith("vot"):
        _report_vot(results, dataset, annotations[0], form, json_path)
        return
    parts = []
    for part, place in _parts(dataset, annotations):
        chosen = dialect(dialect_name or default_dialect(part), part, drop_invalid=drop_invalid)
        truth = load_annotations(place, sequences, attributes)
        parts.append([evaluate_results(path, part, truth, chosen) for path in results])
        if explained:
            Console(soft_wrap=True).print("\n".join(explain(chosen)), highlight=False, markup=False)
    evaluations = [join(dataset, found) if len(found) > 1 else found[0] for found in zip(*parts, strict=True)]
    _show(tables.overall_table(evaluations, published_for(dataset) if published else ()), form)
    for kind in per or ():
        _show(_table_per(kind, evaluations, measure), form)
    if compare:
        _show(_comparison(evaluations), form)
    if json_path is not None:
        _write(json_path, tables.to_json(evaluations))


def _parts(dataset: str, annotations: list[Path]) -> list[tuple[str, Path]]:
    named = [named_place(place) if "=" in str(place) else (dataset, place) for place in annotations]
    if len(annotations) > 1 and len({name for name, _ in named}) < len(named):
        raise ConfigError("a union needs --annotations DATASET=PLACE for each data set, each once")
    return named


def check_known(dataset: str) -> None:
    """Refuse a data set that has no rules here: special cases would be lost without a word.

    Raises:
        ConfigError: Unknown; the nearest name is suggested.
    """
    if dataset not in KNOWN:
        raise ConfigError(
            f"--dataset must be a benchmark, or custom for one's own, got {dataset!r}{nearest_name(dataset, KNOWN)}"
        )


def default_dialect(dataset: str) -> str:
    """Return the dialect of a data set's official number."""
    return next((name for start, name in DEFAULT_DIALECTS.items() if dataset.startswith(start)), "stark")


def load_annotations(
    place: Path, sequences: Path | None = None, attributes: Path | None = None
) -> list[Annotation]:
    """Return the annotated sequences that count, with attributes."""
    names = sequences.read_text(encoding="utf-8").split() if sequences else None
    truth = read_annotations(place, names)
    return with_derived_attributes(read_attributes(attributes, truth) if attributes else truth)


def evaluate_results(place: Path, dataset: str, truth: list[Annotation], chosen: Dialect) -> Evaluation:
    """Return the scores of one tracker's results."""
    name, path = named_place(place)
    found = read_results(path, [annotation.name for annotation in truth])
    scored = evaluate(name, dataset, found.boxes_xywh, truth, chosen)
    return replace(scored, frames_per_second=found.frames_per_second)


def named_place(place: Path) -> tuple[str, Path]:
    """Return a tracker's name and folder: `NAME=PATH`, or the folder's own name."""
    name, equals, path = str(place).partition("=")
    return (name, Path(path)) if equals else (place.resolve().stem, place)


def _table_per(kind: str, evaluations: list[Evaluation], measure: str) -> tables.Table:
    if kind == "sequence":
        return tables.sequence_table(evaluations, measure)
    if kind == "attribute":
        return tables.attribute_table(evaluations, measure)
    raise ConfigError(f"--per must be sequence or attribute, got {kind!r}")


def _comparison(evaluations: list[Evaluation]) -> tables.Table:
    if len(evaluations) < 2:
        raise ConfigError(f"--compare needs two trackers, got {len(evaluations)}; name a second folder")
    return tables.comparison_table(*evaluations[:2])


def _report_vot(
    results: list[Path], dataset: str, workspace: Path, form: str, json_path: Path | None
) -> None:
    sequences = read_sequences(workspace)
    places = dict(named_place(place) for place in results)
    if dataset in LONG_TERM:
        scores = {name: score_longterm_results(sequences, place) for name, place in places.items()}
        table = longterm_table(scores, dataset)
    else:
        scores = {name: score_anchor_results(sequences, place) for name, place in places.items()}
        table = anchor_table(scores, dataset)
    _show(table, form)
    if json_path is not None:
        _write(json_path, to_json(scores, dataset))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _show(table: tables.Table, form: str) -> None:
    writers = {"markdown": tables.to_markdown, "csv": tables.to_csv, "latex": tables.to_latex}
    if form == "terminal":
        Console().print(tables.to_terminal(table))
    elif form in writers:
        typer.echo(writers[form](table))
    else:
        raise ConfigError(f"--form must be terminal, {', '.join(writers)}, got {form!r}")

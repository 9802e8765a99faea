"""`starktrack report`: score raw result files against annotations alone."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from starktrack.cli.options import named_places
from starktrack.cli.report_vot import VOT_NAMES, report_vot
from starktrack.cli.tables import Form, show, write_json
from starktrack.data.formats.result_folder import ResultFolder
from starktrack.data.sources.dataset import Dataset
from starktrack.errors import ConfigError, nearest_name
from starktrack.evaluation import report as tables
from starktrack.evaluation.annotations import NAMES, open_truth
from starktrack.evaluation.published import Published, not_published_here, published_for
from starktrack.evaluation.scoring import Evaluation
from starktrack.evaluation.text_files import read_names
from starktrack.workflows.scoring import Truth, read_truth, score_results

KNOWN = tuple(dict.fromkeys((*NAMES, *VOT_NAMES)))
"""Data sets that a report may name; `custom` has no special cases."""


def report(
    results: Annotated[list[str], typer.Argument(help="One tracker each: a folder or zip, or NAME=PATH.")],
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
    trackers = named_places(results)
    name = dataset or told_by(list(trackers.values()), "dataset")
    check_known(name)
    numbers = published_for(name) if published else []
    if published:
        tell_sources(numbers, name)
    if dataset in VOT_NAMES:
        report_vot(
            trackers, name, annotations, per or [], form, json_path,
            explained=explained, compare=compare, published=numbers,
        )  # fmt: skip
        return
    told = None if dataset else told_by(list(trackers.values()), "split")
    opened = open_annotations(name, annotations, split or told)
    chosen = read_names(sequences) if sequences else None
    truth = read_truth(opened, chosen, toolkit=dialect_name, drop_invalid=drop_invalid, attributes=attributes)
    if explained:
        _explain(truth)
    evaluations = [score_results(tracker, path, truth) for tracker, path in trackers.items()]
    show(tables.overall_table(evaluations, numbers), form)
    for kind in per or ():
        show(_table_per(kind, evaluations, measure, truth), form)
    if compare:
        show(_comparison(evaluations), form)
    if json_path is not None:
        write_json(json_path, tables.to_json(evaluations, truth.conventions))


def open_annotations(dataset: str, places: Sequence[str], split: str | None) -> Dataset:
    """Return the data set behind `--annotations`, and tell how much of it is there."""
    named = {part: Path(place) for part, equals, place in (text.partition("=") for text in places) if equals}
    if len(places) == 1 and (not named or Path(places[0]).exists()):
        opened = open_truth(dataset, Path(places[0]), split or None)
    elif len(named) < len(places):
        raise ConfigError("a union needs --annotations DATASET=PLACE for each data set, each once")
    else:
        opened = open_truth(dataset, named)
    if opened.missing:
        sys.stderr.write(
            f"annotations of {len(opened)} of the {len(opened) + len(opened.missing)} sequences of "
            f"{opened.name} {opened.split} are there; scores are of these\n"
        )
    return opened


def check_known(dataset: str) -> None:
    """Refuse a data set that has no rules here: special cases would be lost without a word.

    Raises:
        ConfigError: Unknown; the nearest name is suggested.
    """
    if dataset not in KNOWN:
        raise ConfigError(
            f"--dataset must be a benchmark, or custom for one's own, got {dataset!r}{nearest_name(dataset, KNOWN)}"
        )


def told_by(places: Sequence[Path], key: str) -> str:
    """Return what the `run.json` of all results say of a key.

    Raises:
        ConfigError: They say nothing, or different things, or are of a VOT experiment.
    """
    runs = {place: ResultFolder(place).run() or {} for place in places if place.is_dir()}
    for place, run in runs.items():
        if "experiment" in run:
            raise ConfigError(
                f"results of a VOT experiment are scored by its protocol, got {place}; name the folder above it, "
                "and --dataset vot2020 or vot2020lt"
            )
    told = {str(run.get(key, "")) for run in runs.values()}
    if len(told) != 1 or "" in told:
        raise ConfigError(
            f"the results do not say one {key} in their run.json, got {sorted(told) or 'none'}; give --{key}"
        )
    return told.pop()


def tell_sources(numbers: Sequence[Published], dataset: str) -> None:
    """Print where published numbers are from, and which are not here, on standard error."""
    if not numbers:
        sys.stderr.write(f"no published numbers of {dataset} are known here\n")
    for source in dict.fromkeys(number.source for number in numbers):
        trackers = dict.fromkeys(number.tracker for number in numbers if number.source == source)
        sys.stderr.write(f"{tables.PUBLISHED_MARK} {', '.join(trackers)}: {source}\n")
    if lacking := not_published_here(dataset):
        sys.stderr.write(f"{tables.PUBLISHED_MARK} not here: {lacking}\n")


def _explain(truth: Truth) -> None:
    for part, told in truth.conventions.items():
        lines = [f"{part}, by the conventions of {truth.parts[part][0].name}:", *told]
        Console(soft_wrap=True).print("\n".join(lines), highlight=False, markup=False)


def _table_per(kind: str, evaluations: list[Evaluation], measure: str, truth: Truth) -> tables.Table:
    if kind == "sequence":
        return tables.sequence_table(evaluations, measure)
    if kind == "attribute":
        origin = "derived from boxes" if truth.has_derived_attributes else ""
        return tables.attribute_table(evaluations, measure, origin=origin)
    raise ConfigError(f"--per must be sequence or attribute, got {kind!r}")


def _comparison(evaluations: list[Evaluation]) -> tables.Table:
    if len(evaluations) < 2:
        raise ConfigError(f"--compare needs two trackers, got {len(evaluations)}; name a second folder")
    return tables.comparison_table(*evaluations[:2])

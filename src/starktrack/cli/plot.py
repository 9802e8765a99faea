"""`starktrack plot`: curves, speed against success, and overlap over time with the worst failures."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from starktrack.arrays import Box, Boxes
from starktrack.cli.options import named_places
from starktrack.cli.report import check_known, open_annotations, told_by
from starktrack.cli.report_vot import VOT_NAMES, draw_vot
from starktrack.data.sources.dataset import Dataset
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import MissingFrames, all_frames
from starktrack.errors import DatasetError, nearest_name
from starktrack.evaluation.annotations import matched_to
from starktrack.evaluation.dialects import CurveName, Dialect
from starktrack.evaluation.plots import SpeedPoint, plot_curves, plot_sequence, plot_speed
from starktrack.evaluation.published import published_for
from starktrack.evaluation.result_files import read_results
from starktrack.evaluation.scoring import Evaluation, score_sequence
from starktrack.evaluation.text_files import read_names
from starktrack.workflows.scoring import read_truth, score_results


class Picture(StrEnum):
    """Forms of pictures."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


def plot(
    results: Annotated[list[str], typer.Argument(help="One tracker each: a folder or zip, or NAME=PATH.")],
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
    trackers = named_places(results)
    name = dataset or told_by(list(trackers.values()), "dataset")
    check_known(name)
    if dataset in VOT_NAMES:
        paths = draw_vot(trackers, name, annotations, out, form)
    elif sequence:
        opened = open_annotations(name, annotations, split)
        paths = [_draw_sequence(opened, sequence, trackers, dialect_name, frames, out / f"{sequence}.{form}")]
    else:
        opened = open_annotations(name, annotations, split)
        names = read_names(sequences) if sequences else None
        truth = read_truth(opened, names, toolkit=dialect_name)
        evaluations = [score_results(tracker, path, truth) for tracker, path in trackers.items()]
        paths = _draw_curves(evaluations, name, out, form) + _draw_speed(
            evaluations, name, out / f"{name}_speed.{form}", published=published
        )
    for path in paths:
        typer.echo(str(path))


def _draw_curves(evaluations: list[Evaluation], dataset: str, out: Path, form: Picture) -> list[Path]:
    curves = _curves(evaluations[0].dialect)
    paths = {curve: out / f"{dataset}_{curve}.{form}" for curve in curves}
    for curve, path in paths.items():
        plot_curves(evaluations, curve, path)
    return list(paths.values())


def _draw_speed(evaluations: list[Evaluation], dataset: str, path: Path, *, published: bool) -> list[Path]:
    measure = evaluations[0].dialect.measures[0]
    points = _published_points(dataset, measure.key) if published else []
    points += [
        SpeedPoint(e.tracker, e.frames_per_second, 100 * e.overall(measure.key), ours=True)
        for e in evaluations
        if e.frames_per_second is not None
    ]
    if points:
        plot_speed(points, path, dataset, measure=measure.label)
    return [path] if points else []


def _curves(chosen: Dialect) -> list[CurveName]:
    told = {measure.curve for measure in chosen.measures}
    return ["success", *(curve for curve in ("precision", "normalised") if curve in told)]


def _published_points(dataset: str, key: str) -> list[SpeedPoint]:
    speed = {number.tracker: number.value for number in published_for("speed")}
    scores = [
        number for number in published_for(dataset) if number.measure == key and number.tracker in speed
    ]
    return [SpeedPoint(number.tracker, speed[number.tracker], number.value) for number in scores]


def _draw_sequence(
    dataset: Dataset,
    name: str,
    places: Mapping[str, Path],
    toolkit: str,
    pictures: Path | None,
    path: Path,
) -> Path:
    if name not in dataset.names:
        raise DatasetError(
            f"--sequence must be one of {dataset.name}{nearest_name(name, dataset.names)}, got {name!r}"
        )
    ((rules, (annotation,)),) = read_truth(dataset, [name], toolkit=toolkit).parts.values()
    told = {tracker: _boxes(place, name) for tracker, place in places.items()}
    matched = {who: matched_to(annotation, len(rows)) for who, rows in told.items()}
    overlaps = {who: score_sequence(rows, matched[who], rules).overlap for who, rows in told.items()}
    shift = 1 if rules.first_frame == "left_out" else 0
    boxes = {"truth": next(iter(matched.values())).boxes_xywh, **told}
    lookups = {who: (lambda index, rows=rows: _row(rows, index + shift)) for who, rows in boxes.items()}
    source = all_frames(Folder(pictures)) if pictures else dataset[name].frames
    has_frames = not isinstance(source, MissingFrames)
    plot_sequence(
        name, overlaps, path, (lambda index: source.read(index + shift)) if has_frames else None, lookups
    )
    return path


def _row(rows: Boxes, index: int) -> Box:
    """Return a box, NaN behind the end of a result that is shorter than the truth."""
    return rows[index] if index < len(rows) else np.full(4, np.nan)


def _boxes(place: Path, name: str) -> Boxes:
    return read_results(place, [name]).boxes_xywh[name]

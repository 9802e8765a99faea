"""`starktrack plot`: curves, speed against success, and overlap over time with the worst failures."""

from pathlib import Path
from typing import Annotated

import cv2
import typer

from starktrack.arrays import Image
from starktrack.cli.report import (
    check_known,
    default_dialect,
    evaluate_results,
    load_annotations,
    named_place,
)
from starktrack.errors import ConfigError, DatasetError
from starktrack.evaluation.annotations import Annotation
from starktrack.evaluation.dialects import CurveName, Dialect, dialect
from starktrack.evaluation.plots import SpeedPoint, plot_curves, plot_sequence, plot_speed
from starktrack.evaluation.published import published_for
from starktrack.evaluation.result_files import TrackerResults, read_results
from starktrack.evaluation.scoring import score_sequence

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def plot(
    results: Annotated[list[Path], typer.Argument(help="One tracker each: a folder or zip, or NAME=PATH.")],
    dataset: Annotated[str, typer.Option(help="lasot, otb, uav123, got10k_val, trackingnet …")],
    annotations: Annotated[Path, typer.Option(help="Folder or zip of annotations.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
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
    form: Annotated[str, typer.Option(help="png, svg or pdf.")] = "png",
) -> None:
    """Draw success, precision and speed of trackers, or one sequence over time."""
    if form not in {"png", "svg", "pdf"}:
        raise ConfigError(f"--form must be png, svg or pdf, got {form!r}")
    check_known(dataset)
    chosen = dialect(dialect_name or default_dialect(dataset), dataset)
    truth = load_annotations(annotations, sequences)
    if sequence:
        annotation = _named(truth, sequence)
        trackers = {name: read_results(path, [sequence]) for name, path in map(named_place, results)}
        path = out / f"{sequence}.{form}"
        _plot_one(annotation, trackers, chosen, frames, path)
        typer.echo(str(path))
        return
    evaluations = [evaluate_results(place, dataset, truth, chosen) for place in results]
    for curve in _curves(chosen):
        plot_curves(evaluations, curve, out / f"{dataset}_{curve}.{form}")
        typer.echo(str(out / f"{dataset}_{curve}.{form}"))
    key = chosen.measures[0].key
    points = _published_points(dataset, key) if published else []
    points += [
        SpeedPoint(e.tracker, e.frames_per_second, 100 * e.overall(key), ours=True)
        for e in evaluations
        if e.frames_per_second is not None
    ]
    if points:
        plot_speed(points, out / f"{dataset}_speed.{form}", dataset)
        typer.echo(str(out / f"{dataset}_speed.{form}"))


def _curves(chosen: Dialect) -> list[CurveName]:
    told = {measure.curve for measure in chosen.measures}
    return ["success", *(curve for curve in ("precision", "normalised") if curve in told)]


def _published_points(dataset: str, key: str) -> list[SpeedPoint]:
    speed = {number.tracker: number.value for number in published_for("speed")}
    scores = [
        number for number in published_for(dataset) if number.measure == key and number.tracker in speed
    ]
    return [SpeedPoint(number.tracker, speed[number.tracker], number.value) for number in scores]


def _named(truth: list[Annotation], name: str) -> Annotation:
    found = next((annotation for annotation in truth if annotation.name == name), None)
    if found is None:
        raise DatasetError(f"--sequence must be one of the {len(truth)} annotated ones, got {name!r}")
    return found


def _plot_one(
    annotation: Annotation,
    trackers: dict[str, TrackerResults],
    chosen: Dialect,
    frames: Path | None,
    path: Path,
) -> None:
    told = {name: found.boxes_xywh[annotation.name] for name, found in trackers.items()}
    overlaps = {name: score_sequence(boxes, annotation, chosen).overlap for name, boxes in told.items()}
    shift = 1 if chosen.first_frame == "left_out" else 0
    boxes = {"truth": annotation.boxes_xywh, **told}
    pictures = sorted(p for p in frames.iterdir() if p.suffix.lower() in PICTURES) if frames else []

    def read(index: int) -> Image:
        if index + shift >= len(pictures):
            raise DatasetError(f"{frames} must hold a picture per annotated frame, got {len(pictures)}")
        image = cv2.imread(str(pictures[index + shift]))
        if image is None:
            raise DatasetError(f"a frame must be a picture, got {pictures[index + shift]}")
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    lookups = {name: (lambda index, rows=rows: rows[index + shift]) for name, rows in boxes.items()}
    plot_sequence(annotation.name, overlaps, path, read if pictures else None, lookups)

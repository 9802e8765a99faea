"""Pictures of results: curves, speed against success, and overlap over time with the worst failures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from starktrack.arrays import Box, Boxes
from starktrack.data.sources.dataset import Dataset
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import MissingFrames, all_frames
from starktrack.errors import DatasetError, nearest_name
from starktrack.evaluation.dialects import CurveName
from starktrack.evaluation.plots import SpeedPoint, plot_curves, plot_sequence, plot_speed
from starktrack.evaluation.plots_vot import plot_eao, plot_longterm
from starktrack.evaluation.published import published_for
from starktrack.evaluation.result_files import read_results
from starktrack.evaluation.scoring import Evaluation, score_sequence
from starktrack.evaluation.text_files import read_names
from starktrack.evaluation.truth import frame_size_hw, matched_to
from starktrack.evaluation.vot_anchors import AnchorScore
from starktrack.evaluation.vot_longterm import LongTermScore
from starktrack.workflows.callbacks import Note
from starktrack.workflows.report import (
    VOT_NAMES,
    check_known,
    open_annotations,
    read_workspace,
    recorded,
    score_vot,
)
from starktrack.workflows.scoring import read_truth, score_results


def plot(
    results: Mapping[str, str | Path],
    annotations: str | Path | Mapping[str, str | Path],
    out: str | Path,
    *,
    dataset: str = "",
    split: str | None = None,
    dialect: str = "",
    sequences: str | Path | None = None,
    sequence: str = "",
    frames: str | Path | None = None,
    published: bool = True,
    form: str = "png",
    on_note: Note | None = None,
) -> list[Path]:
    """Draw success, precision and speed of trackers, or one sequence over time; EAO or F for VOT.

    Args:
        results: By tracker the folder or zip of its results.
        annotations: As for `workflows.report.report`.
        out: Folder for the pictures.
        dataset: What the results say by default.
        split: Part of the data set; the benchmark's by default.
        dialect: The toolkit of the conventions; by default that of the data set's official number.
        sequences: A file that names the sequences that count.
        sequence: Draw this one over time instead of curves.
        frames: The folder of its pictures.
        published: Set published trackers beside ours in the speed plot.
        form: `png`, `svg` or `pdf`.
        on_note: Called with lines on what is not scored as it should be.

    Returns:
        The pictures.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ConfigError, DatasetError, InputError, ResultFileError: As `workflows.report.report`.
    """
    note = on_note or (lambda line: None)
    places, out = {name: Path(place) for name, place in results.items()}, Path(out)
    name = dataset or recorded(places, "dataset")
    check_known(name)
    if dataset in VOT_NAMES:
        return _draw_vot(places, name, annotations, out, form)
    opened = open_annotations(name, annotations, split, note)
    if sequence:
        return [_draw_sequence(opened, sequence, places, dialect, frames, out / f"{sequence}.{form}")]
    names = read_names(Path(sequences)) if sequences else None
    truth = read_truth(opened, names, toolkit=dialect, on_note=on_note)
    evaluations = [score_results(who, place, truth, on_note=on_note) for who, place in places.items()]
    speed = _draw_speed(evaluations, name, out / f"{name}_speed.{form}", published=published)
    return _draw_curves(evaluations, name, out, form) + speed


def _draw_vot(
    trackers: Mapping[str, Path],
    dataset: str,
    annotations: str | Path | Mapping[str, str | Path],
    out: Path,
    form: str,
) -> list[Path]:
    paths = []
    for experiment, scores in score_vot(trackers, dataset, read_workspace(annotations)).items():
        longterm = {who: score for who, score in scores.items() if isinstance(score, LongTermScore)}
        anchors = {who: score for who, score in scores.items() if isinstance(score, AnchorScore)}
        path = out / f"{dataset}_{experiment}.{form}"
        if longterm:
            plot_longterm(longterm, dataset, path)
        elif anchors:
            plot_eao(anchors, f"{dataset} {experiment}", path)
        paths += [path] if longterm or anchors else []
    return paths


def _draw_curves(evaluations: list[Evaluation], dataset: str, out: Path, form: str) -> list[Path]:
    drawn = {measure.curve for measure in evaluations[0].dialect.measures}
    others: tuple[CurveName, ...] = ("precision", "normalised")
    curves: list[CurveName] = ["success", *(curve for curve in others if curve in drawn)]
    paths: dict[CurveName, Path] = {curve: out / f"{dataset}_{curve}.{form}" for curve in curves}
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
    pictures: str | Path | None,
    path: Path,
) -> Path:
    if name not in dataset.names:
        raise DatasetError(
            f"--sequence must be one of {dataset.name}{nearest_name(name, dataset.names)}, got {name!r}"
        )
    ((rules, (truth,)),) = read_truth(dataset, [name], toolkit=toolkit).parts.values()
    found = {
        tracker: read_results(place, [name], size_of=lambda _: frame_size_hw(truth)).boxes_xywh[name]
        for tracker, place in places.items()
    }
    matched = {who: matched_to(truth, len(rows)) for who, rows in found.items()}
    overlaps = {who: score_sequence(rows, matched[who], rules).overlap for who, rows in found.items()}
    shift = 1 if rules.first_frame == "left_out" else 0
    boxes = {"truth": next(iter(matched.values())).boxes_xywh, **found}
    lookups = {who: (lambda index, rows=rows: _row(rows, index + shift)) for who, rows in boxes.items()}
    source = all_frames(Folder(Path(pictures))) if pictures else dataset[name].frames
    has_frames = not isinstance(source, MissingFrames)
    plot_sequence(
        name, overlaps, path, (lambda index: source.read(index + shift)) if has_frames else None, lookups
    )
    return path


def _row(rows: Boxes, index: int) -> Box:
    """Return a box, NaN after the end of a result that is shorter than the truth."""
    return rows[index] if index < len(rows) else np.full(4, np.nan)

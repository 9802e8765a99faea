"""The table at the end of an evaluation: scores in the dialect of the data set, and speed."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from starktrack.cli.report import default_dialect
from starktrack.data.result_folder import ResultFolder
from starktrack.data.sources.dataset import Dataset
from starktrack.evaluation import report as tables
from starktrack.evaluation.annotations import Annotation
from starktrack.evaluation.dialects import dialect
from starktrack.evaluation.scoring import Evaluation
from starktrack.evaluation.scoring import evaluate as score


def print_tables(
    dataset: Dataset, folders: Mapping[str, Path], names: Sequence[str], per_sequence: bool
) -> None:
    """Print a row per tracker on the sequences that all of them finished and whose truth is known."""
    truth = [annotation for name in names if (annotation := _annotation(dataset, name)) is not None]
    if len(truth) < len(names):
        sys.stderr.write(
            f"{len(names) - len(truth)} sequences show their first box only and are not scored here; "
            "a server does that: starktrack submit\n"
        )
    if not truth:
        return
    evaluations = [_evaluate(dataset.name, name, folder, truth) for name, folder in folders.items()]
    speeds = [f"{_frames_per_second(folder, truth):.1f}" for folder in folders.values()]
    console = Console()
    console.print(tables.to_terminal(_with_column(tables.overall_table(evaluations), "fps", speeds)))
    if per_sequence:
        console.print(tables.to_terminal(tables.sequence_table(evaluations)))


def _annotation(dataset: Dataset, name: str) -> Annotation | None:
    """Return the truth of a sequence, None where only its first box is published."""
    sequence = dataset[name]
    if len(sequence) < len(sequence.frames):
        return None
    size_wh = dataset.facts(name).resolution_wh
    return Annotation(name, sequence.boxes_xywh, sequence.visible, size_wh, sequence.object_class)


def _evaluate(dataset: str, tracker: str, folder: Path, truth: Sequence[Annotation]) -> Evaluation:
    results = ResultFolder(folder)
    predictions = {annotation.name: results.boxes(annotation.name) for annotation in truth}
    return score(tracker, dataset, predictions, truth, dialect(default_dialect(dataset), dataset))


def _frames_per_second(folder: Path, truth: Sequence[Annotation]) -> float:
    """Return tracked frames over the tracker's seconds, without decoding and initialisation."""
    seconds = [ResultFolder(folder).seconds(annotation.name)[1:] for annotation in truth]
    return sum(len(each) for each in seconds) / max(sum(float(each.sum()) for each in seconds), 1e-9)


def _with_column(table: tables.Table, heading: str, values: Sequence[str]) -> tables.Table:
    rows = tuple((*row, value) for row, value in zip(table.rows, values, strict=True))
    return dataclasses.replace(table, headings=(*table.headings, heading), rows=rows)

"""The table at the end of an evaluation: scores in the dialect of the data set, and speed."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from starktrack.cli.report import default_dialect
from starktrack.data.result_folder import ResultFolder
from starktrack.data.sources.dataset import Dataset
from starktrack.data.sources.notu import UnionDataset
from starktrack.evaluation import report as tables
from starktrack.evaluation.annotations import Annotation
from starktrack.evaluation.dialects import dialect
from starktrack.evaluation.result_files import TrackerResults
from starktrack.evaluation.scoring import Evaluation, join
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
    evaluations = [_evaluate(dataset, name, folder, truth) for name, folder in folders.items()]
    console = Console()
    console.print(tables.to_terminal(tables.overall_table(evaluations)))
    if per_sequence:
        console.print(tables.to_terminal(tables.sequence_table(evaluations)))


def _annotation(dataset: Dataset, name: str) -> Annotation | None:
    """Return the truth of a sequence, None where only its first box is published."""
    sequence = dataset[name]
    if len(sequence) < len(sequence.frames):
        return None
    size_wh = dataset.facts(name).resolution_wh
    return Annotation(name, sequence.boxes_xywh, sequence.visible, size_wh, sequence.object_class)


def _evaluate(dataset: Dataset, tracker: str, folder: Path, truth: Sequence[Annotation]) -> Evaluation:
    results = ResultFolder(folder)
    names = [annotation.name for annotation in truth]
    found = TrackerResults(
        {name: results.boxes(name) for name in names}, {name: results.seconds(name) for name in names}
    )
    parts = [
        score(tracker, part, found.boxes_xywh, of_part, dialect(default_dialect(dataset.name), part))
        for part, of_part in _parts(dataset, truth).items()
    ]
    scored = parts[0] if len(parts) == 1 else join(dataset.name, parts)
    return replace(scored, frames_per_second=found.frames_per_second)


def _parts(dataset: Dataset, truth: Sequence[Annotation]) -> dict[str, list[Annotation]]:
    """Return the truth by the data set whose special cases apply."""
    parts: dict[str, list[Annotation]] = {}
    for annotation in truth:
        part = dataset.part_of(annotation.name) if isinstance(dataset, UnionDataset) else dataset.name
        parts.setdefault(part, []).append(annotation)
    return parts

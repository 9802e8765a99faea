"""The table at the end of an evaluation: scores in the dialect of the data set, and speed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from starktrack.cli.tables import Form, show, write_json
from starktrack.data.sources.dataset import Dataset
from starktrack.evaluation import report as tables
from starktrack.workflows.scoring import read_truth, score_results


def print_tables(
    dataset: Dataset,
    folders: Mapping[str, Path],
    names: Sequence[str],
    *,
    per_sequence: bool,
    form: Form,
    json_path: Path | None,
) -> None:
    """Print a row per tracker on the sequences that all of them finished and whose truth is known."""
    truth = read_truth(dataset, names)
    if not truth.annotations:
        return
    evaluations = [score_results(name, folder, truth) for name, folder in folders.items()]
    show(tables.overall_table(evaluations), form)
    if per_sequence:
        show(tables.sequence_table(evaluations), form)
    if json_path is not None:
        write_json(json_path, tables.to_json(evaluations, truth.conventions))

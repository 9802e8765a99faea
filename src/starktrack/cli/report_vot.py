"""The VOT part of `starktrack report`: anchor, unsupervised and long-term results of a workspace."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from starktrack.cli.tables import Form, show, write_json
from starktrack.evaluation.vot_report import (
    anchor_table,
    longterm_table,
    score_anchor_results,
    score_longterm_results,
    to_json,
)
from starktrack.evaluation.vot_results import read_sequences

LONG_TERM = ("vot_longterm", "vot2019lt", "vot2020lt")
VOT_NAMES = ("vot", "vot2020", *LONG_TERM)
"""Data sets that are scored by the VOT protocols."""


def report_vot(
    trackers: Mapping[str, Path],
    dataset: str,
    annotations: Sequence[str],
    per: Sequence[str],
    form: Form,
    json_path: Path | None,
    *,
    explained: bool,
    compare: bool,
    published: bool,
) -> None:
    """Print the scores of results in a workspace."""
    sequences = read_sequences(Path(annotations[0]))
    if dataset in LONG_TERM:
        scores = {name: score_longterm_results(sequences, place) for name, place in trackers.items()}
        table = longterm_table(scores, dataset)
    else:
        scores = {name: score_anchor_results(sequences, place) for name, place in trackers.items()}
        table = anchor_table(scores, dataset)
    show(table, form)
    if json_path is not None:
        write_json(json_path, to_json(scores, dataset))


def draw_vot(
    trackers: Mapping[str, Path], dataset: str, annotations: Sequence[str], out: Path, form: str
) -> list[Path]:
    """Draw the curves of results in a workspace and return the pictures."""
    raise NotImplementedError

"""Scores of the VOT benchmarks as tables: a tracker's results in a workspace, read and scored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from starktrack.errors import InputError
from starktrack.evaluation.report import Table
from starktrack.evaluation.vot_anchors import EAO_INTERVAL, AnchorScore, score_anchors
from starktrack.evaluation.vot_longterm import LongTermScore, score_longterm
from starktrack.evaluation.vot_results import VotRun, VotSequence, anchor_frames, read_run, run_path


def score_anchor_results(
    sequences: Sequence[VotSequence],
    results: Path,
    experiment: str = "baseline",
    interval: tuple[int, int] = EAO_INTERVAL,
) -> AnchorScore:
    """Return accuracy, robustness and EAO of the runs in `results/<tracker>`.

    Args:
        sequences: All that count.
        results: The tracker's folder, which holds a folder per experiment.
        experiment: Which of them.
        interval: Sequence lengths over which EAO is averaged.

    Raises:
        InputError: A run is missing or malformed, or no sequence has anchors.
    """
    if not any(sequence.anchors for sequence in sequences):
        raise InputError(
            "the anchor protocol needs anchor.value in the sequences, got none; is this a long-term set?"
        )

    def read(sequence: VotSequence, anchor: int) -> VotRun:
        path = run_path(results, experiment, sequence.name, f"{anchor:08d}")
        return read_run(path, len(anchor_frames(sequence, anchor)))

    return score_anchors(sequences, read, interval)


def score_longterm_results(
    sequences: Sequence[VotSequence], results: Path, experiment: str = "longterm"
) -> LongTermScore:
    """Return precision, recall and F of the runs in `results/<tracker>`.

    Raises:
        InputError: A run is missing or malformed.
    """
    runs = {s.name: read_run(run_path(results, experiment, s.name, "001"), len(s)) for s in sequences}
    return score_longterm(sequences, runs)


def to_json(scores: Mapping[str, AnchorScore | LongTermScore], dataset: str) -> str:
    """Return all scores and curves as JSON, by tracker; infinite thresholds are text."""
    trackers = {name: {key: _plain(value) for key, value in asdict(s).items()} for name, s in scores.items()}
    return json.dumps({"dataset": dataset, "trackers": trackers}, indent=1)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [number if np.isfinite(number) else str(number) for number in value.tolist()]
    return value


def anchor_table(scores: Mapping[str, AnchorScore], dataset: str) -> Table:
    """Return one row per tracker: EAO, accuracy and robustness."""
    rows = tuple(
        (name, *(f"{v:.4f}" for v in (s.eao, s.accuracy, s.robustness))) for name, s in scores.items()
    )
    return Table(f"{dataset}, anchor protocol", ("tracker", "EAO", "A", "R"), rows)


def longterm_table(scores: Mapping[str, LongTermScore], dataset: str) -> Table:
    """Return one row per tracker: precision, recall and F at the best threshold, percent."""
    rows = tuple(
        (name, *(f"{100 * v:.2f}" for v in (s.precision, s.recall, s.f_score))) for name, s in scores.items()
    )
    return Table(f"{dataset}, long-term protocol", ("tracker", "Pr", "Re", "F"), rows)

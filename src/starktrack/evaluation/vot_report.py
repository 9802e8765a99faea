"""Scores of the VOT benchmarks as tables: a tracker's results in a workspace, read and scored."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from starktrack.errors import InputError
from starktrack.evaluation.published import Published
from starktrack.evaluation.report import PUBLISHED_MARK, Table
from starktrack.evaluation.vot_anchors import (
    EAO_INTERVAL,
    FAILURE_OVERLAP,
    GRACE,
    AnchorScore,
    score_anchors,
)
from starktrack.evaluation.vot_longterm import NUM_THRESHOLDS, LongTermScore, score_longterm
from starktrack.evaluation.vot_results import VotRun, VotSequence, anchor_frames, read_run, run_path
from starktrack.evaluation.vot_unsupervised import UnsupervisedScore, score_unsupervised

VotScore: TypeAlias = AnchorScore | LongTermScore | UnsupervisedScore

MEASURES: dict[type, dict[str, tuple[str, str]]] = {
    AnchorScore: {
        "eao": ("EAO", ""),
        "accuracy": ("A", "sequence_accuracy"),
        "robustness": ("R", "sequence_robustness"),
    },
    UnsupervisedScore: {"accuracy": ("A", "sequence_accuracy")},
    LongTermScore: {
        "precision": ("Pr", "sequence_precision"),
        "recall": ("Re", "sequence_recall"),
        "f_score": ("F", ""),
    },
}
"""Per kind of score, by the measure's key: its heading, and the field of its values per sequence."""

PROTOCOLS = {
    AnchorScore: "anchor protocol",
    UnsupervisedScore: "one run per sequence",
    LongTermScore: "long-term protocol",
}

WORDS: dict[type, tuple[str, ...]] = {
    AnchorScore: (
        "a run starts at every anchor and goes to the end of the sequence, or backwards to its start",
        "overlap: intersection over union of whole pixels inside the image; two empty regions give 1",
        f"a run fails where the overlap is at most {FAILURE_OVERLAP:g} for {GRACE} frames with a target on end; "
        "the first of them is where",
        "the frame of initialisation counts, with overlap 0",
        "A: sum of overlaps before failure over frames before failure; sequences weighted by these frames",
        "R: frames before failure over all frames of the runs; sequences weighted by their length",
        f"EAO: mean over lengths {EAO_INTERVAL[0]} to {EAO_INTERVAL[1]} of the mean overlap of runs so far; "
        "failed runs go on with overlap 0",
    ),
    UnsupervisedScore: (
        "one run over the whole sequence; the first frame and frames without target do not count",
        "A: mean overlap of whole pixels inside the image; sequences weighted by their length",
    ),
    LongTermScore: (
        "one run over the whole sequence, with a confidence per frame; the first frame has overlap 0",
        f"{NUM_THRESHOLDS} thresholds: infinity, quantiles of all confidences, minus infinity",
        "Pr: mean overlap of the frames told at least as confident; 1 where there are none",
        "Re: sum of these overlaps over the frames with a target",
        "F: highest harmonic mean of Pr and Re, each averaged over sequences",
    ),
}


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
    return score_longterm(sequences, _single_runs(sequences, results, experiment))


def score_unsupervised_results(
    sequences: Sequence[VotSequence], results: Path, experiment: str = "unsupervised"
) -> UnsupervisedScore:
    """Return the accuracy of the runs in `results/<tracker>`.

    Raises:
        InputError: A run is missing or malformed.
    """
    return score_unsupervised(sequences, _single_runs(sequences, results, experiment))


def _single_runs(sequences: Sequence[VotSequence], results: Path, experiment: str) -> dict[str, VotRun]:
    return {s.name: read_run(run_path(results, experiment, s.name, "001"), len(s)) for s in sequences}


def to_json(scores: Mapping[str, Mapping[str, VotScore]], dataset: str) -> str:
    """Return all scores and curves as JSON, by experiment and tracker; infinite thresholds are text."""
    told = {
        experiment: {
            name: {key: _plain(value) for key, value in asdict(score).items()}
            for name, score in by_name.items()
        }
        for experiment, by_name in scores.items()
    }
    return json.dumps({"dataset": dataset, "experiments": told}, indent=1)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [number if np.isfinite(number) else str(number) for number in value.tolist()]
    return value


def vot_table(scores: Mapping[str, VotScore], title: str, published: Iterable[Published] = ()) -> Table:
    """Return one row per tracker: EAO in [0, 1], all others in percent for long-term, in [0, 1] else."""
    kind = _kind(scores)
    rows = [(name, *(_shown(score, key) for key in MEASURES[kind])) for name, score in scores.items()]
    told: dict[str, dict[str, float]] = {}
    for number in published:
        told.setdefault(number.tracker, {})[number.measure] = number.value
    rows += [
        (f"{name} {PUBLISHED_MARK}", *(str(values.get(key, "")) for key in MEASURES[kind]))
        for name, values in told.items()
        if values.keys() & MEASURES[kind].keys()
    ]
    headings = ("tracker", *(heading for heading, _ in MEASURES[kind].values()))
    note = f", {PUBLISHED_MARK} published" if told else ""
    return Table(f"{title}, {PROTOCOLS[kind]}{note}", headings, tuple(rows))


def vot_sequence_table(scores: Mapping[str, VotScore], title: str) -> Table:
    """Return one row per sequence, and a column per tracker and measure that sequences have."""
    measures = [(heading, field) for heading, field in MEASURES[_kind(scores)].values() if field]
    columns = [
        (f"{name} {head}", getattr(score, field))
        for name, score in scores.items()
        for head, field in measures
    ]
    names = columns[0][1]
    rows = tuple((name, *(f"{values[name]:.4f}" for _, values in columns)) for name in names)
    return Table(f"{title}, per sequence", ("sequence", *(head for head, _ in columns)), rows)


def vot_comparison_table(scores: Mapping[str, VotScore], title: str) -> Table:
    """Return one row per measure: the first tracker minus the second, and on how many sequences it is better.

    Raises:
        InputError: There are not two trackers.
    """
    if len(scores) < 2:
        raise InputError(f"--compare needs two trackers, got {len(scores)}; name a second folder")
    (first, a), (second, b) = list(scores.items())[:2]
    rows = []
    for key, (heading, field) in MEASURES[_kind(scores)].items():
        better = worse = ""
        if field:
            pairs = [(value, getattr(b, field)[name]) for name, value in getattr(a, field).items()]
            better, worse = str(sum(x > y for x, y in pairs)), str(sum(x < y for x, y in pairs))
        rows.append((heading, f"{getattr(a, key) - getattr(b, key):+.4f}", better, worse))
    return Table(
        f"{first} minus {second}, {title}", ("measure", "difference", "better", "worse"), tuple(rows)
    )


def explain_vot(scores: Mapping[str, VotScore]) -> list[str]:
    """Return every convention of the protocol in words, one per line."""
    kind = _kind(scores)
    return [f"VOT toolkit 0.9.0, {PROTOCOLS[kind]}", *WORDS[kind]]


def _kind(scores: Mapping[str, VotScore]) -> type:
    return type(next(iter(scores.values())))


def _shown(score: VotScore, key: str) -> str:
    value = getattr(score, key)
    return f"{100 * value:.2f}" if isinstance(score, LongTermScore) else f"{value:.4f}"

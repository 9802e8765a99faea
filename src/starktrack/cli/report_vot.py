"""The VOT part of `starktrack report` and `plot`: the results of a workspace's experiments."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from starktrack.cli.tables import Form, show, write_json
from starktrack.errors import ConfigError, InputError
from starktrack.evaluation.plots_vot import plot_eao, plot_longterm
from starktrack.evaluation.published import Published
from starktrack.evaluation.vot_anchors import AnchorScore
from starktrack.evaluation.vot_longterm import LongTermScore
from starktrack.evaluation.vot_report import (
    VotScore,
    explain_vot,
    to_json,
    vot_attribute_table,
    vot_comparison_table,
    vot_sequence_table,
    vot_table,
)
from starktrack.evaluation.vot_results import VotSequence, read_sequences
from starktrack.evaluation.vot_scoring import (
    score_anchor_results,
    score_longterm_results,
    score_unsupervised_results,
)

LONG_TERM = ("vot_longterm", "vot2019lt", "vot2020lt")
VOT_NAMES = ("vot", "vot2020", *LONG_TERM)
"""Data sets that are scored by the VOT protocols."""

SHORT_TERM = {
    "baseline": score_anchor_results,
    "realtime": score_anchor_results,
    "unsupervised": score_unsupervised_results,
}
"""Experiments of the short-term stacks -> how they are scored; `realtime` is run by the toolkit."""


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
    published: Sequence[Published],
) -> None:
    """Print the scores of every experiment that all trackers ran in a workspace.

    Raises:
        ConfigError: A table is asked for that VOT's protocols have not.
        InputError: A run is missing or malformed, or the workspace is.
    """
    unknown = [kind for kind in per if kind not in ("sequence", "attribute")]
    if unknown:
        raise ConfigError(f"--per must be sequence or attribute, got {unknown[0]!r}")
    sequences = read_workspace(annotations)
    found = score_vot(trackers, dataset, sequences)
    for experiment, scores in found.items():
        title = f"{dataset} {experiment}"
        if explained:
            typer.echo("\n".join(explain_vot(scores)))
        show(vot_table(scores, title, published if experiment in ("baseline", "longterm") else ()), form)
        if "sequence" in per:
            show(vot_sequence_table(scores, title), form)
        if "attribute" in per:
            show(vot_attribute_table(scores, sequences, title), form)
        if compare:
            show(vot_comparison_table(scores, title), form)
    if json_path is not None:
        write_json(json_path, to_json(found, dataset))


def read_workspace(annotations: Sequence[str]) -> list[VotSequence]:
    """Return the sequences of the one workspace that is named.

    Raises:
        ConfigError: Not one is named.
        DatasetError: It is malformed.
    """
    if len(annotations) != 1:
        raise ConfigError(f"--annotations must name one VOT workspace, got {len(annotations)}")
    return read_sequences(Path(annotations[0]))


def score_vot(
    trackers: Mapping[str, Path], dataset: str, sequences: Sequence[VotSequence]
) -> dict[str, dict[str, VotScore]]:
    """Return scores by experiment and tracker.

    Raises:
        InputError: Results are no folder, a run is missing or malformed, or the sequences have no anchors.
    """
    for place in trackers.values():
        if not place.is_dir():
            raise InputError(
                f"results of a VOT workspace must be a tracker's folder, results/<tracker>, got {place}; "
                "unpack it if it is a zip"
            )
    if dataset in LONG_TERM:
        return {"longterm": {who: score_longterm_results(sequences, at) for who, at in trackers.items()}}
    return {each: _score(each, sequences, trackers) for each in _experiments(trackers)}


def draw_vot(
    trackers: Mapping[str, Path], dataset: str, annotations: Sequence[str], out: Path, form: str
) -> list[Path]:
    """Draw the curves of results in a workspace and return the pictures."""
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


def _experiments(trackers: Mapping[str, Path]) -> list[str]:
    """Return what all trackers ran; the baseline where nothing is, whose error says what is missing."""
    ran = [each for each in SHORT_TERM if all((place / each).is_dir() for place in trackers.values())]
    return ran or ["baseline"]


def _score(
    experiment: str, sequences: Sequence[VotSequence], trackers: Mapping[str, Path]
) -> dict[str, VotScore]:
    score = SHORT_TERM[experiment]
    return {who: score(sequences, place, experiment) for who, place in trackers.items()}

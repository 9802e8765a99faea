"""Reports: scores raw result files against annotations, as tables, JSON and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from starktrack.data.formats.result_folder import ResultFolder
from starktrack.data.sources.dataset import Dataset
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import ConfigError, InputError, nearest_name
from starktrack.evaluation import report as reports
from starktrack.evaluation import tables, vot_report
from starktrack.evaluation.published import Published, not_published_here, published_for
from starktrack.evaluation.statistics import Comparison
from starktrack.evaluation.text_files import read_names
from starktrack.evaluation.truth import NAMES, open_truth
from starktrack.evaluation.vot_report import VotScore
from starktrack.evaluation.vot_results import read_sequences
from starktrack.evaluation.vot_scoring import (
    score_anchor_results,
    score_longterm_results,
    score_unsupervised_results,
)
from starktrack.workflows.callbacks import Note
from starktrack.workflows.scoring import read_truth, score_results

LONG_TERM = ("vot_longterm", "vot2019lt", "vot2020lt")
VOT_NAMES = ("vot", "vot2020", *LONG_TERM)
"""Data sets that are scored by the VOT protocols."""

SHORT_TERM = {
    "baseline": score_anchor_results,
    "realtime": score_anchor_results,
    "unsupervised": score_unsupervised_results,
}
"""Experiments of the short-term stacks -> how they are scored; `realtime` is run by the toolkit."""

KNOWN = tuple(dict.fromkeys((*NAMES, *VOT_NAMES)))
"""Data sets of reports; `custom` has no special rules."""

TABLES_PER = ("sequence", "attribute")


@dataclass(frozen=True)
class Section:
    """Scores of one data set or of one VOT experiment.

    Attributes:
        conventions: The rules that apply, in words, a line each.
        tables: The overall table, then the requested ones.
    """

    conventions: tuple[str, ...]
    tables: tuple[tables.Table, ...]


@dataclass(frozen=True)
class Report:
    """Scores of trackers.

    Attributes:
        sections: One for a data set, one for each VOT experiment.
        json: Everything as JSON text.

    Example:
        >>> Report(sections=(), json="{}").json
        '{}'
    """

    sections: tuple[Section, ...]
    json: str


def report(
    results: Mapping[str, str | Path],
    annotations: str | Path | Mapping[str, str | Path],
    *,
    dataset: str = "",
    split: str | None = None,
    dialect: str = "",
    sequences: str | Path | None = None,
    drop_invalid: bool = False,
    per: Sequence[str] = (),
    attributes: str | Path | None = None,
    measure: str = "",
    compare: bool = False,
    published: bool = False,
    on_note: Note | None = None,
) -> Report:
    """Score raw result files: overall, per sequence, per attribute, with 95 % intervals over sequences.

    Args:
        results: By tracker the folder or zip of its results.
        annotations: The data set's folder or zip, no frames needed; by data set for a union.
        dataset: `lasot`, `otb`, `got10k_val`, `notu`, `vot2020`, `custom` …; what the results say by default.
        split: Part of the data set; the benchmark's by default.
        dialect: The toolkit of the conventions; by default that of the data set's official number.
        sequences: A file that names the sequences that count.
        drop_invalid: Divide by frames with a valid truth only.
        per: Also a table per `sequence` or `attribute`.
        attributes: JSON: sequence -> attributes.
        measure: Measure of the tables per sequence and attribute.
        compare: Compare the first two trackers pair by pair.
        published: Add published numbers; notes say where they are from.
        on_note: Called with lines on what is not scored as it should be, and on sources.

    Raises:
        ConfigError: An unknown data set, dialect, measure or table.
        DatasetError: The annotations are missing or malformed.
        InputError, ResultFileError: Results are missing, damaged, or break a rule of the dialect.

    Example:
        >>> import starktrack
        >>> found = starktrack.report({"ours": "results/ours"}, "data/otb", dataset="otb")
        >>> found.sections[0].tables[0].headings[:2]
        ('tracker', 'AUC')
    """
    note = on_note or (lambda line: None)
    places = {name: Path(place) for name, place in results.items()}
    name = dataset or recorded(places, "dataset")
    check_known(name)
    if unknown := [kind for kind in per if kind not in TABLES_PER]:
        raise ConfigError(f"--per must be sequence or attribute, got {unknown[0]!r}")
    if compare and len(places) < 2:
        raise ConfigError(f"--compare needs two trackers, got {len(places)}; name a second folder")
    numbers = published_for(name) if published else []
    if published:
        _note_sources(numbers, name, note)
    if dataset in VOT_NAMES:
        return _report_vot(places, name, read_workspace(annotations), per, compare, numbers)
    opened = open_annotations(
        name, annotations, split or (None if dataset else recorded(places, "split")), note
    )
    truth = read_truth(
        opened,
        read_names(Path(sequences)) if sequences else None,
        toolkit=dialect,
        drop_invalid=drop_invalid,
        attributes=Path(attributes) if attributes else None,
        on_note=on_note,
    )
    evaluations = [score_results(who, place, truth, on_note=on_note) for who, place in places.items()]
    origin = "derived from boxes" if truth.has_derived_attributes else ""
    scores = [reports.scores_of(evaluation, origin) for evaluation in evaluations]
    compared = reports.compare_all(*evaluations[:2]) if compare else None
    found = _tables(scores, numbers, per, measure, compared)
    conventions = [
        line
        for part, lines in truth.conventions.items()
        for line in (f"{part}, by the conventions of {truth.parts[part][0].name}:", *lines)
    ]
    section = Section(tuple(conventions), found)
    return Report((section,), reports.to_json(evaluations, truth.conventions))


def open_annotations(
    dataset: str, annotations: str | Path | Mapping[str, str | Path], split: str | None, note: Note
) -> Dataset:
    """Return the data set of annotations, and note how much of it exists."""
    if isinstance(annotations, Mapping):
        opened = open_truth(dataset, {part: Path(place) for part, place in annotations.items()})
    else:
        opened = open_truth(dataset, Path(annotations), split or None)
    if opened.missing:
        note(
            f"annotations of {len(opened)} of the {len(opened) + len(opened.missing)} sequences of "
            f"{opened.name} {opened.split} are there; scores are of these"
        )
    return opened


def check_known(dataset: str) -> None:
    """Refuse a data set without rules, since its special rules would be ignored silently.

    Raises:
        ConfigError: Unknown; the nearest name is suggested.
    """
    if dataset not in KNOWN:
        raise ConfigError(
            f"--dataset must be a benchmark, or custom for one's own, got {dataset!r}{nearest_name(dataset, KNOWN)}"
        )


def recorded(places: Mapping[str, Path], key: str) -> str:
    """Return the common value of a key in the `run.json` of all results.

    Raises:
        ConfigError: There is no value, or different ones, or the results are of a VOT experiment.
    """
    runs = {place: ResultFolder(place).run() or {} for place in places.values() if place.is_dir()}
    for place, run in runs.items():
        if "experiment" in run:
            raise ConfigError(
                f"results of a VOT experiment are scored by its protocol, got {place}; name the folder above it, "
                "and --dataset vot2020 or vot2020lt"
            )
    values = {str(run.get(key, "")) for run in runs.values()}
    if len(values) != 1 or "" in values:
        raise ConfigError(
            f"the results do not say one {key} in their run.json, got {sorted(values) or 'none'}; give --{key}"
        )
    return values.pop()


def read_workspace(annotations: str | Path | Mapping[str, str | Path]) -> list[VideoSequence]:
    """Return the sequences of one VOT workspace.

    Raises:
        ConfigError: Several are named.
        DatasetError: It is malformed.
    """
    if isinstance(annotations, Mapping):
        raise ConfigError(f"--annotations must name one VOT workspace, got {len(annotations)}")
    return read_sequences(Path(annotations))


def score_vot(
    trackers: Mapping[str, Path], dataset: str, sequences: Sequence[VideoSequence]
) -> dict[str, dict[str, VotScore]]:
    """Return scores by experiment and tracker, of the experiments that all trackers ran.

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
    ran = [each for each in SHORT_TERM if all((place / each).is_dir() for place in trackers.values())]
    # Where nothing is there, the error of the baseline says what is missing.
    return {
        experiment: {
            who: SHORT_TERM[experiment](sequences, place, experiment) for who, place in trackers.items()
        }
        for experiment in ran or ["baseline"]
    }


def _report_vot(
    places: Mapping[str, Path],
    dataset: str,
    sequences: Sequence[VideoSequence],
    per: Sequence[str],
    compare: bool,
    numbers: Sequence[Published],
) -> Report:
    experiments, sections = score_vot(places, dataset, sequences), []
    for experiment, by_tracker in experiments.items():
        known = numbers if experiment in ("baseline", "longterm") else ()
        scores = vot_report.vot_scores(by_tracker, f"{dataset} {experiment}", sequences)
        compared = vot_report.compare_vot(*list(by_tracker.values())[:2]) if compare else None
        found = _tables(scores, known, per, None, compared)
        sections.append(Section(tuple(vot_report.explain_vot(by_tracker)), found))
    return Report(tuple(sections), vot_report.to_json(experiments, dataset))


def _tables(
    scores: Sequence[tables.Scores],
    numbers: Sequence[Published],
    per: Sequence[str],
    measure: str | None,
    compared: Mapping[str, Comparison] | None,
) -> tuple[tables.Table, ...]:
    made = {"sequence": tables.sequence_table, "attribute": tables.group_table}
    found = [tables.overall_table(scores, numbers), *(made[kind](scores, measure) for kind in per)]
    if compared is not None:
        found.append(tables.comparison_table(scores[0], scores[1], compared))
    return tuple(found)


def _note_sources(numbers: Sequence[Published], dataset: str, note: Note) -> None:
    """Note the sources of published numbers, and the missing numbers."""
    if not numbers:
        note(f"no published numbers of {dataset} are known here")
    for source in dict.fromkeys(number.source for number in numbers):
        trackers = dict.fromkeys(number.tracker for number in numbers if number.source == source)
        note(f"{tables.PUBLISHED_MARK} {', '.join(trackers)}: {source}")
    if lacking := not_published_here(dataset):
        note(f"{tables.PUBLISHED_MARK} not here: {lacking}")

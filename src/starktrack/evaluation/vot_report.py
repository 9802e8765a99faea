"""Scores of the VOT benchmarks as tables and JSON, with intervals and conventions."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import InputError
from starktrack.evaluation.attributes import derive_attributes
from starktrack.evaluation.published import Published
from starktrack.evaluation.report import PUBLISHED_MARK, Table
from starktrack.evaluation.statistics import Interval, draw_counts, percentile_interval, reversal
from starktrack.evaluation.vot_anchors import (
    EAO_INTERVAL,
    FAILURE_OVERLAP,
    GRACE,
    AnchorScore,
)
from starktrack.evaluation.vot_longterm import NUM_THRESHOLDS, LongTermScore
from starktrack.evaluation.vot_unsupervised import UnsupervisedScore

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
        "per tag: A and R over the frames with the tag, each as often as a run passes it; EAO has no value there",
    ),
    UnsupervisedScore: (
        "one run over the whole sequence; the first frame and frames without target do not count",
        "A: mean overlap of whole pixels inside the image; sequences weighted by their length",
        "per tag: mean overlap of the frames with the tag, those of all sequences in one",
    ),
    LongTermScore: (
        "one run over the whole sequence, with a confidence per frame; the first frame has overlap 0",
        f"{NUM_THRESHOLDS} thresholds: infinity, quantiles of all confidences, minus infinity",
        "Pr: mean overlap of the frames told at least as confident; 1 where there are none",
        "Re: sum of these overlaps over the frames with a target",
        "F: highest harmonic mean of Pr and Re, each averaged over sequences",
        "per tag: the same at that threshold over the frames with the tag, those of all sequences in one",
    ),
}


INTERVAL_WORDS = (
    "intervals: 95 % by bootstrap over sequences; a comparison draws the same sequences for both trackers"
)


def to_json(scores: Mapping[str, Mapping[str, VotScore]], dataset: str) -> str:
    """Return all scores, intervals and curves as JSON, by experiment and tracker; infinite thresholds are text."""
    told = {
        experiment: {name: _as_mapping(score) for name, score in by_name.items()}
        for experiment, by_name in scores.items()
    }
    return json.dumps({"dataset": dataset, "experiments": told}, indent=1)


def _as_mapping(score: VotScore) -> dict[str, Any]:
    known = {f.name: _plain(getattr(score, f.name)) for f in fields(score) if f.name not in ("parts", "tags")}
    tags = {tag: {"frames": one.num_frames, **one.values} for tag, one in score.tags.items()}
    return {
        **known,
        "intervals": {key: [found.low, found.high] for key, found in _intervals(score).items()},
        "tags": {tag: {key: _plain(value) for key, value in one.items()} for tag, one in tags.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [number if np.isfinite(number) else str(number) for number in value.tolist()]
    return None if isinstance(value, float) and np.isnan(value) else value


def _intervals(score: VotScore) -> dict[str, Interval]:
    samples = _samples(score)
    return {key: percentile_interval(getattr(score, key), values) for key, values in samples.items()}


def _samples(score: VotScore) -> dict[str, Float[np.ndarray, " num_samples"]]:
    """Return every measure over sequences drawn with replacement; the same draws for every tracker."""
    return score.parts.measures(draw_counts(len(_sequence_values(score))))


def _sequence_values(score: VotScore) -> dict[str, float]:
    return score.sequence_recall if isinstance(score, LongTermScore) else score.sequence_accuracy


def vot_table(scores: Mapping[str, VotScore], title: str, published: Iterable[Published] = ()) -> Table:
    """Return one row per tracker, ± half its 95 % interval: percent for long-term, in [0, 1] else."""
    kind = _kind(scores)
    rows = [(name, *_with_intervals(score)) for name, score in scores.items()]
    told: dict[str, dict[str, str]] = {}
    for number in published:
        told.setdefault(number.tracker, {})[number.measure] = (
            f"{number.value:.{1 if kind is LongTermScore else 3}f}"
        )
    rows += [
        (f"{name} {PUBLISHED_MARK}", *(values.get(key, "") for key in MEASURES[kind]))
        for name, values in told.items()
        if values.keys() & MEASURES[kind].keys()
    ]
    headings = ("tracker", *(heading for heading, _ in MEASURES[kind].values()))
    note = f", {PUBLISHED_MARK} published" if told else ""
    return Table(f"{title}, {PROTOCOLS[kind]}{note}", headings, tuple(rows))


def _with_intervals(score: VotScore) -> list[str]:
    found = _intervals(score)
    return [
        f"{_shown(score, found[key].value)} ±{_shown(score, (found[key].high - found[key].low) / 2)}"
        for key in MEASURES[type(score)]
    ]


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


def vot_attribute_table(
    scores: Mapping[str, VotScore], sequences: Sequence[VideoSequence], title: str
) -> Table:
    """Return one row per tag of the workspace, over its frames; without tags one per attribute of whole sequences.

    The attributes follow from the true boxes, as for the other data sets; see `attributes.derive_attributes`.
    """
    first = next(iter(scores.values()))
    measures = MEASURES[type(first)]
    if first.tags:
        shown = [key for key in measures if key in next(iter(first.tags.values())).values]
        cells = {
            f"{tag} ({one.num_frames})": [
                _shown(s, s.tags[tag].values[key]) for s in scores.values() for key in shown
            ]
            for tag, one in first.tags.items()
        }
        heading, what = "tag (frames)", "per tag over its frames"
    else:
        shown = list(measures)
        cells = {
            f"{name} ({int(mask.sum())})": [_over(s, mask, key) for s in scores.values() for key in shown]
            for name, mask in _derived(sequences).items()
        }
        heading, what = "attribute (sequences)", "per attribute derived from boxes"
    columns = [f"{name} {measures[key][0]}" for name in scores for key in shown]
    return Table(
        f"{title}, {what}", (heading, *columns), tuple((row, *texts) for row, texts in cells.items())
    )


def _derived(sequences: Sequence[VideoSequence]) -> dict[str, Float[np.ndarray, " num_sequences"]]:
    """Return by attribute which sequences have it, as 0 and 1."""
    known = [derive_attributes(sequence) for sequence in sequences]
    names = sorted({name for of_sequence in known for name in of_sequence})
    return {name: np.array([float(name in of_sequence) for of_sequence in known]) for name in names}


def _over(score: VotScore, mask: Float[np.ndarray, " num_sequences"], key: str) -> str:
    return _shown(score, float(score.parts.measures(mask[None])[key][0]))


def vot_comparison_table(scores: Mapping[str, VotScore], title: str) -> Table:
    """Return one row per measure: the first tracker minus the second, with its 95 % interval over sequences.

    Raises:
        InputError: There are not two trackers.
    """
    if len(scores) < 2:
        raise InputError(f"--compare needs two trackers, got {len(scores)}; name a second folder")
    (first, a), (second, b) = list(scores.items())[:2]
    samples = [_samples(score) for score in (a, b)]
    rows = []
    for key, (heading, field) in MEASURES[_kind(scores)].items():
        differences, value = samples[0][key] - samples[1][key], getattr(a, key) - getattr(b, key)
        found = percentile_interval(value, differences)
        rows.append(
            (
                heading,
                f"{_signed(a, value)} [{_signed(a, found.low)}, {_signed(a, found.high)}]",
                _better_and_worse(a, b, field) if field else "",
                f"{reversal(value, differences):.3f}",
            )
        )
    headings = ("measure", "difference [95 %]", "better / worse", "sign reversed")
    return Table(f"{first} minus {second}, {title}", headings, tuple(rows))


def _better_and_worse(a: VotScore, b: VotScore, field: str) -> str:
    pairs = [(value, getattr(b, field)[name]) for name, value in getattr(a, field).items()]
    return f"{sum(x > y for x, y in pairs)} / {sum(x < y for x, y in pairs)}"


def explain_vot(scores: Mapping[str, VotScore]) -> list[str]:
    """Return every convention of the protocol in words, one per line."""
    kind = _kind(scores)
    return [f"VOT toolkit 0.9.0, {PROTOCOLS[kind]}", *WORDS[kind], INTERVAL_WORDS]


def _kind(scores: Mapping[str, VotScore]) -> type:
    return type(next(iter(scores.values())))


def _shown(score: VotScore, value: float) -> str:
    if np.isnan(value):
        return ""
    return f"{100 * value:.2f}" if isinstance(score, LongTermScore) else f"{value:.4f}"


def _signed(score: VotScore, value: float) -> str:
    return ("+" if value >= 0 else "") + _shown(score, value)

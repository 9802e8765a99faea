"""Scores of the VOT benchmarks as those that tables show, as JSON, and their conventions in words."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from starktrack.data.video_sequence import VideoSequence
from starktrack.evaluation.attributes import derive_attributes
from starktrack.evaluation.statistics import (
    Comparison,
    Interval,
    comparison_of,
    draw_counts,
    percentile_interval,
)
from starktrack.evaluation.tables import Groups, NumberForm, Scores
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
        "Pr: mean overlap of the frames with at least that confidence; 1 where there are none",
        "Re: sum of these overlaps over the frames with a target",
        "F: highest harmonic mean of Pr and Re, each averaged over sequences",
        "per tag: the same at that threshold over the frames with the tag, those of all sequences in one",
    ),
}


SHARES = NumberForm(scale=1.0, decimals=4, spread_decimals=4, published_decimals=3)

INTERVAL_WORDS = (
    "intervals: 95 % by bootstrap over sequences; a comparison draws the same sequences for both trackers"
)


def to_json(scores: Mapping[str, Mapping[str, VotScore]], dataset: str) -> str:
    """Return all scores, intervals and curves as JSON, by experiment and tracker; infinite thresholds are text."""
    known = {
        experiment: {name: _as_mapping(score) for name, score in by_name.items()}
        for experiment, by_name in scores.items()
    }
    return json.dumps({"dataset": dataset, "experiments": known}, indent=1)


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
    values = score.sequence_recall if isinstance(score, LongTermScore) else score.sequence_accuracy
    return score.parts.measures(draw_counts(len(values)))


def vot_scores(
    scores: Mapping[str, VotScore], title: str, sequences: Sequence[VideoSequence]
) -> list[Scores]:
    """Return what tables show of each tracker: percent for long-term, in [0, 1] else.

    Groups are the frames with each tag of the workspace. Without tags they are the sequences with each attribute
    that follows from the true boxes, as for the other data sets; see `attributes.derive_attributes`.
    """
    attributes = {} if any(score.tags for score in scores.values()) else _derived(sequences)
    kind = _kind(scores)
    return [
        Scores(
            tracker,
            title,
            {key: heading for key, (heading, _) in MEASURES[kind].items()},
            _intervals(score),
            {key: getattr(score, field) for key, (_, field) in MEASURES[kind].items() if field},
            _groups(score, attributes),
            PROTOCOLS[kind],
            NumberForm(spread_decimals=2) if kind is LongTermScore else SHARES,
            SHARES,
        )
        for tracker, score in scores.items()
    ]


def _groups(score: VotScore, attributes: Mapping[str, Float[np.ndarray, " num_sequences"]]) -> Groups:
    if score.tags:
        keys = next(iter(score.tags.values())).values
        return Groups(
            "tag (frames)",
            "tag over its frames",
            {tag: one.num_frames for tag, one in score.tags.items()},
            {key: {tag: one.values[key] for tag, one in score.tags.items()} for key in keys},
        )
    over = {name: score.parts.measures(mask[None]) for name, mask in attributes.items()}
    return Groups(
        "attribute (sequences)",
        "attribute derived from boxes",
        {name: int(mask.sum()) for name, mask in attributes.items()},
        {key: {name: float(found[key][0]) for name, found in over.items()} for key in MEASURES[type(score)]},
    )


def _derived(sequences: Sequence[VideoSequence]) -> dict[str, Float[np.ndarray, " num_sequences"]]:
    """Return by attribute which sequences have it, as 0 and 1."""
    known = [derive_attributes(sequence) for sequence in sequences]
    names = sorted({name for of_sequence in known for name in of_sequence})
    return {name: np.array([float(name in of_sequence) for of_sequence in known]) for name in names}


def compare_vot(first: VotScore, second: VotScore) -> dict[str, Comparison]:
    """Return how the first tracker differs from the second, by the measure's key."""
    a, b = _samples(first), _samples(second)
    compared = {}
    for key, (_, field) in MEASURES[type(first)].items():
        pairs = [(value, getattr(second, field)[name]) for name, value in getattr(first, field, {}).items()]
        differences = np.array([mine - other for mine, other in pairs]) if field else None
        compared[key] = comparison_of(
            getattr(first, key) - getattr(second, key), a[key] - b[key], differences
        )
    return compared


def explain_vot(scores: Mapping[str, VotScore]) -> list[str]:
    """Return every convention of the protocol in words, one per line."""
    kind = _kind(scores)
    return [f"VOT toolkit 0.9.0, {PROTOCOLS[kind]}", *WORDS[kind], INTERVAL_WORDS]


def _kind(scores: Mapping[str, VotScore]) -> type:
    return type(next(iter(scores.values())))

"""Evaluations of a data set as the scores that tables show, and as JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starktrack.evaluation.scoring import Evaluation, weighted_mean
from starktrack.evaluation.statistics import Comparison, compare, interval
from starktrack.evaluation.tables import Groups, Scores


def scores_of(evaluation: Evaluation, origin: str = "") -> Scores:
    """Return the scores of an evaluation for tables.

    Args:
        evaluation: Of one tracker.
        origin: Origin of the attributes, for the title of their table.
    """
    measures = {measure.key: measure.label for measure in evaluation.dialect.measures}
    values, weights = evaluation.values, evaluation.weights
    attributes = sorted({name for names in evaluation.attributes for name in names})
    members = {
        attribute: [index for index, names in enumerate(evaluation.attributes) if attribute in names]
        for attribute in attributes
    }
    groups = Groups(
        "attribute",
        f"attribute {origin}".rstrip(),
        {name: len(rows) for name, rows in members.items()},
        {
            key: {
                name: weighted_mean(values[key][rows], weights[key][rows]) for name, rows in members.items()
            }
            for key in measures
        },
    )
    return Scores(
        evaluation.tracker,
        f"{evaluation.dataset}, {len(evaluation.names)} sequences, {evaluation.dialect.name} dialect",
        measures,
        {key: interval(values[key], weights[key]) for key in measures},
        {key: dict(zip(evaluation.names, values[key].tolist(), strict=True)) for key in measures},
        groups,
        has_speed=True,
        frames_per_second=evaluation.frames_per_second,
    )


def compare_all(first: Evaluation, second: Evaluation) -> dict[str, Comparison]:
    """Return the differences between two trackers, by the measure's key."""
    return {measure.key: compare(first, second, measure.key) for measure in first.dialect.measures}


def to_json(evaluations: Sequence[Evaluation], conventions: Mapping[str, Sequence[str]]) -> str:
    """Return everything as JSON: conventions, and per tracker measures, intervals, curves and sequences.

    Args:
        evaluations: One per tracker.
        conventions: By data set the conventions of its dialect in words; a union has several.
    """
    first = evaluations[0]
    return json.dumps(
        {
            "dataset": first.dataset,
            "dialect": first.dialect.name,
            "conventions": conventions,
            "trackers": {e.tracker: _as_mapping(e) for e in evaluations},
        },
        indent=1,
    )


def _as_mapping(evaluation: Evaluation) -> dict[str, Any]:
    keys = [measure.key for measure in evaluation.dialect.measures]
    intervals = {key: interval(evaluation.values[key], evaluation.weights[key]) for key in keys}
    return {
        "measures": {key: evaluation.overall(key) for key in keys},
        "intervals": {key: [found.low, found.high] for key, found in intervals.items()},
        "frames_per_second": evaluation.frames_per_second,
        "curves": {curve: evaluation.mean_curve(curve).tolist() for curve in evaluation.curves},
        "sequences": {
            name: {key: float(evaluation.values[key][index]) for key in keys}
            for index, name in enumerate(evaluation.names)
        },
    }

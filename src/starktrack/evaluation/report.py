"""Evaluations as tables: terminal, Markdown, CSV, LaTeX and JSON; overall, per sequence and per attribute."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table as RichTable

from starktrack.errors import ConfigError, nearest_name
from starktrack.evaluation.dialects import Measure
from starktrack.evaluation.published import Published, published_for
from starktrack.evaluation.scoring import Evaluation, weighted_mean
from starktrack.evaluation.statistics import compare, interval

PUBLISHED_MARK = "†"
"""Stands behind trackers whose numbers were published, not measured."""


@dataclass(frozen=True)
class Table:
    """Headings and rows of text; the first column names the row."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def overall_table(evaluations: Sequence[Evaluation], published: Iterable[Published] = ()) -> Table:
    """Return one row per tracker with every measure in percent, ± half its 95 % interval over sequences."""
    measures = evaluations[0].dialect.measures
    rows = [
        (e.tracker, *(_with_interval(e, measure) for measure in measures), _speed(e.frames_per_second))
        for e in evaluations
    ]
    rows += _published_rows(published, measures)
    headings = ("tracker", *(measure.label for measure in measures), "FPS")
    note = f", {PUBLISHED_MARK} published" if any(PUBLISHED_MARK in row[0] for row in rows) else ""
    return Table(_title(evaluations) + note, headings, tuple(rows))


def sequence_table(evaluations: Sequence[Evaluation], key: str = "") -> Table:
    """Return one row per sequence, one column per tracker, in percent; the first measure unless named."""
    key = _measure(evaluations[0], key).key
    rows = [
        (name, *(f"{100 * e.values[key][index]:.2f}" for e in evaluations))
        for index, name in enumerate(evaluations[0].names)
    ]
    title = f"{_title(evaluations)}, {_measure(evaluations[0], key).label} per sequence"
    return Table(title, ("sequence", *(e.tracker for e in evaluations)), tuple(rows))


def attribute_table(evaluations: Sequence[Evaluation], key: str = "", *, origin: str = "") -> Table:
    """Return one row per attribute, one column per tracker, in percent; the title says the attributes' origin."""
    key = _measure(evaluations[0], key).key
    attributes = sorted({name for names in evaluations[0].attributes for name in names})
    rows = [
        (f"{name} ({_count(evaluations[0], name)})", *(_over(e, key, name) for e in evaluations))
        for name in attributes
    ]
    title = (
        f"{_title(evaluations)}, {_measure(evaluations[0], key).label} per attribute{origin and f' {origin}'}"
    )
    return Table(title, ("attribute", *(e.tracker for e in evaluations)), tuple(rows))


def comparison_table(first: Evaluation, second: Evaluation) -> Table:
    """Return one row per measure: the first tracker minus the second, in points."""
    rows = []
    for measure in first.dialect.measures:
        found = compare(first, second, measure.key)
        low, high = 100 * found.difference.low, 100 * found.difference.high
        rows.append(
            (
                measure.label,
                f"{100 * found.difference.value:+.2f} [{low:+.2f}, {high:+.2f}]",
                f"{found.better} / {found.worse}",
                f"{found.reversal:.3f}",
            )
        )
    headings = ("measure", "difference [95 %]", "better / worse", "sign reversed")
    return Table(f"{first.tracker} minus {second.tracker}, {_title([first])}", headings, tuple(rows))


def to_markdown(table: Table) -> str:
    """Return the table in Markdown."""
    lines = [table.headings, tuple("---" for _ in table.headings), *table.rows]
    body = "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
    return f"**{table.title}**\n\n{body}\n"


def to_csv(table: Table) -> str:
    """Return the table as comma-separated values with a heading line; plain numbers, without intervals."""
    text = io.StringIO()
    rows = [[cell.partition(" ±")[0] for cell in row] for row in (table.headings, *table.rows)]
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def to_latex(table: Table) -> str:
    """Return the table as a LaTeX `tabular` with booktabs rules; the title is a comment."""
    columns = "l" + "r" * (len(table.headings) - 1)
    lines = [" & ".join(map(_escape_latex, row)) + r" \\" for row in (table.headings, *table.rows)]
    body = "\n".join([r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"])
    return f"% {table.title}\n\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}\n"


def to_terminal(table: Table) -> RichTable:
    """Return the table for a terminal."""
    shown = RichTable(title=escape(table.title), box=SIMPLE_HEAD, pad_edge=False, title_justify="left")
    for index, heading in enumerate(table.headings):
        shown.add_column(escape(heading), justify="right" if index else "left", min_width=5, overflow="fold")
    for row in table.rows:
        shown.add_row(*map(escape, row))
    return shown


def to_json(evaluations: Sequence[Evaluation], conventions: Mapping[str, Sequence[str]]) -> str:
    """Return everything as JSON: conventions, and per tracker measures, intervals, curves and sequences.

    Args:
        evaluations: One per tracker.
        conventions: By data set what its dialect does, in words; a union has several.
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


def _title(evaluations: Sequence[Evaluation]) -> str:
    first = evaluations[0]
    return f"{first.dataset}, {len(first.names)} sequences, {first.dialect.name} dialect"


def _with_interval(evaluation: Evaluation, measure: Measure) -> str:
    found = interval(evaluation.values[measure.key], evaluation.weights[measure.key])
    return f"{100 * found.value:.2f} ±{50 * (found.high - found.low):.1f}"


def _speed(frames_per_second: float | None) -> str:
    return "" if frames_per_second is None else f"{frames_per_second:.1f}"


def _published_rows(published: Iterable[Published], measures: Sequence[Measure]) -> list[tuple[str, ...]]:
    told: dict[str, dict[str, str]] = {}
    for number in published:
        told.setdefault(number.tracker, {})[number.measure] = f"{number.value:.1f}"
    keys = [measure.key for measure in measures]
    speeds = {number.tracker: number.value for number in published_for("speed")}
    return [
        (f"{tracker} {PUBLISHED_MARK}", *(values.get(key, "") for key in keys), _speed(speeds.get(tracker)))
        for tracker, values in told.items()
        if values.keys() & set(keys)
    ]


def _measure(evaluation: Evaluation, key: str) -> Measure:
    measures = {measure.key: measure for measure in evaluation.dialect.measures}
    if not key:
        return evaluation.dialect.measures[0]
    if key not in measures:
        raise ConfigError(f"a measure must belong to the dialect, got {key!r}{nearest_name(key, measures)}")
    return measures[key]


def _count(evaluation: Evaluation, attribute: str) -> int:
    return sum(attribute in names for names in evaluation.attributes)


def _over(evaluation: Evaluation, key: str, attribute: str) -> str:
    chosen = [index for index, names in enumerate(evaluation.attributes) if attribute in names]
    return f"{100 * weighted_mean(evaluation.values[key][chosen], evaluation.weights[key][chosen]):.2f}"


def _escape_latex(text: str) -> str:
    return text.translate(_LATEX)


_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)

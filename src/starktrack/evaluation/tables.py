"""Scores as tables, whatever protocol they follow: terminal, Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table as RichTable

from starktrack.errors import ConfigError, nearest_name, printable
from starktrack.evaluation.published import Published, published_for
from starktrack.evaluation.statistics import Comparison, Interval

PUBLISHED_MARK = "†"
"""Stands behind trackers whose numbers were published, not measured."""


@dataclass(frozen=True)
class Table:
    """Headings and rows of text; the first column names the row."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class NumberForm:
    """How the numbers of a protocol are written: percent with two decimals unless it says otherwise."""

    scale: float = 100.0
    decimals: int = 2
    spread_decimals: int = 1
    published_decimals: int = 1

    def text(self, value: float, sign: str = "") -> str:
        """Return a score, with its sign where `sign` is `+`; nothing for NaN."""
        return "" if np.isnan(value) else f"{self.scale * value:{sign}.{self.decimals}f}"


@dataclass(frozen=True)
class Groups:
    """Scores over parts of a data set: sequences with an attribute, or frames with a tag.

    Attributes:
        heading: Of the column that names the groups.
        title: What the groups are, as the title says it after `per`.
        sizes: By name, how many sequences or frames belong to a group.
        values: For a measure's key the score of each group, by name.
    """

    heading: str
    title: str
    sizes: Mapping[str, int]
    values: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Scores:
    """What tables show of one tracker.

    Attributes:
        tracker: Its name.
        title: What was scored.
        labels: For each measure's key its heading.
        overall: For each measure's key the score, with its interval over sequences.
        sequences: The scores of each sequence by name, for measures that sequences have.
        groups: Scores over parts of the data set.
        protocol: What the title of the overall table says besides.
        form: How numbers are written.
        sequence_form: How the numbers of sequences are written.
        has_speed: Whether the overall table has a column of frames per second.
    """

    tracker: str
    title: str
    labels: Mapping[str, str]
    overall: Mapping[str, Interval]
    sequences: Mapping[str, Mapping[str, float]]
    groups: Groups
    protocol: str = ""
    form: NumberForm = field(default_factory=NumberForm)
    sequence_form: NumberForm = field(default_factory=NumberForm)
    has_speed: bool = False
    frames_per_second: float | None = None


def overall_table(scores: Sequence[Scores], published: Iterable[Published] = ()) -> Table:
    """Return one row per tracker with every measure, ± half its 95 % interval over sequences."""
    first = scores[0]
    rows = []
    for one in scores:
        found = [one.overall[key] for key in first.labels]
        spreads = [first.form.scale * (each.high - each.low) / 2 for each in found]
        cells = [
            f"{first.form.text(each.value)} ±{spread:.{first.form.spread_decimals}f}"
            for each, spread in zip(found, spreads, strict=True)
        ]
        rows.append((one.tracker, *cells, *_speed(first, one.frames_per_second)))
    known: dict[str, dict[str, str]] = {}
    for number in published:
        text = f"{number.value:.{first.form.published_decimals}f}"
        known.setdefault(number.tracker, {})[number.measure] = text
    speeds = {number.tracker: number.value for number in published_for("speed")}
    below = [
        (
            f"{tracker} {PUBLISHED_MARK}",
            *(values.get(key, "") for key in first.labels),
            *_speed(first, speeds.get(tracker)),
        )
        for tracker, values in known.items()
        if values.keys() & first.labels.keys()
    ]
    headings = ("tracker", *first.labels.values(), *(("FPS",) if first.has_speed else ()))
    title = ", ".join(
        filter(None, (first.title, first.protocol, f"{PUBLISHED_MARK} published" * bool(below)))
    )
    return Table(title, headings, (*rows, *below))


def sequence_table(scores: Sequence[Scores], measure: str | None = None) -> Table:
    """Return one row per sequence and a column per tracker: of one measure, or of all that sequences have.

    Args:
        scores: One per tracker.
        measure: Its key; "" for the first.
    """
    first, (keys, label) = scores[0], _chosen(scores[0], scores[0].sequences, measure)
    rows = [
        (name, *(first.sequence_form.text(one.sequences[key][name]) for one in scores for key in keys))
        for name in first.sequences[keys[0]]
    ]
    return Table(
        f"{first.title}, {label}per sequence", _headings("sequence", scores, keys, label), tuple(rows)
    )


def group_table(scores: Sequence[Scores], measure: str | None = None) -> Table:
    """Return one row per attribute or tag and a column per tracker: of one measure, or of all that they have."""
    groups, (keys, label) = scores[0].groups, _chosen(scores[0], scores[0].groups.values, measure)
    rows = [
        (f"{name} ({size})", *(one.form.text(one.groups.values[key][name]) for one in scores for key in keys))
        for name, size in groups.sizes.items()
    ]
    title = f"{scores[0].title}, {label}per {groups.title}"
    return Table(title, _headings(groups.heading, scores, keys, label), tuple(rows))


def comparison_table(first: Scores, second: Scores, compared: Mapping[str, Comparison]) -> Table:
    """Return one row per measure: the first tracker minus the second, with its 95 % interval.

    Args:
        first: Of the first tracker.
        second: Of the second.
        compared: By the measure's key.
    """
    rows = []
    for key, label in first.labels.items():
        found = compared[key]
        difference = found.difference
        value, low, high = (
            first.form.text(each, "+") for each in (difference.value, difference.low, difference.high)
        )
        counts = "" if found.better is None else f"{found.better} / {found.worse}"
        rows.append((label, f"{value} [{low}, {high}]", counts, f"{found.reversal:.3f}"))
    headings = ("measure", "difference [95 %]", "better / worse", "sign reversed")
    return Table(f"{first.tracker} minus {second.tracker}, {first.title}", headings, tuple(rows))


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
    lines = [
        " & ".join(text.translate(_LATEX) for text in row) + r" \\" for row in (table.headings, *table.rows)
    ]
    body = "\n".join([r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"])
    return f"% {table.title}\n\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}\n"


def to_terminal(table: Table) -> RichTable:
    """Return the table for a terminal."""
    shown = RichTable(title=escape(table.title), box=SIMPLE_HEAD, pad_edge=False, title_justify="left")
    for index, heading in enumerate(table.headings):
        shown.add_column(escape(heading), justify="right" if index else "left", min_width=5, overflow="fold")
    for row in table.rows:
        shown.add_row(*(escape(printable(cell)) for cell in row))
    return shown


def _speed(scores: Scores, frames_per_second: float | None) -> tuple[str, ...]:
    if not scores.has_speed:
        return ()
    return ("" if frames_per_second is None else f"{frames_per_second:.1f}",)


def _chosen(scores: Scores, values: Mapping[str, object], measure: str | None) -> tuple[list[str], str]:
    """Return the keys of the measures that a table shows, and the words that name a single one in its title."""
    if measure is None:
        return [key for key in scores.labels if key in values], ""
    key = measure or next(iter(scores.labels))
    if key not in scores.labels:
        hint = nearest_name(key, scores.labels)
        raise ConfigError(f"a measure must belong to the dialect, got {key!r}{hint}")
    return [key], f"{scores.labels[key]} "


def _headings(first: str, scores: Sequence[Scores], keys: Sequence[str], label: str) -> tuple[str, ...]:
    if label:
        return (first, *(one.tracker for one in scores))
    return (first, *(f"{one.tracker} {scores[0].labels[key]}" for one in scores for key in keys))


_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)

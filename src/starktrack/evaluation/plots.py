"""Pictures of evaluations: curves, speed against success (Figure 1), overlap over time with failures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from starktrack.arrays import Box, Image
from starktrack.errors import MissingExtraError
from starktrack.evaluation.dialects import CurveName
from starktrack.evaluation.scoring import Evaluation
from starktrack.geometry.boxes import intersection

Overlap = Float[np.ndarray, " num_frames"]

_AXES: dict[CurveName, tuple[str, str, str]] = {
    "success": ("Success", "overlap threshold", "share of frames"),
    "precision": ("Precision", "centre error threshold, pixels", "share of frames"),
    "normalised": ("Normalised precision", "centre error threshold, true sizes", "share of frames"),
}
INK, _GRID, _TRUTH = "#333333", "#dddddd", "#111111"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#000000")
_DASHES = ("-", "--", "-.", ":")
_Area = tuple[float, float, float, float]
LABEL_SIZE = (5.6, 10.0)
"""Width of a letter and height of a line in the speed plot, points."""
_LABEL_SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))
_LABEL_GAPS = (2.0, 12.0, 22.0, 32.0)
REAL_TIME = 20.0
"""Frames per second from which the paper calls a tracker real-time."""
FAILURE_OVERLAP = 0.1
"""Frames at or below this overlap count as failed in the strip."""


@dataclass(frozen=True)
class SpeedPoint:
    """One tracker in the plot of speed against success.

    Attributes:
        frames_per_second: Measured or published speed.
        success: The success measure of the data set (AUC, AO …), percent.
        ours: Drawn filled and bold.
    """

    tracker: str
    frames_per_second: float
    success: float
    ours: bool = False


def plot_curves(evaluations: Sequence[Evaluation], curve: CurveName, path: Path) -> None:
    """Draw one curve per tracker, best first in the legend; the ending of `path` chooses the format."""
    figure, axes = figure_with_axes(6.4, 4.8)
    title, horizontal, vertical = _AXES[curve]
    ranked = sorted(enumerate(evaluations), key=lambda item: -_score(item[1], curve))
    for index, evaluation in ranked:
        thresholds = evaluation.dialect.thresholds(curve)
        axes.plot(
            thresholds,
            evaluation.mean_curve(curve),
            **line_style(index),
            label=f"[{100 * _score(evaluation, curve):.1f}] {evaluation.tracker}",
        )
    axes.set(xlabel=horizontal, ylabel=vertical, ylim=(0, 1), xlim=(0, float(thresholds[-1])))
    axes.set_title(f"{title} on {evaluations[0].dataset} ({evaluations[0].dialect.name})", color=INK)
    axes.legend(loc="lower left" if curve == "success" else "lower right", frameon=False, fontsize=9)
    save_figure(figure, path)


def plot_speed(
    points: Sequence[SpeedPoint], path: Path, dataset: str = "LaSOT", *, measure: str = "AUC"
) -> None:
    """Draw success against speed; a larger circle is a better sum of both, after Figure 1.

    Args:
        points: One per tracker.
        path: Its ending chooses the format.
        dataset: Its name on the axis.
        measure: Name of the success measure: AUC, AO …

    Source: Yan et al., ICCV 2021, figure 1.
    """
    figure, axes = figure_with_axes(7.2, 4.8)
    speeds, scores = [p.frames_per_second for p in points], [p.success for p in points]
    margin = max(0.15 * (max(scores) - min(scores)), 2)
    axes.set_xscale("log")
    axes.set(xlim=(min(speeds) / 2, max(speeds) * 2), ylim=(min(scores) - margin, max(scores) + margin))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set(xlabel="speed, frames per second", ylabel=f"{measure} on {dataset}, %")
    axes.axvline(REAL_TIME, color=INK, linewidth=0.8, linestyle=":")
    lowest = (REAL_TIME, min(scores) - margin)
    axes.annotate("real time", lowest, (4, 6), textcoords="offset points", fontsize=8, color=INK)
    shares = [np.log1p(p.frames_per_second) / np.log1p(max(speeds)) + p.success / max(scores) for p in points]
    radii = [4 + 3 * share**2 for share in shares]
    for point, radius in zip(points, radii, strict=True):
        position, colour = (point.frames_per_second, point.success), _COLOURS[1 if point.ours else 0]
        axes.scatter(
            *position, s=(2 * radius) ** 2, color=colour, alpha=0.75 if point.ours else 0.35, linewidths=0
        )
    centres = axes.transData.transform(list(zip(speeds, scores, strict=True))) * 72 / figure.dpi
    corners = label_corners(centres, radii, [p.tracker for p in points])
    for point, offset, radius in zip(points, corners - centres, radii, strict=True):
        # A line connects a label that is further away with its circle.
        far = _distance(offset, point.tracker) - radius > 2 * _LABEL_GAPS[0]
        line = {"arrowstyle": "-", "color": INK, "linewidth": 0.6, "shrinkA": 0, "shrinkB": radius}
        axes.annotate(
            point.tracker,
            (point.frames_per_second, point.success),
            offset,
            textcoords="offset points",
            fontsize=9,
            fontweight="bold" if point.ours else "normal",
            arrowprops=line if far else None,
        )
    save_figure(figure, path)


def label_corners(
    centres: Float[np.ndarray, "num_points 2"], radii: Sequence[float], labels: Sequence[str]
) -> Float[np.ndarray, "num_points 2"]:
    """Return the lower left corner of each label, beside its circle and without overlap if possible.

    Args:
        centres: Of the circles, points from the lower left.
        radii: Of the circles, points.
        labels: Texts; a letter takes `LABEL_SIZE`.
    """
    taken = [(x - r, y - r, x + r, y + r) for (x, y), r in zip(centres.tolist(), radii, strict=True)]
    corners = []
    for (x, y), r, label in zip(centres.tolist(), radii, labels, strict=True):
        width, height = _label_size(label)
        places = [
            (x + across * (r + gap + width / 2) - width / 2, y + up * (r + gap + height / 2) - height / 2)
            for gap in _LABEL_GAPS
            for across, up in _LABEL_SIDES
        ]
        best = min(
            places, key=lambda corner: _crowding((*corner, corner[0] + width, corner[1] + height), taken)
        )
        taken.append((*best, best[0] + width, best[1] + height))
        corners.append(best)
    return np.array(corners)


def _label_size(label: str) -> tuple[float, float]:
    return LABEL_SIZE[0] * len(label), LABEL_SIZE[1]


def _distance(corner: Float[np.ndarray, "2"], label: str) -> float:
    """Return how far a label with this lower left corner is from the origin, points."""
    return float(np.hypot(*np.maximum(np.maximum(corner, -corner - _label_size(label)), 0)))


def _crowding(area: _Area, taken: Sequence[_Area]) -> float:
    return float(sum(intersection(np.array(area), np.array(other)) for other in taken))


def worst_failures(overlap: Overlap, count: int = 5) -> list[int]:
    """Return the middle frame of each of the longest failures, in order of time.

    A failure is a run of frames with an overlap of at most 0.1; without any, the frames of least overlap are
    returned, at least a tenth of the sequence apart.
    """
    failed = np.concatenate([[False], np.nan_to_num(overlap) <= FAILURE_OVERLAP, [False]])
    starts, stops = np.flatnonzero(~failed[:-1] & failed[1:]), np.flatnonzero(failed[:-1] & ~failed[1:])
    if not len(starts):
        return _lowest_apart(overlap, count)
    longest = np.argsort(-(stops - starts), kind="stable")[:count]
    return sorted(((starts + stops - 1) // 2)[longest].tolist())


def plot_sequence(
    name: str,
    overlaps: Mapping[str, Overlap],
    path: Path,
    read: Callable[[int], Image] | None = None,
    boxes: Mapping[str, Callable[[int], Box]] | None = None,
) -> None:
    """Draw the overlap of each tracker over time, above pictures of the first tracker's worst failures.

    Args:
        name: Of the sequence.
        overlaps: By tracker.
        path: Its ending chooses the format.
        read: Gives the picture of a frame; without it there are no pictures.
        boxes: By tracker, and `truth`: gives the box in a frame, drawn into the pictures.
    """
    first = next(iter(overlaps.values()))
    shown = worst_failures(first) if read is not None else []
    figure, axes = figure_with_axes(9.0, 5.2 if shown else 3.0)
    grid = figure.add_gridspec(2, max(len(shown), 1), height_ratios=(1.1, 1), hspace=0.45) if shown else None
    if grid is not None:
        axes.set_subplotspec(grid[0, :])
    for index, (tracker, overlap) in enumerate(overlaps.items()):
        axes.plot(np.clip(overlap, 0, 1), **(line_style(index) | {"linewidth": 1.3}), label=tracker)
    axes.set(xlabel="frame", ylabel="overlap", ylim=(0, 1.02), xlim=(0, max(len(first) - 1, 1)))
    axes.set_title(f"{name}: overlap over time", color=INK, loc="right", fontsize=10)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, ncols=4, fontsize=9)
    if grid is not None and read is not None:
        for column, frame in enumerate(shown):
            axes.axvline(frame, color=INK, linewidth=0.8, linestyle=":")
            axes.annotate("abcdefgh"[column], (frame, 0.03), (3, 0), textcoords="offset points", fontsize=9)
            place = figure.add_subplot(grid[1, column])
            _draw_picture(place, frame, column, read(frame), boxes or {}, list(overlaps))
    save_figure(figure, path)


def _draw_picture(
    axes: Any,
    frame: int,
    column: int,
    image: Image,
    boxes: Mapping[str, Callable[[int], Box]],
    trackers: list[str],
) -> None:
    axes.imshow(image)
    shown = {name: box_at(frame) for name, box_at in boxes.items()}
    for name, box in shown.items():
        x, y, w, h = box.tolist()
        colour = "white" if name == "truth" else line_style(trackers.index(name))["color"]
        line = [(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)]
        for width, drawn in ((2.4, _TRUTH), (1.2, colour)):
            axes.plot(*zip(*line, strict=True), color=drawn, linewidth=width)
    left, top, right, bottom = failure_window(list(shown.values()), image.shape[:2])
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    axes.set_title(f"{'abcdefgh'[column]}: frame {frame}", fontsize=9, color=INK)


def failure_window(boxes_xywh: Sequence[Box], size_hw: tuple[int, int]) -> _Area:
    """Return the part of a picture to show, of the picture's shape: left, top, right, bottom, pixels.

    It is twice as large as the box around all boxes, at least a quarter of the picture's sides, and inside the
    picture.

    Args:
        boxes_xywh: The boxes to show; NaN for a tracker without a box.
        size_hw: Size of the picture, pixels.
    """
    height, width = size_hw
    boxes = np.array([box for box in boxes_xywh if np.isfinite(box).all()])
    if not len(boxes):
        return 0.0, 0.0, float(width), float(height)
    limits = (width, height, width, height)
    edges = np.clip(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1), 0, limits)
    start, stop = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)
    scale = min(max((2 * (stop - start) / (width, height)).max(), 0.25), 1.0)
    side = scale * np.array([width, height])
    corner = np.clip((start + stop - side) / 2, 0, (width, height) - side)
    return (*corner.tolist(), *(corner + side).tolist())


def _lowest_apart(overlap: Overlap, count: int) -> list[int]:
    chosen: list[int] = []
    for index in np.argsort(overlap, kind="stable").tolist():
        if len(chosen) < count and all(abs(index - other) * 10 >= len(overlap) for other in chosen):
            chosen.append(index)
    return sorted(chosen)


def _score(evaluation: Evaluation, curve: CurveName) -> float:
    measures = evaluation.dialect.measures
    chosen = next((m for m in measures if m.curve == curve and curve != "success"), measures[0])
    return evaluation.overall(chosen.key)


def line_style(index: int) -> dict[str, Any]:
    """Return the line style of the tracker with this number; every tracker has another."""
    dashes = _DASHES[index // len(_COLOURS) % len(_DASHES)]
    return {"linestyle": dashes, "color": _COLOURS[index % len(_COLOURS)], "linewidth": 2}


def figure_with_axes(width: float, height: float) -> tuple[Any, Any]:
    """Return an empty picture in the common style, size in inches; MissingExtraError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("matplotlib", "plots", "drawing plots") from error
    figure = Figure(figsize=(width, height), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save_figure(figure: Any, path: Path) -> None:
    """Write a picture; the ending of `path` chooses the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight")

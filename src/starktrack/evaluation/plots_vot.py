"""Pictures of VOT scores: expected average overlap over length, precision against recall."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from starktrack.evaluation.plots import INK, figure_with_axes, line_style, save_figure
from starktrack.evaluation.vot_anchors import EAO_INTERVAL, AnchorScore
from starktrack.evaluation.vot_longterm import LongTermScore


def plot_eao(scores: Mapping[str, AnchorScore], title: str, path: Path) -> None:
    """Draw the expected average overlap over sequence lengths, the scored interval between dotted lines."""
    figure, axes = figure_with_axes(6.4, 4.8)
    ranked = sorted(enumerate(scores.items()), key=lambda item: -item[1][1].eao)
    for index, (tracker, score) in ranked:
        curve = score.eao_curve[1:]
        lengths = np.arange(1, len(curve) + 1)
        axes.plot(lengths, curve, **line_style(index), label=f"[{score.eao:.3f}] {tracker}")
    for end in EAO_INTERVAL:
        axes.axvline(end, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="sequence length, frames", ylabel="expected average overlap", ylim=(0, 1), xlim=(1, None))
    axes.set_title(f"Expected average overlap on {title}", color=INK)
    axes.legend(loc="upper right", frameon=False, fontsize=9)
    save_figure(figure, path)


def plot_longterm(scores: Mapping[str, LongTermScore], title: str, path: Path) -> None:
    """Draw precision against recall over the confidence thresholds, and a point where F is highest."""
    figure, axes = figure_with_axes(6.4, 4.8)
    ranked = sorted(enumerate(scores.items()), key=lambda item: -item[1][1].f_score)
    for index, (tracker, score) in ranked:
        style = line_style(index)
        axes.plot(
            score.recall_curve, score.precision_curve, **style, label=f"[{score.f_score:.3f}] {tracker}"
        )
        axes.plot([score.recall], [score.precision], "o", color=style["color"])
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02), xlim=(0, 1))
    axes.set_title(f"Long-term tracking on {title}, [F]", color=INK)
    axes.legend(loc="lower left", frameon=False, fontsize=9)
    save_figure(figure, path)

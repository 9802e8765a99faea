"""The conventions of each benchmark toolkit as data: one frozen record per toolkit.

Between toolkits the score of the same files differs by up to four points. `evaluation/scoring.py` computes the
scores of every record; `evaluation/conventions.py` has the conventions in words.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from starktrack.errors import ConfigError, nearest_name

Thresholds = Float[np.ndarray, " num_thresholds"]
TruthNeeds = Literal["positive_size", "all_positive", "numbers", "positive_centre", "nothing"]
CurveName = Literal["success", "precision", "normalised"]


@dataclass(frozen=True)
class Measure:
    """One number per sequence, computed from one of its curves.

    Attributes:
        key: Name in JSON and CSV.
        label: Heading in tables.
        curve: The curve: `overlap` is the mean over frames with a valid truth, `covered` the share of frames with a
            predicted box.
        reading: `mean` of the curve, `area` by trapezoids, or `at` one of its thresholds.
        index: Which threshold, counted from 0, for `at`.
        pooling: How sequences become one number.
    """

    key: str
    label: str
    curve: Literal["success", "precision", "normalised", "overlap", "covered"]
    reading: Literal["mean", "area", "at"] = "mean"
    index: int = 0
    pooling: Literal["sequences", "frames", "classes"] = "sequences"


@dataclass(frozen=True, eq=False)
class Dialect:
    """The conventions of one toolkit; `conventions.WORDS` explains the values of each field.

    Attributes:
        source: The place in the toolkit's code.
        overlap_thresholds: Ascending, [0, 1].
        centre_thresholds: Ascending, pixels.
        normalised_thresholds: Ascending, in units of the true size.
        smallest_true_size: True sizes below this count as this in normalised errors, pixels.
    """

    name: str
    source: str
    overlap_thresholds: Float[np.ndarray, " num_overlaps"]
    centre_thresholds: Float[np.ndarray, " num_centre_errors"]
    normalised_thresholds: Float[np.ndarray, " num_normalised_errors"]
    measures: tuple[Measure, ...]
    rounding: Literal["none", "truncate", "nearest"] = "none"
    missing_sequence: Literal["refuse", "zeros"] = "refuse"
    bad_predictions: Literal["keep", "repeat", "repeat_zero_size"] = "keep"
    short_predictions: Literal["refuse", "zeros", "fail"] = "refuse"
    long_predictions: Literal["refuse", "cut"] = "refuse"
    first_frame: Literal["truth", "predicted", "left_out"] = "truth"
    clip_to_image: bool = False
    clip_overlap: bool = False
    overlap_needs: TruthNeeds = "positive_size"
    centre_needs: TruthNeeds = "positive_size"
    absent_flags: Literal["invalid", "ignored"] = "invalid"
    denominator: Literal["all", "valid"] = "all"
    centre_if_invalid: Literal["failure", "success"] = "failure"
    centre_if_absent: Literal["failure", "success"] = "failure"
    normalised_if_invalid: Literal["failure", "success"] = "failure"
    normalised_if_absent: Literal["failure", "success"] = "failure"
    overlap_rule: Literal[">", ">="] = ">"
    smallest_true_size: float = 0.0
    speed: Literal["overall", "sequences", "frames"] = "overall"

    def thresholds(self, curve: CurveName) -> Thresholds:
        """Return the thresholds of one of the three curves."""
        return {
            "success": self.overlap_thresholds,
            "precision": self.centre_thresholds,
            "normalised": self.normalised_thresholds,
        }[curve]


def matlab_range(step: float, count: int) -> Thresholds:
    """Return 0, step … count * step as MATLAB computes them: the upper half counts down from the end."""
    rising = np.arange(count + 1) * step
    falling = rising[-1] - rising[::-1]
    return np.where(np.arange(count + 1) <= count // 2, rising, falling)


def _ope_measures(normalised_reading: Literal["mean", "at"] = "at") -> tuple[Measure, ...]:
    return (
        Measure("auc", "AUC", "success"),
        Measure("op50", "OP50", "success", "at", 10),
        Measure("op75", "OP75", "success", "at", 15),
        Measure("precision", "P@20", "precision", "at", 20),
        Measure("normalised_precision", "Pnorm", "normalised", normalised_reading, 20),
        Measure("mean_overlap", "AO", "overlap"),
    )


_PIXELS = np.arange(51) * 1.0
_STARK = Dialect(
    name="stark",
    source="STARK, lib/test/analysis/extract_results.py: the paper's LaSOT and NOTU numbers",
    overlap_thresholds=np.arange(21) * 0.05,
    centre_thresholds=_PIXELS,
    normalised_thresholds=_PIXELS / 100,
    measures=_ope_measures(),
    bad_predictions="repeat_zero_size",
    short_predictions="zeros",
    long_predictions="cut",
    normalised_if_invalid="success",
    normalised_if_absent="success",
)

DIALECTS: dict[str, Dialect] = {
    "stark": _STARK,
    "stark-integer": replace(
        _STARK,
        name="stark-integer",
        rounding="truncate",
        source=f"{_STARK.source}, integer files",
    ),
    "pytracking": replace(
        _STARK,
        name="pytracking",
        source="pytracking, analysis/extract_results.py",
        overlap_needs="all_positive",
        centre_needs="all_positive",
    ),
    "lasot": Dialect(
        name="lasot",
        source="LaSOT evaluation toolkit (MATLAB), utils/calc_seq_err_robust.m and eval_tracker.m",
        overlap_thresholds=matlab_range(0.05, 20),
        centre_thresholds=_PIXELS,
        normalised_thresholds=_PIXELS / 100,
        measures=_ope_measures(),
        bad_predictions="repeat",
        long_predictions="cut",
        overlap_needs="all_positive",
        centre_needs="all_positive",
        centre_if_invalid="success",
        normalised_if_invalid="success",
    ),
    "got10k": Dialect(
        name="got10k",
        source="got10k toolkit, experiments/otb.py, lasot.py, uav123.py",
        overlap_thresholds=np.linspace(0, 1, 21),
        centre_thresholds=_PIXELS,
        normalised_thresholds=np.linspace(0, 0.5, 51),
        measures=_ope_measures("mean"),
        clip_overlap=True,
        overlap_needs="numbers",
        centre_needs="numbers",
        absent_flags="ignored",
        denominator="valid",
        smallest_true_size=1.0,
        speed="sequences",
    ),
    "trackingnet": Dialect(
        name="trackingnet",
        source="TrackingNet devkit, metrics.py (the code of the server)",
        overlap_thresholds=np.linspace(0, 1, 21),
        centre_thresholds=np.linspace(0, 50, 21),
        normalised_thresholds=np.linspace(0, 0.5, 21),
        measures=(
            Measure("success", "Success", "success", "area"),
            Measure("precision", "Precision", "precision", "area"),
            Measure("normalised_precision", "Norm. precision", "normalised", "area"),
            Measure("coverage", "Coverage", "covered", pooling="frames"),
        ),
        rounding="nearest",
        missing_sequence="zeros",
        short_predictions="fail",
        long_predictions="cut",
        overlap_needs="nothing",
        centre_needs="nothing",
        absent_flags="ignored",
        overlap_rule=">=",
    ),
    "pysot": Dialect(
        name="pysot",
        source="pysot toolkit, evaluation/ope_benchmark.py and utils/statistics.py",
        overlap_thresholds=np.arange(21) * 0.05,
        centre_thresholds=_PIXELS,
        normalised_thresholds=_PIXELS / 100,
        measures=_ope_measures(),
        first_frame="predicted",
        centre_needs="positive_centre",
        centre_if_invalid="success",
        normalised_if_invalid="success",
        smallest_true_size=1e-16,
    ),
}

OVERRIDES: dict[tuple[str, str], dict[str, Any]] = {
    ("stark", "lasot"): {"short_predictions": "refuse", "normalised_if_absent": "failure"},
    ("stark", "uav"): {"centre_if_invalid": "success", "centre_if_absent": "success"},
    ("got10k", "got10k"): {
        "source": "got10k toolkit, experiments/got10k.py (validation set)",
        "overlap_thresholds": np.linspace(0, 1, 101),
        "measures": (
            Measure("ao", "AO", "overlap", pooling="frames"),
            Measure("sr50", "SR0.50", "success", "at", 50, pooling="frames"),
            Measure("sr75", "SR0.75", "success", "at", 75, pooling="frames"),
            Measure("ao_sequences", "AO (sequences)", "overlap"),
            Measure("mao", "mAO", "overlap", pooling="classes"),
            Measure("msr50", "mSR0.50", "success", "at", 50, pooling="classes"),
            Measure("msr75", "mSR0.75", "success", "at", 75, pooling="classes"),
        ),
        "first_frame": "left_out",
        "clip_to_image": True,
        "absent_flags": "invalid",
        "speed": "frames",
    },
}
"""Special cases of toolkits on some data sets: (toolkit, start of the data set's name) -> fields."""

_SAME_AS = {"stark-integer": "stark", "pytracking": "stark"}


def dialect(name: str, dataset: str = "", *, drop_invalid: bool = False) -> Dialect:
    """Return the conventions of a toolkit, as it applies them to a data set.

    Args:
        name: One of `DIALECTS`.
        dataset: For instance `lasot`, `uav123`, `got10k_val`; its start selects the toolkit's special cases.
        drop_invalid: Divide by valid frames only (`exclude_invalid_frames` of STARK and pytracking).

    Raises:
        ConfigError: No toolkit of that name.
    """
    if name not in DIALECTS:
        raise ConfigError(f"a dialect must be a known toolkit, got {name!r}{nearest_name(name, DIALECTS)}")
    chosen = DIALECTS[name]
    for (toolkit, beginning), changes in OVERRIDES.items():
        if toolkit == _SAME_AS.get(name, name) and dataset.startswith(beginning):
            chosen = replace(chosen, **changes)
    return replace(chosen, denominator="valid") if drop_invalid else chosen

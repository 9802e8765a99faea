"""Computes scores per frame, sequence and data set from boxes and truth in a dialect."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from starktrack.arrays import Boxes
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import DatasetError, ResultFileError, SourceWarning
from starktrack.evaluation import metrics
from starktrack.evaluation.dialects import CurveName, Dialect, Measure
from starktrack.evaluation.truth import matched_to

_Predicted = Float[np.ndarray, "num_predicted 4"]
_Truth = Float[np.ndarray, "num_frames 4"]
_FAILURE_OVERLAP, _FAILURE, _SUCCESS = -1.0, np.inf, -1.0


@dataclass(frozen=True)
class SequenceScore:
    """The scores of one sequence, frame by frame, as a toolkit counts them.

    Attributes:
        overlap: Intersection over union; -1 in frames that cannot succeed.
        centre_error_px: Distance of centres; infinite or -1 where the dialect fails or passes a frame.
        normalised_error: The same in units of the true size.
        valid: Frames whose truth the dialect accepts.
        predicted: Frames with a predicted box other than 0,0,0,0.
    """

    name: str
    overlap: Float[np.ndarray, " num_frames"]
    centre_error_px: Float[np.ndarray, " num_frames"]
    normalised_error: Float[np.ndarray, " num_frames"]
    valid: Bool[np.ndarray, " num_frames"]
    predicted: Bool[np.ndarray, " num_frames"]


@dataclass(frozen=True)
class Evaluation:
    """One tracker on one data set: curves and measures per sequence, and how sequences are averaged.

    Attributes:
        curves: `success`, `precision` and `normalised`, each [num_sequences, num_thresholds], in [0, 1].
        values: For each measure's key its value per sequence, shares in [0, 1].
        weights: For each measure's key the weight of each sequence in the overall mean.
        attributes: What makes each sequence hard, where the annotations say so.
        frames_per_second: Speed of the tracker, where its files tell.
    """

    tracker: str
    dataset: str
    dialect: Dialect
    names: tuple[str, ...]
    curves: dict[str, Float[np.ndarray, "num_sequences _"]]
    values: dict[str, Float[np.ndarray, " num_sequences"]]
    weights: dict[str, Float[np.ndarray, " num_sequences"]]
    attributes: tuple[tuple[str, ...], ...] = ()
    frames_per_second: float | None = None

    def overall(self, key: str) -> float:
        """Return one measure over all sequences, a share in [0, 1]."""
        return weighted_mean(self.values[key], self.weights[key])

    def mean_curve(self, curve: str) -> Float[np.ndarray, " num_thresholds"]:
        """Return one curve over all sequences, which weigh as in the first measure."""
        return np.average(self.curves[curve], axis=0, weights=self.weights[self.dialect.measures[0].key])


def weighted_mean(values: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"]) -> float:
    """Return the mean with these weights; NaN where they sum to zero."""
    total = weights.sum()
    return float((values * weights).sum() / total) if total else float("nan")


def score_sequence(
    predicted_xywh: _Predicted | None, sequence: VideoSequence, dialect: Dialect
) -> SequenceScore:
    """Return the scores of each frame as the toolkit counts them.

    Args:
        predicted_xywh: One box per frame from the first; None where there is no result.
        sequence: The truth.
        dialect: Whose conventions apply.

    Raises:
        ResultFileError: The boxes break one of the toolkit's rules; names the sequence.
    """
    predicted, truth = _prepare(predicted_xywh, sequence, dialect)
    absent = np.zeros(len(truth), bool)
    if sequence.flagged_absent is not None and dialect.absent_flags == "invalid":
        absent = sequence.flagged_absent[: len(truth)]
    if dialect.first_frame == "left_out":
        predicted, truth, absent = predicted[1:], truth[1:], absent[1:]
    return _score_frames(sequence.name, predicted, truth, absent, dialect)


def evaluate(
    tracker: str,
    dataset: str,
    predictions: Mapping[str, Boxes],
    sequences: Sequence[VideoSequence],
    dialect: Dialect,
    files: Mapping[str, str] | None = None,
) -> Evaluation:
    """Return the scores of a tracker on a data set.

    Args:
        tracker: Its name in tables.
        dataset: Its name in tables.
        predictions: Boxes by sequence name; others than the annotated ones are left aside.
        sequences: The sequences that count, all of them.
        dialect: Whose conventions apply.
        files: Where each prediction lies, for errors.

    Raises:
        ResultFileError: Results are missing or break a rule of the toolkit; names the sequences.
    """
    _check_complete(tracker, predictions, sequences, dialect)
    scores = []
    for sequence in sequences:
        boxes = predictions.get(sequence.name)
        matched = sequence if boxes is None else matched_to(sequence, len(boxes))
        try:
            scores.append(score_sequence(boxes, matched, dialect))
        except ResultFileError as error:
            where = (files or {}).get(sequence.name, sequence.name)
            raise ResultFileError(f"{where}: {error}") from error
    curves = {
        curve: np.stack([sequence_curve(score, curve, dialect) for score in scores])
        for curve in ("success", "precision", "normalised")
    }
    return Evaluation(
        tracker,
        dataset,
        dialect,
        tuple(sequence.name for sequence in sequences),
        curves,
        {m.key: _values(m, scores, curves) for m in dialect.measures},
        {m.key: _weights(m, scores, sequences, dialect) for m in dialect.measures},
        tuple(sequence.benchmark.attributes for sequence in sequences),
    )


def join(dataset: str, parts: Sequence[Evaluation]) -> Evaluation:
    """Return one tracker's evaluations of several data sets as one, each sequence scored by its own rules.

    Names must differ, as those of `UnionDataset` do.

    NOTU is the union of NFS, OTB100, the 78 `_ce` sequences of TC128 and UAV123 (section 4.3).

    Raises:
        DatasetError: The parts were scored by different measures.
    """
    first = parts[0]
    if len({(part.dialect.name, *part.values) for part in parts}) > 1:
        names = [part.dialect.name for part in parts]
        raise DatasetError(f"data sets to join must be scored by one dialect's measures, got {names}")
    return Evaluation(
        first.tracker,
        dataset,
        first.dialect,
        tuple(name for part in parts for name in part.names),
        {curve: np.concatenate([part.curves[curve] for part in parts]) for curve in first.curves},
        {key: np.concatenate([part.values[key] for part in parts]) for key in first.values},
        {key: np.concatenate([part.weights[key] for part in parts]) for key in first.weights},
        tuple(names for part in parts for names in part.attributes),
    )


def sequence_curve(
    score: SequenceScore, curve: CurveName, dialect: Dialect
) -> Float[np.ndarray, " num_thresholds"]:
    """Return one curve of one sequence: the share of frames that pass at each threshold."""
    num_frames = len(score.valid) if dialect.denominator == "all" else int(score.valid.sum())
    thresholds = dialect.thresholds(curve)
    if curve == "success":
        rule = dialect.overlap_rule
        return metrics.success_curve(score.overlap, thresholds, rule=rule, num_frames=num_frames)
    error = score.centre_error_px if curve == "precision" else score.normalised_error
    return metrics.error_curve(error, thresholds, num_frames=num_frames)


def _check_complete(
    tracker: str, predictions: Mapping[str, Boxes], sequences: Sequence[VideoSequence], dialect: Dialect
) -> None:
    if not sequences:
        raise DatasetError("scoring needs at least one annotated sequence, got none")
    missing = [sequence.name for sequence in sequences if sequence.name not in predictions]
    if missing and (dialect.missing_sequence == "refuse" or len(missing) == len(sequences)):
        raise ResultFileError(
            f"{tracker} must have a result for each of {len(sequences)} sequences, got {len(missing)} "
            f"missing: {', '.join(missing[:5])}; track them, or name a subset"
        )


def _prepare(
    predicted: _Predicted | None, sequence: VideoSequence, dialect: Dialect
) -> tuple[_Truth, _Truth]:
    truth = sequence.boxes_xywh
    predicted = np.zeros_like(truth) if predicted is None else predicted
    predicted, truth = _round(predicted, truth, dialect)
    predicted = _repair(predicted, truth, sequence.name, dialect)
    predicted, truth = _match_lengths(predicted, truth, sequence.name, dialect)
    if dialect.first_frame == "truth":
        predicted = np.concatenate([truth[:1], predicted[1:]])
    size_wh = sequence.benchmark.resolution_wh
    if dialect.clip_to_image and size_wh is not None:
        predicted, truth = _clip(predicted, size_wh), _clip(truth, size_wh)
    return predicted, truth


def _round(predicted: _Predicted, truth: _Truth, dialect: Dialect) -> tuple[_Predicted, _Truth]:
    if dialect.rounding == "truncate":
        return np.trunc(predicted), truth
    if dialect.rounding == "nearest":
        return np.round(predicted), np.round(truth)
    return predicted, truth


def _repair(predicted: _Predicted, truth: _Truth, name: str, dialect: Dialect) -> _Predicted:
    if dialect.bad_predictions == "keep":
        _require_numbers(predicted, name, dialect)
        return predicted
    if dialect.bad_predictions == "repeat":
        bad = np.isnan(predicted).any(1) | ~(predicted[:, 2:] > 0).all(1)
    else:
        _require_numbers(predicted, name, dialect)
        negative = (predicted[:, 2:] < 0).any(1)
        if negative.any():
            raise _bad_row(predicted, int(negative.argmax()), "no negative sizes", name, dialect)
        bad = (predicted[:, 2:] == 0).any(1)
    known = np.ones(len(predicted), bool)
    known[: len(truth)] = ~np.isnan(truth[: len(predicted)]).any(1)
    return metrics.forward_fill(predicted, bad & known)


def _require_numbers(predicted: _Predicted, name: str, dialect: Dialect) -> None:
    unknown = np.isnan(predicted).any(1)
    if unknown.any():
        raise _bad_row(predicted, int(unknown.argmax()), "numbers", name, dialect)


def _bad_row(predicted: _Predicted, index: int, wanted: str, name: str, dialect: Dialect) -> ResultFileError:
    return ResultFileError(
        f"the {dialect.name} dialect wants {wanted}, got {predicted[index].tolist()} in frame {index} of {name} "
        f"(line {index + 1} of its result file); the lasot dialect mends it"
    )


def _match_lengths(
    predicted: _Predicted, truth: _Truth, name: str, dialect: Dialect
) -> tuple[_Truth, _Truth]:
    extra = len(predicted) - len(truth)
    rule = dialect.long_predictions if extra > 0 else dialect.short_predictions
    if extra and rule == "refuse":
        raise ResultFileError(
            f"the {dialect.name} dialect wants one box per annotated frame, got {len(predicted)} boxes for "
            f"{len(truth)} frames of {name}; track the sequence again"
        )
    if extra < 0:
        warnings.warn(
            f"{name}: {-extra} of {len(truth)} frames have no box in the result file; the {dialect.name} dialect "
            "counts them as its toolkit does, as failures",
            SourceWarning,
            stacklevel=2,
        )
        filler = 0.0 if rule == "zeros" else np.nan
        return np.concatenate([predicted, np.full((-extra, 4), filler)]), truth
    return predicted[: len(truth)], truth


def _clip(boxes: Boxes, size_wh: tuple[int, int]) -> Boxes:
    corner = np.clip(boxes[:, :2], 0, size_wh)
    return np.concatenate([corner, np.clip(boxes[:, 2:], 0, size_wh - corner)], axis=1)


def _score_frames(
    name: str, predicted: _Truth, truth: _Truth, absent: Bool[np.ndarray, " num_frames"], dialect: Dialect
) -> SequenceScore:
    overlap = metrics.overlaps(predicted, truth)
    overlap = np.clip(overlap, 0, 1) if dialect.clip_overlap else overlap
    valid = _accepted(truth, dialect.overlap_needs) & ~absent
    has_centre = _accepted(truth, dialect.centre_needs)
    centre = metrics.centre_errors(predicted, truth)
    normalised = metrics.normalised_errors(predicted, truth, dialect.smallest_true_size)
    return SequenceScore(
        name,
        np.where(valid, overlap, _FAILURE_OVERLAP),
        _judge(centre, has_centre, absent, dialect.centre_if_invalid, dialect.centre_if_absent),
        _judge(normalised, has_centre, absent, dialect.normalised_if_invalid, dialect.normalised_if_absent),
        valid,
        (np.nan_to_num(predicted) != 0).any(1),
    )


def _accepted(truth: Boxes, needs: str) -> Bool[np.ndarray, " num_frames"]:
    return {
        "positive_size": lambda: (truth[:, 2:] > 0).all(1),
        "all_positive": lambda: (truth > 0).all(1),
        "numbers": lambda: ~np.isnan(truth).any(1),
        "positive_centre": lambda: (truth[:, :2] + (truth[:, 2:] - 1) / 2 > 0).all(1),
        "nothing": lambda: np.ones(len(truth), bool),
    }[needs]()


def _judge(
    error: Float[np.ndarray, " num_frames"],
    accepted: Bool[np.ndarray, " num_frames"],
    absent: Bool[np.ndarray, " num_frames"],
    if_invalid: str,
    if_absent: str,
) -> Float[np.ndarray, " num_frames"]:
    verdict = {"failure": _FAILURE, "success": _SUCCESS}
    return np.where(absent, verdict[if_absent], np.where(accepted, error, verdict[if_invalid]))


def _values(
    measure: Measure,
    scores: Sequence[SequenceScore],
    curves: Mapping[str, Float[np.ndarray, "num_sequences _"]],
) -> Float[np.ndarray, " num_sequences"]:
    if measure.curve == "overlap":
        return np.array([_mean(score.overlap[score.valid]) for score in scores])
    if measure.curve == "covered":
        return np.array([_mean(score.predicted) for score in scores])
    curve = curves[measure.curve]
    if measure.reading == "at":
        return curve[:, measure.index]
    return metrics.area_under(curve) if measure.reading == "area" else curve.mean(axis=1)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _weights(
    measure: Measure, scores: Sequence[SequenceScore], sequences: Sequence[VideoSequence], dialect: Dialect
) -> Float[np.ndarray, " num_sequences"]:
    if measure.pooling == "sequences":
        return np.ones(len(scores))
    if measure.pooling == "frames":
        return np.array(
            [score.valid.sum() if dialect.denominator == "valid" else len(score.valid) for score in scores],
            float,
        )
    classes = [sequence.object_class or "unknown" for sequence in sequences]
    return np.array([1.0 / classes.count(name) for name in classes])

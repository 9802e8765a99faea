"""The conventions of a dialect in words, which `--explain` prints."""

from dataclasses import fields
from typing import Any

from starktrack.evaluation.dialects import Dialect, Measure, Thresholds

WORDS: dict[str, dict[Any, str]] = {
    "rounding": {
        "none": "boxes are used as they are written",
        "truncate": "predicted boxes are cut to whole pixels, as in the toolkit's result files",
        "nearest": "true and predicted boxes are rounded to whole pixels (half to even)",
    },
    "missing_sequence": {
        "refuse": "a sequence without a result file is an error",
        "zeros": "a sequence without a result file counts as boxes 0,0,0,0",
    },
    "bad_predictions": {
        "keep": "empty predicted boxes are used as they are; NaN is an error",
        "repeat": "a predicted box that is NaN or not of positive size is replaced by the one before it, "
        "where the truth is a number",
        "repeat_zero_size": "a predicted box of zero width or height is replaced by the one before it, "
        "where the truth is a number; NaN and negative sizes are an error",
    },
    "short_predictions": {
        "refuse": "fewer boxes than annotated frames are an error",
        "zeros": "missing boxes at the end count as 0,0,0,0",
        "fail": "frames beyond the last predicted box fail at every threshold",
    },
    "long_predictions": {
        "refuse": "more boxes than annotated frames are an error",
        "cut": "boxes beyond the last annotated frame are left out",
    },
    "first_frame": {
        "truth": "the first frame counts, with the true box as prediction",
        "predicted": "the first frame counts, as predicted",
        "left_out": "the first frame is left out",
    },
    "clip_to_image": {
        False: "boxes may stick out of the image",
        True: "true and predicted boxes are clipped to the image: the corner, then the size to what is left",
    },
    "clip_overlap": {
        False: "overlaps are used as computed (a box with itself may exceed 1 by a binary digit)",
        True: "overlaps are clipped to [0, 1]",
    },
    "overlap_needs": {
        "positive_size": "overlaps are valid where the true size is positive; elsewhere they fail",
        "all_positive": "overlaps are valid where all four true values are positive; elsewhere they fail",
        "numbers": "overlaps are valid where the truth is not NaN; elsewhere they fail",
        "positive_centre": "overlaps are valid where the true centre is positive; elsewhere they fail",
        "nothing": "every frame has an overlap",
    },
    "centre_needs": {
        "positive_size": "centre errors are valid where the true size is positive",
        "all_positive": "a centre error is valid where the true x, y, width and height are all positive",
        "numbers": "a centre error is valid where the truth is not NaN",
        "positive_centre": "a centre error is valid where the true centre has positive coordinates",
        "nothing": "every frame has a centre error",
    },
    "absent_flags": {
        "invalid": "frames flagged as absent are invalid",
        "ignored": "flags of absence are ignored",
    },
    "denominator": {
        "all": "counts are divided by all frames, so invalid frames stay in the denominator",
        "valid": "counts are divided by the number of valid frames",
    },
    "centre_if_invalid": {
        "failure": "frames without a valid truth fail in the precision plot",
        "success": "frames without a valid truth pass in the precision plot",
    },
    "centre_if_absent": {
        "failure": "frames flagged as absent fail in the precision plot",
        "success": "frames flagged as absent pass in the precision plot",
    },
    "normalised_if_invalid": {
        "failure": "frames without a valid truth fail in the normalised precision plot",
        "success": "frames without a valid truth pass in the normalised precision plot",
    },
    "normalised_if_absent": {
        "failure": "frames flagged as absent fail in the normalised precision plot",
        "success": "frames flagged as absent pass in the normalised precision plot",
    },
    "overlap_rule": {
        ">": "an overlap passes above the threshold, not at it",
        ">=": "an overlap passes at the threshold",
    },
    "speed": {
        "overall": "FPS: frames of all sequences over their seconds, without the initialisations",
        "sequences": "FPS: mean over sequences of the mean of 1/seconds over their frames, initialisation included",
        "frames": "FPS: mean of 1/seconds over the frames of all sequences, initialisations included",
    },
}

POOLING_WORDS = {
    "sequences": "mean over sequences",
    "frames": "mean over all frames of all sequences",
    "classes": "mean over object classes of the mean over their sequences",
}


def explain(chosen: Dialect) -> list[str]:
    """Return every convention of the dialect in words, one per line."""
    said = [WORDS[f.name][getattr(chosen, f.name)] for f in fields(chosen) if f.name in WORDS]
    limits = [
        _explain_thresholds("overlap", chosen.overlap_thresholds, ""),
        _explain_thresholds("centre error", chosen.centre_thresholds, " px, passing at the threshold"),
        _explain_thresholds("normalised error", chosen.normalised_thresholds, ", passing at the threshold"),
    ]
    if chosen.smallest_true_size:
        limits.append(f"true sizes count as at least {chosen.smallest_true_size:g} px in normalised errors")
    measured = [
        f"{measure.label}: {_explain_reading(measure, chosen)}, {POOLING_WORDS[measure.pooling]}"
        for measure in chosen.measures
    ]
    return [f"{chosen.name}: {chosen.source}", *said, *limits, *measured]


def _explain_thresholds(what: str, values: Thresholds, unit: str) -> str:
    return f"{what}: {len(values)} thresholds from {values[0]:g} to {values[-1]:g}{unit}"


def _explain_reading(measure: Measure, chosen: Dialect) -> str:
    if measure.curve == "overlap":
        return "mean overlap of the valid frames"
    if measure.curve == "covered":
        return "share of frames with a predicted box"
    thresholds = chosen.thresholds(measure.curve)
    return {
        "mean": f"mean of the {len(thresholds)} values of the {measure.curve} curve",
        "area": f"area under the {measure.curve} curve by trapezoids, thresholds scaled to [0, 1]",
        "at": f"the {measure.curve} curve at {thresholds[min(measure.index, len(thresholds) - 1)]:g}",
    }[measure.reading]

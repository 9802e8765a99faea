"""Outputs as `supervision.Detections` and back (optional: `pip install "starktrack[supervision]"`)."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from starktrack.arrays import Box
from starktrack.data.track_output import TrackedFrame, TrackOutput
from starktrack.errors import InputError, MissingExtraError
from starktrack.geometry.boxes import xyxy_to_xywh

if TYPE_CHECKING:
    from supervision import Detections


def to_detections(
    outputs: TrackedFrame | TrackOutput | Mapping[int, TrackOutput] | Iterable[TrackOutput],
) -> "Detections":
    """Return the targets of one frame as `supervision.Detections`, for its annotators, zones and exports.

    Convention: `tracker_id` is the target id; `class_id` is 0, for a tracker knows no classes and annotators want
    one; `data` holds the `state` of each target, empty where there is none. A box that was given has confidence 1.
    Without any score there is no confidence, without outlines there are no masks.

    Raises:
        MissingExtraError: `supervision` is not installed.
        InputError: Some targets have an outline and others have none.

    Example:
        >>> import starktrack
        >>> output = starktrack.TrackOutput(target_id=7, box_xywh=np.array([10.0, 20.0, 30.0, 40.0]), score=0.9)
        >>> detections = starktrack.to_detections(output)
        >>> detections.xyxy.tolist(), detections.tracker_id.tolist()
        ([[10.0, 20.0, 40.0, 60.0]], [7])
        >>> starktrack.from_detections(detections)
        {7: array([10., 20., 30., 40.])}
    """
    try:
        from supervision import Detections
    except ImportError as error:
        raise MissingExtraError("supervision", "supervision", "the conversion to detections") from error
    if isinstance(outputs, TrackedFrame):
        outputs = outputs.outputs
    if isinstance(outputs, TrackOutput):
        outputs = [outputs]
    found = list(outputs.values() if isinstance(outputs, Mapping) else outputs)
    if not found:
        return Detections.empty()
    masks = [output.mask for output in found if output.mask is not None]
    if masks and len(masks) != len(found):
        raise InputError(
            f"either all targets of a frame have an outline or none, got {len(masks)} of {len(found)}; "
            "convert them apart"
        )
    scores = [output.score for output in found]
    has_scores = any(score is not None for score in scores)
    return Detections(
        xyxy=np.stack([output.box_xyxy for output in found]),
        mask=np.stack(masks) if masks else None,
        confidence=np.array([1.0 if score is None else score for score in scores]) if has_scores else None,
        class_id=np.zeros(len(found), int),
        tracker_id=np.array([output.target_id for output in found]),
        data={"state": np.array([output.state or "" for output in found], dtype=str)},
    )


def from_detections(detections: "Detections | Any") -> dict[int, Box]:
    """Return boxes by target id, as `Tracker.start(boxes_xywh=...)` and `track` take them.

    The ids are those in `tracker_id`; without them the boxes are counted from 0.

    Raises:
        InputError: No `supervision.Detections`, or two boxes have one id.

    Example:
        >>> import starktrack, supervision
        >>> starktrack.from_detections(supervision.Detections(xyxy=np.array([[1.0, 2.0, 4.0, 8.0]])))
        {0: array([1., 2., 3., 6.])}
    """
    boxes, ids = getattr(detections, "xyxy", None), getattr(detections, "tracker_id", None)
    if boxes is None:
        raise InputError(f"detections must be supervision.Detections, got {type(detections).__name__}")
    ids = range(len(boxes)) if ids is None else [int(each) for each in ids]
    found = dict(zip(ids, xyxy_to_xywh(np.asarray(boxes, np.float64)), strict=True))
    if len(found) != len(boxes):
        raise InputError(f"each box needs a tracker_id of its own, got {list(ids)}; leave tracker_id out")
    return found

"""Tracks as `supervision` has them: one `Detections` a frame, with `tracker_id` and, where there are any, masks.

Source: https://supervision.roboflow.com/latest/detection/core
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from starktrack.errors import AnnotationError, require_extra
from starktrack.interchange.building import TrackBuilder, rectangle
from starktrack.interchange.tracks import Mask, Observation, Shape, VideoTracks

if TYPE_CHECKING:
    import supervision


def to_detections(video: VideoTracks) -> "dict[int, supervision.Detections]":
    """Return the targets of each frame that holds any.

    A detection has the upright box, `tracker_id` and a class number, its name in `data["class_name"]`; its
    confidence is NaN where there is no score. Masks are given where every target of the frame has one.

    Raises:
        MissingExtraError: `supervision` is not installed.
        AnnotationError: There are masks, and the size of the frames is not known.

    Example:
        >>> from starktrack.interchange import Track
        >>> video = VideoTracks((Track(7, "duck", (Observation(3, rectangle(10, 20, 30, 40)),)),))
        >>> found = to_detections(video)
        >>> list(found), found[3].xyxy.tolist(), found[3].tracker_id.tolist()
        ([3], [[10.0, 20.0, 40.0, 60.0]], [7])
    """
    require_extra("supervision", "conversion to detections", "supervision")
    import supervision

    labels, detections = video.labels, {}
    for frame, targets in video.by_frame():
        boxes = np.array([seen.box_xywh for _, seen in targets])
        scores = [np.nan if seen.score is None else seen.score for _, seen in targets]
        shapes = [seen.shape for _, seen in targets]
        masks = [shape.pixels(_size(video)) for shape in shapes if isinstance(shape, Mask)]
        detections[frame] = supervision.Detections(
            xyxy=np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
            mask=np.stack(masks) if len(masks) == len(targets) else None,
            confidence=np.array(scores) if not np.isnan(scores).all() else None,
            class_id=np.array([labels.index(track.label) for track, _ in targets]),
            tracker_id=np.array([track.id for track, _ in targets]),
            data={"class_name": np.array([track.label for track, _ in targets])},
        )
    return detections


def from_detections(frames: "Iterable[tuple[int, supervision.Detections]]") -> VideoTracks:
    """Return the tracks of frames (counted from 0) with their detections.

    Raises:
        AnnotationError: Detections without `tracker_id`.

    Example:
        >>> import supervision
        >>> found = supervision.Detections(np.array([[10.0, 20.0, 40.0, 60.0]]), tracker_id=np.array([7]))
        >>> from_detections([(3, found)]).starts()
        {3: {7: (10.0, 20.0, 30.0, 40.0)}}
    """
    builder = TrackBuilder()
    for frame, found in frames:
        if found.tracker_id is None:
            raise AnnotationError(
                f"detections must have a tracker_id, got none in frame {frame}; let a tracker number them first"
            )
        names = found.data.get("class_name")
        for index, (left, top, right, bottom) in enumerate(np.asarray(found.xyxy, float).tolist()):
            mask = None if found.mask is None else Mask.of_pixels(np.asarray(found.mask[index], bool))
            shape: Shape = mask or rectangle(left, top, right - left, bottom - top)
            score = None if found.confidence is None else float(found.confidence[index])
            seen = Observation(frame, shape, score=None if score is None or np.isnan(score) else score)
            label = "" if names is None else str(names[index])
            builder.add(int(found.tracker_id[index]), seen, f"detections of frame {frame}", label)
    return builder.build()


def _size(video: VideoTracks) -> tuple[int, int]:
    if video.size_hw is None:
        raise AnnotationError(
            "masks of detections are as large as the frames, so their size must be known, got none"
        )
    return video.size_hw

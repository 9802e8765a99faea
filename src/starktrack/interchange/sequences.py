"""Tracks and the data model of training and evaluation: one `VideoSequence` for each target."""

from collections.abc import Sequence

import numpy as np

from starktrack.data.video_sequence import FrameSource, OtherTarget, VideoSequence
from starktrack.errors import AnnotationError
from starktrack.interchange.building import TrackBuilder, rectangle
from starktrack.interchange.tracks import Observation, VideoTracks


def to_sequences(video: VideoTracks, frames: FrameSource, name: str = "") -> list[VideoSequence]:
    """Return a sequence `NAME_ID` for each target, over all frames of the video.

    A target is visible where it has a box. All sequences share their origin, so that none is taken for an
    absence of another's target.

    Args:
        video: The targets.
        frames: The pictures of the video.
        name: What the video is called; by default the name that the annotations have.

    Raises:
        AnnotationError: The boxes go on after the last frame.

    Example:
        >>> from starktrack.data.video.random_access import RandomFrames
        >>> from starktrack.interchange import Track
        >>> video = VideoTracks((Track(7, "dog", (Observation(1, rectangle(10, 20, 30, 40)),)),), "park")
        >>> [sequence] = to_sequences(video, RandomFrames("dog.mp4"))
        >>> sequence.name, sequence.visible.tolist()
        ('park_7', [False, True, False])
    """
    name = name or video.name
    if video.length > len(frames):
        raise AnnotationError(
            f"tracks must end with their video, got a length of {video.length} and {len(frames)} frames"
        )
    targets = []
    for track in video.tracks:
        boxes = np.full((len(frames), 4), np.nan)
        for seen in track.observations:
            boxes[seen.frame] = seen.box_xywh
        targets.append(OtherTarget(boxes, np.isfinite(boxes[:, 0]), track.label or None))
    return [
        VideoSequence(
            f"{name}_{track.id}",
            frames,
            own.boxes_xywh,
            own.visible,
            object_class=own.object_class,
            videos=frozenset({name}),
            others=tuple(other for other in targets if other is not own),
        )
        for track, own in zip(video.tracks, targets, strict=True)
    ]


def from_sequences(sequences: Sequence[VideoSequence]) -> VideoTracks:
    """Return the targets of sequences of one video, numbered in their order.

    Raises:
        AnnotationError: They differ in length.

    Example:
        >>> from starktrack.data.video.random_access import RandomFrames
        >>> boxes, visible = np.array([[10.0, 20.0, 30.0, 40.0]]), np.array([True])
        >>> from_sequences([VideoSequence("dog", RandomFrames("dog.mp4"), boxes, visible)]).starts()
        {0: {0: (10.0, 20.0, 30.0, 40.0)}}
    """
    lengths = {len(sequence) for sequence in sequences}
    if len(lengths) > 1:
        raise AnnotationError(
            f"sequences of one video must have one length, got {', '.join(map(str, sorted(lengths)))}"
        )
    builder = TrackBuilder()
    for number, sequence in enumerate(sequences):
        label = sequence.object_class or ""
        builder.target(number, label)
        for frame in np.flatnonzero(sequence.visible).tolist():
            seen = Observation(frame, rectangle(*sequence.boxes_xywh[frame].tolist()))
            builder.add(number, seen, sequence.name, label)
    return builder.build(num_frames=max(lengths, default=None))

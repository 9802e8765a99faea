"""A tracker meets a video."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from starktrack.data.frames import Frame
from starktrack.tracking.tracker import Tracker, TrackOutput


def track_frames(
    tracker: Tracker, frames: Iterable[Frame], boxes_xywh: Sequence[Any]
) -> Iterator[tuple[Frame, dict[int, TrackOutput]]]:
    """Yield every frame with the outputs of all targets, by id.

    The first frame comes with the boxes that were given, without scores. One frame is held at a time.

    Args:
        boxes_xywh: The targets' boxes on the first frame, pixels.

    Raises:
        BoxError: A box cannot be tracked on the first frame.
        VideoBrokenError: The frames broke off; all before were yielded.
    """
    stream = iter(frames)
    first = next(stream, None)
    if first is None:
        return
    tracker.start(first.image, boxes_xywh=boxes_xywh)
    yield first, tracker.first_outputs(first.image)
    for frame in stream:
        yield frame, tracker.update_all(frame.image)

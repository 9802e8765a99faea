"""The targets that begin and end in each frame, from the forms that users may pass."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from starktrack.errors import BoxError, InputError

Change: TypeAlias = tuple[int | None, Mapping[int, Any]]
"""Frame index, None for the first frame whatever its index is; target id to box, or to None to remove it."""


class TargetChanges:
    """Changes of targets in the order of frames; each is returned once."""

    def __init__(self, changes: Iterator[Change]) -> None:
        self._changes = changes
        self._next = self._pull()
        self._frame_index: int | None = None

    def at(self, frame_index: int) -> dict[int, Any]:
        """Return what changes in a frame: target id to box, or to None for a target that ends.

        Changes of frames that were dropped since the frame before this one are of this one.

        Raises:
            InputError: A change is of an earlier frame.
        """
        changed: dict[int, Any] = {}
        while self._next is not None:
            index, boxes = self._next
            if index is not None and index > frame_index:
                break
            was_seen = self._frame_index is None or (index is not None and index <= self._frame_index)
            if index is not None and index < frame_index and was_seen:
                raise InputError(
                    f"changes of targets must come in the order of frames, got one of frame {index} "
                    f"at frame {frame_index}; sort them, and begin no earlier than the video does"
                )
            changed |= boxes
            self._next = self._pull()
        self._frame_index = frame_index
        return changed

    def check_all_used(self, last_index: int) -> None:
        """Check that no change is left after the last frame.

        Raises:
            InputError: There is one.
        """
        if self._next is not None and self._next[0] is not None:
            raise InputError(
                f"changes of targets must lie within the video, got one of frame {self._next[0]} "
                f"after the last frame {last_index}"
            )

    def _pull(self) -> Change | None:
        change = next(self._changes, None)
        if change is None:
            return None
        try:
            index, boxes = change
            if index is not None and (isinstance(index, bool) or int(index) != index):
                raise ValueError
            return index, dict(boxes)
        except (TypeError, ValueError):
            raise InputError(
                f"a change of targets must be (frame_index, {{target_id: box or None}}), got {change!r:.80}"
            ) from None


def changes_of(boxes: Any) -> TargetChanges:
    """Return the changes that boxes of any accepted form describe.

    Args:
        boxes: One box, several boxes, a mapping from target id to box, or an iterator of changes.

    Raises:
        BoxError: No boxes.
        InputError: The first change of an iterator is malformed.
    """
    if isinstance(boxes, Iterator):
        return TargetChanges(boxes)
    return TargetChanges(iter([(None, _by_id(boxes))]))


def _by_id(boxes: Any) -> Mapping[int, Any]:
    if isinstance(boxes, Mapping):
        several = dict(boxes)
    elif isinstance(boxes, str) or not hasattr(boxes, "__len__") or not len(boxes):
        several = {}
    elif np.ndim(boxes[0]) == 0:
        return {0: boxes}
    else:
        several = dict(enumerate(boxes))
    if not several:
        raise BoxError(
            "targets must be one box x,y,w,h, a list of boxes, a mapping from id to box, or an iterator of "
            f"(frame_index, {{id: box}}), got {boxes!r:.80}"
        )
    return several

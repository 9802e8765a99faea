"""The annotations of one video during editing: targets, their boxes frame by frame, and undo.

Convention: frames count from 0. Boxes are xywh in image pixels. Every change makes a new `Target`, so that the one
before it can be kept for undo without a copy of its arrays.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

from starktrack.errors import InputError
from starktrack.geometry.boxes import check_box
from starktrack.tracking.overlay import PALETTE

MOST_TARGETS, MOST_NAME = 200, 200

MOST_UNDO, UNDO_BYTES = 200, 128 * 2**20
"""Changes that can be taken back, and the memory that their arrays may take; the latest change always can."""

COLOURS = tuple("#{:02x}{:02x}{:02x}".format(*rgb) for rgb in PALETTE)
"""Colours of new targets, the same as in annotated videos."""


class Kind(IntEnum):
    """Where a box comes from; NONE where the target has none in a frame."""

    NONE = 0
    KEY = 1
    TRACKED = 2
    INTERPOLATED = 3
    ABSENT = 4


class State(IntEnum):
    """What the tracker said; NONE where it said nothing."""

    NONE = 0
    TRACKED = 1
    UNCERTAIN = 2
    LOST = 3


FromPage: TypeAlias = Any
"""A value that a page sent, of any JSON type until it was checked."""


@dataclass(frozen=True, eq=False)
class Target:
    """One target through the video.

    Attributes:
        id: Unique in the project, never used again.
        name: What a person calls it.
        colour: `#rrggbb`.
        boxes_xywh: A row a frame; NaN where there is no box.
        scores: NaN where there is none.
        kinds: A `Kind` a frame.
        states: A `State` a frame.
    """

    id: int
    name: str
    colour: str
    boxes_xywh: Float[np.ndarray, "frames 4"]
    scores: Float[np.ndarray, " frames"]
    kinds: UInt8[np.ndarray, " frames"]
    states: UInt8[np.ndarray, " frames"]

    @classmethod
    def empty(cls, target_id: int, name: str, colour: str, num_frames: int) -> "Target":
        """Return a target without a box."""
        return cls(
            target_id,
            name,
            colour,
            np.full((num_frames, 4), np.nan, np.float32),
            np.full(num_frames, np.nan, np.float32),
            np.zeros(num_frames, np.uint8),
            np.zeros(num_frames, np.uint8),
        )

    @property
    def num_bytes(self) -> int:
        """Return how much memory its arrays take."""
        return self.boxes_xywh.nbytes + self.scores.nbytes + self.kinds.nbytes + self.states.nbytes

    def copy(self) -> "Target":
        """Return a target of the same content with arrays of its own."""
        arrays = (self.boxes_xywh, self.scores, self.kinds, self.states)
        return Target(self.id, self.name, self.colour, *(array.copy() for array in arrays))

    def put(
        self, frame: int, kind: Kind, box_xywh: Any = None, score: float = np.nan, state: State = State.NONE
    ) -> None:
        """Write one frame, in place."""
        self.boxes_xywh[frame] = np.nan if box_xywh is None else box_xywh
        self.scores[frame] = score
        self.states[frame] = state
        self.kinds[frame] = kind  # last: another thread that finds it finds the rest too

    def clear(self, frames: slice) -> None:
        """Take every box of these frames away, in place."""
        self.boxes_xywh[frames] = np.nan
        self.scores[frames] = np.nan
        self.kinds[frames] = Kind.NONE
        self.states[frames] = State.NONE

    def has_box(self, frame: int) -> bool:
        """Return whether there is a box in a frame; also False outside the video."""
        return 0 <= frame < len(self.kinds) and not np.isnan(self.boxes_xywh[frame, 0])

    def reference_frame(self, frame: int) -> int:
        """Return the frame of the key box that best shows the target: the latest up to `frame`, else the first.

        Raises:
            InputError: There is no box at all.
        """
        boxes = np.flatnonzero(~np.isnan(self.boxes_xywh[:, 0]))
        if not len(boxes):
            raise InputError(f"{self.name} must have a box, got none; draw one")
        keys = boxes[self.kinds[boxes] == Kind.KEY]
        chosen = keys if len(keys) else boxes
        return int(chosen[max(0, int(np.searchsorted(chosen, frame, side="right")) - 1)])

    def keys(self) -> list[int]:
        """Return the frames with a box, or an absence, that a person set."""
        return np.flatnonzero((self.kinds == Kind.KEY) | (self.kinds == Kind.ABSENT)).tolist()


class Project:
    """All that is known of one video, changed by operations that can be undone.

    Args:
        video: Name of the video, as stored in the file.
        size_hw: Of its frames.
        num_frames: How many it has.
    """

    def __init__(self, video: str, size_hw: tuple[int, int], num_frames: int) -> None:
        self.video, self.size_hw, self.num_frames = video, size_hw, num_frames
        self.targets: dict[int, Target] = {}
        self.revision = 0
        self._next_id = 0
        self._undo: list[dict[int, Target]] = []
        self._costs: list[int] = []
        self._redo: list[dict[int, Target]] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to make again."""
        return bool(self._redo)

    def add_target(
        self, frame: FromPage, box_xywh: FromPage, name: FromPage = "", colour: FromPage = ""
    ) -> int:
        """Add a target with a key box; return its id."""
        if len(self.targets) >= MOST_TARGETS:
            raise InputError(f"a project may hold {MOST_TARGETS} targets, got one more; delete some")
        frame, box = self._frame(frame), self._box(box_xywh)
        target_id = self._next_id
        target = Target.empty(
            target_id,
            clean_name(name) or f"target {target_id + 1}",
            clean_colour(colour or COLOURS[target_id % len(COLOURS)]),
            self.num_frames,
        )
        target.put(frame, Kind.KEY, box)
        self._next_id += 1
        self._change({**self.targets, target_id: target})
        return target_id

    def set_box(self, target: FromPage, frame: FromPage, box_xywh: FromPage) -> None:
        """Put a key box; all other frames stay as they are."""
        place, box = self._frame(frame), self._box(box_xywh)
        self._edit(target, lambda changed: changed.put(place, Kind.KEY, box))

    def mark_absent(self, target: FromPage, frame: FromPage) -> None:
        """Say that the target cannot be seen in a frame."""
        place = self._frame(frame)
        self._edit(target, lambda changed: changed.put(place, Kind.ABSENT))

    def clear(self, target: FromPage, first: FromPage, last: FromPage) -> None:
        """Take the boxes of a range away, key boxes too."""
        frames = self._range(first, last)
        self._edit(target, lambda changed: changed.clear(frames))

    def accept(self, target: FromPage, first: FromPage, last: FromPage) -> None:
        """Make the tracked and interpolated boxes of a range key boxes, which no tracking changes."""
        frames = self._range(first, last)

        def settle(changed: Target) -> None:
            kinds = changed.kinds[frames]
            kinds[(kinds == Kind.TRACKED) | (kinds == Kind.INTERPOLATED)] = Kind.KEY

        self._edit(target, settle)

    def interpolate(self, target: FromPage, first: FromPage, last: FromPage) -> None:
        """Fill the frames between two boxes linearly.

        Raises:
            InputError: There is no box in the first or in the last of them.
        """
        frames = self._range(first, last)
        start, end = frames.start, frames.stop - 1
        held = self.target(target)
        for frame in (start, end):
            if np.isnan(held.boxes_xywh[frame, 0]):
                raise InputError(
                    f"interpolation goes from a box to a box, got none in frame {frame}; draw one"
                )

        def fill(changed: Target) -> None:
            for frame in range(start + 1, end):
                share = (frame - start) / (end - start)
                box = (1 - share) * held.boxes_xywh[start] + share * held.boxes_xywh[end]
                changed.put(frame, Kind.INTERPOLATED, box)

        self._edit(target, fill)

    def rename(self, target: FromPage, name: FromPage, colour: FromPage = "") -> None:
        """Give a target another name or colour."""
        held = self.target(target)
        new = replace(held, name=clean_name(name) or held.name, colour=clean_colour(colour or held.colour))
        self._change({**self.targets, target: new})

    def delete_target(self, target: FromPage) -> None:
        """Remove a target."""
        self.target(target)
        self._change({key: value for key, value in self.targets.items() if key != target})

    def split(self, target: FromPage, frame: FromPage) -> int:
        """Cut a target in two before a frame; return the id of the second part."""
        held, place = self.target(target), self._frame(frame)
        if len(self.targets) >= MOST_TARGETS:
            raise InputError(f"a project may hold {MOST_TARGETS} targets, got one more; delete some")
        first, second = held.copy(), held.copy()
        first.clear(slice(place, None))
        second.clear(slice(0, place))
        if not first.kinds.any() or not second.kinds.any():
            raise InputError(
                f"both parts must have boxes, got none on one side of frame {frame}; cut elsewhere"
            )
        new_id, self._next_id = self._next_id, self._next_id + 1
        part = replace(
            second, id=new_id, name=f"{held.name} ({new_id + 1})", colour=COLOURS[new_id % len(COLOURS)]
        )
        self._change({**self.targets, target: first, new_id: part})
        return new_id

    def join(self, target: FromPage, other: FromPage) -> None:
        """Move the boxes of another target into this one; where both have one, key boxes and then this one's stay."""
        held, taken = self.target(target), self.target(other)
        if target == other:
            raise InputError(f"two targets can be joined, got target {target} twice; choose another")
        joined = held.copy()
        set_by_person = (taken.kinds == Kind.KEY) | (taken.kinds == Kind.ABSENT)
        own = (held.kinds == Kind.KEY) | (held.kinds == Kind.ABSENT)
        moved = (taken.kinds != Kind.NONE) & ((held.kinds == Kind.NONE) | (set_by_person & ~own))
        for name in ("boxes_xywh", "scores", "kinds", "states"):
            getattr(joined, name)[moved] = getattr(taken, name)[moved]
        self._change(
            {key: joined if key == target else held for key, held in self.targets.items() if key != other}
        )

    def add_all(self, targets: Sequence[Target]) -> None:
        """Add targets, those of a file say, under new ids.

        Raises:
            InputError: There would be too many.
        """
        if len(self.targets) + len(targets) > MOST_TARGETS:
            raise InputError(
                f"a project may hold {MOST_TARGETS} targets, got {len(self.targets) + len(targets)}; delete some"
            )
        numbered = (replace(target, id=self._next_id + number) for number, target in enumerate(targets))
        new = {target.id: target for target in numbered}
        self._next_id += len(new)
        self._change({**self.targets, **new})

    def restore(self, targets: Iterable[Target], next_id: int) -> None:
        """Take the targets of a file, with nothing to undo; ids below `next_id` are not used again."""
        self.targets = {target.id: target for target in targets}
        self._next_id = max([next_id, *(target_id + 1 for target_id in self.targets)])

    def snapshot(self) -> "Project":
        """Return a project with the targets of now, for another thread to read; it shares their arrays."""
        taken = Project(self.video, self.size_hw, self.num_frames)
        taken.restore(self.targets.values(), self._next_id)
        return taken

    def next_id(self) -> int:
        """Return an id that no target has or had."""
        return self._next_id

    def begin_tracking(self, targets: Sequence[int]) -> dict[int, Target]:
        """Return copies of these targets that a tracker may write into; the change can be undone as one."""
        copies = {target: self.target(target).copy() for target in targets}
        self._change({**self.targets, **copies})
        return copies

    def undo(self) -> None:
        """Take the latest change back."""
        if self._undo:
            self._redo.append(self.targets)
            self._costs.pop()
            self.targets = self._undo.pop()
            self.revision += 1

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        if self._redo:
            self._undo.append(self.targets)
            self._costs.append(0)
            self.targets = self._redo.pop()
            self.revision += 1

    def doubtful(self, after: int, threshold: float = 0.5) -> tuple[int, int] | None:
        """Return (target, frame) of the next frame in which a tracker was not sure; None where there is none."""
        best: tuple[int, int] | None = None
        for target in self.targets.values():
            low = (target.kinds == Kind.TRACKED) & (
                (target.states >= State.UNCERTAIN)
                | ((target.states == State.NONE) & (target.scores < threshold))
            )
            frames = np.flatnonzero(low[after + 1 :])
            if len(frames) and (best is None or frames[0] + after + 1 < best[1]):
                best = (target.id, int(frames[0]) + after + 1)
        return best

    def _edit(self, target: FromPage, change: Callable[[Target], None]) -> None:
        changed = self.target(target).copy()
        change(changed)
        self._change({**self.targets, target: changed})

    def _change(self, targets: dict[int, Target]) -> None:
        self._undo.append(self.targets)
        self._costs.append(
            sum(old.num_bytes for old in self.targets.values() if old is not targets.get(old.id))
        )
        while len(self._undo) > 1 and (len(self._undo) > MOST_UNDO or sum(self._costs) > UNDO_BYTES):
            del self._undo[0], self._costs[0]
        self._redo = []
        self.targets = targets
        self.revision += 1

    def target(self, target: FromPage) -> Target:
        """Return a target; InputError where there is none of this id."""
        if not isinstance(target, int) or isinstance(target, bool) or target not in self.targets:
            raise InputError(f"a target must be one of {list(self.targets)}, got {target!r}")
        return self.targets[target]

    def _frame(self, frame: FromPage) -> int:
        if not isinstance(frame, int) or isinstance(frame, bool) or not 0 <= frame < self.num_frames:
            raise InputError(f"a frame must be from 0 to {self.num_frames - 1}, got {frame!r}")
        return frame

    def _range(self, first: FromPage, last: FromPage) -> slice:
        start, end = self._frame(first), self._frame(last)
        if end < start:
            raise InputError(f"a range must end where it starts or later, got {start} to {end}")
        return slice(start, end + 1)

    def _box(self, box_xywh: FromPage) -> np.ndarray:
        return check_box(box_xywh, self.size_hw).astype(np.float32)


def clean_name(name: FromPage) -> str:
    """Return a target's name on one line; InputError where it is no text, or too long."""
    if not isinstance(name, str) or len(name) > MOST_NAME:
        raise InputError(f"a name must be a text of at most {MOST_NAME} characters, got {str(name)[:40]!r}")
    return " ".join(name.split())


def clean_colour(colour: FromPage) -> str:
    """Return a colour as `#rrggbb` in small letters; InputError where it is none."""
    digits = colour[1:] if isinstance(colour, str) else ""
    if (
        len(digits) != 6
        or not colour.startswith("#")
        or not all(c in "0123456789abcdefABCDEF" for c in digits)
    ):
        raise InputError(f"a colour must be #rrggbb, got {str(colour)[:40]!r}")
    return colour.lower()


def frames_of(target: Target) -> Iterator[int]:
    """Yield the frames in which a target has a box."""
    yield from np.flatnonzero(~np.isnan(target.boxes_xywh[:, 0])).tolist()

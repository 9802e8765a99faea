"""Rows of a target in a range of frames as bytes, for the page and for files.

Convention: only frames with a box or an absence have a row. The columns follow each other, little-endian: boxes as
xywh and scores in 4-byte floats, the frame's number after the first of the range in 4 bytes, kind and state in one
byte each. The last byte is padded so that the next block starts at a multiple of four.
"""

import json
from collections.abc import Iterable, Mapping

import numpy as np

from starktrack.studio.project import Kind, State, Target

ROW_BYTES = 26
_FARTHEST = 1e9
"""Boxes beyond this many pixels are no boxes of a picture."""


def encode_rows(target: Target, first: int, last: int) -> bytes:
    """Return the rows of the frames `first` to `last`; a tracker may write into the target meanwhile."""
    kinds = target.kinds[first : last + 1].copy()  # NumPy refuses to count what another thread changes
    frames = np.flatnonzero(kinds)
    held = frames + first
    return b"".join(
        (
            target.boxes_xywh[held].astype("<f4").tobytes(),
            target.scores[held].astype("<f4").tobytes(),
            frames.astype("<u4").tobytes(),
            kinds[frames].tobytes(),
            target.states[held].tobytes(),
        )
    )


def decode_rows(target: Target, first: int, last: int, content: bytes) -> None:
    """Replace what a target has in the frames `first` to `last`, in place.

    Raises:
        ValueError: The content is damaged; the target is unchanged.
    """
    num_rows, rest = divmod(len(content), ROW_BYTES)
    if rest or not 0 <= first <= last < len(target.kinds):
        raise ValueError(f"rows of the frames {first} to {last} must have {ROW_BYTES} bytes each")
    ends = np.cumsum([16 * num_rows, 4 * num_rows, 4 * num_rows, num_rows])
    boxes, scores, frames, kinds, states = (
        np.frombuffer(part, kind)
        for part, kind in zip(
            (content[start:end] for start, end in zip([0, *ends], [*ends, None], strict=True)),
            ("<f4", "<f4", "<u4", "u1", "u1"),
            strict=True,
        )
    )
    boxes = boxes.reshape(-1, 4)
    has_box = kinds != Kind.ABSENT
    is_good = (
        (frames <= last - first).all()
        and (np.diff(frames.astype(np.int64)) > 0).all()
        and ((kinds >= 1) & (kinds <= max(Kind))).all()
        and (states <= max(State)).all()
        and (np.isnan(scores) | (np.abs(scores) < _FARTHEST)).all()
        and (np.abs(boxes[has_box]) < _FARTHEST).all()
        and (boxes[has_box, 2:] > 0).all()
    )
    if not is_good:
        raise ValueError(f"rows of the frames {first} to {last} must hold boxes of the video")
    target.clear(slice(first, last + 1))
    held = frames.astype(np.int64) + first
    target.boxes_xywh[held] = np.where(has_box[:, None], boxes, np.nan)
    target.scores[held], target.kinds[held], target.states[held] = scores, kinds, states


def changed_frames(before: Target | None, now: Target) -> tuple[int, int] | None:
    """Return the first and last frame in which a target is not what it was; None where there is none."""
    if before is now:
        return None
    if before is None:
        return 0, len(now.kinds) - 1
    differs = (before.kinds != now.kinds) | (before.states != now.states)
    differs |= before.scores.view(np.uint32) != now.scores.view(np.uint32)
    differs |= (before.boxes_xywh.view(np.uint32) != now.boxes_xywh.view(np.uint32)).any(axis=1)
    frames = np.flatnonzero(differs)
    return (int(frames[0]), int(frames[-1])) if len(frames) else None


def rows_message(targets: Mapping[int, Target], blocks: Iterable[tuple[int, int, int]]) -> bytes:
    """Return the message that gives a page the rows of (target, first, last); targets that are gone are left out.

    Convention: the header's length in 4 bytes, the header as JSON (`blocks`: target, first, last, number of rows),
    filled with spaces to a multiple of four, and the blocks.
    """
    listed, parts = [], []
    for target, first, last in blocks:
        if target in targets:
            content = encode_rows(targets[target], first, last)
            listed.append([target, first, last, len(content) // ROW_BYTES])
            parts.append(content + bytes(-len(content) % 4))
    header = json.dumps({"type": "rows", "blocks": listed}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 4)
    return b"".join((len(header).to_bytes(4, "little"), header, *parts))

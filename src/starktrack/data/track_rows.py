"""All outputs of a video in one array: 80 bytes a row, cheap to keep and to send to another process."""

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from starktrack.data.track_output import TargetState, TrackOutput

_STATES = tuple(TargetState)
_NO_STATE = -1
NUM_COLUMNS = 10


@dataclass(frozen=True, eq=False)
class TrackRows:
    """Outputs of any number of targets, without masks.

    Attributes:
        values: A row an output: frame index, target id, seconds (NaN for none), x, y, w, h, score (NaN for none),
            whether this frame became a template, and the position of the state in `TargetState` (-1 for none).

    Example:
        >>> output = TrackOutput(box_xywh=np.array([10.0, 20.0, 30.0, 40.0]), frame_index=3, score=0.9)
        >>> builder = RowsBuilder()
        >>> builder.add(output)
        >>> next(iter(builder.build())) == output
        True
    """

    values: Float[np.ndarray, "num_rows 10"]

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[TrackOutput]:
        """Yield the outputs in the order of the rows."""
        for frame, target, seconds, x, y, w, h, score, updated, state in self.values.tolist():
            yield TrackOutput(
                box_xywh=np.array([x, y, w, h]),
                target_id=int(target),
                frame_index=int(frame),
                seconds=None if math.isnan(seconds) else seconds,
                score=None if math.isnan(score) else score,
                state=None if state == _NO_STATE else _STATES[int(state)],
                template_updated=bool(updated),
            )

    @property
    def boxes_xywh(self) -> Float[np.ndarray, "num_rows 4"]:
        """The boxes, image pixels."""
        return self.values[:, 3:7]

    @property
    def scores(self) -> Float[np.ndarray, " num_rows"]:
        """The scores, NaN where there is none."""
        return self.values[:, 7]

    @property
    def lost_share(self) -> float:
        """Which share of the rows with a state says that the target is lost; NaN where no row has a state."""
        states = self.values[:, 9]
        known = states != _NO_STATE
        return float((states[known] == _STATES.index(TargetState.LOST)).mean()) if known.any() else math.nan

    def by_frame(self) -> "TrackRows":
        """Return the rows in the order of frames, and of target ids within a frame."""
        return TrackRows(self.values[np.lexsort((self.values[:, 1], self.values[:, 0]))])


class RowsBuilder:
    """Rows that are added one by one."""

    def __init__(self) -> None:
        self._values = array("d")

    def add(self, output: TrackOutput) -> None:
        """Add an output."""
        self._values.extend(
            (
                output.frame_index,
                output.target_id,
                math.nan if output.seconds is None else output.seconds,
                *output.box_xywh.tolist(),
                math.nan if output.score is None else output.score,
                output.template_updated,
                _NO_STATE if output.state is None else _STATES.index(output.state),
            )
        )

    def build(self) -> TrackRows:
        """Return all rows that were added."""
        return TrackRows(np.array(self._values, np.float64).reshape(-1, NUM_COLUMNS))

"""The search region of a lost target: around its last sure box, growing. Not in the paper, and off by default. The
paper searches a region of constant factor around the latest box, wherever that has drifted.
"""

from dataclasses import dataclass

import numpy as np

from starktrack.arrays import Box
from starktrack.data.track_output import TargetState
from starktrack.geometry.boxes import cxcywh_to_xywh, xywh_to_cxcywh

RATE = 1.05
"""Growth of the region's side in each frame: twice as wide after 15 frames."""


@dataclass(frozen=True)
class SearchGrowth:
    """The last sure box of a target, and the number of frames since it was lost.

    Attributes:
        seen_xywh: The last box in state `tracked`, at first the one given; image pixels.
        num_lost: Frames in a row in state `lost`.
    """

    seen_xywh: Box
    num_lost: int = 0

    def after(self, box_xywh: Box, state: TargetState) -> "SearchGrowth":
        """Return the record after a frame with this box and this state."""
        if state is TargetState.LOST:
            return SearchGrowth(self.seen_xywh, self.num_lost + 1)
        return SearchGrowth(box_xywh if state is TargetState.TRACKED else self.seen_xywh)

    def around(self, latest_xywh: Box, size_hw: tuple[int, int], limit: float, factor: float) -> Box:
        """Return the box around which the next search region is cut.

        Args:
            latest_xywh: The latest box. It is returned unless the target is lost.
            size_hw: Of the image; the region grows no further than to show all of it.
            limit: How many times wider the region gets at most; 1 turns this off.
            factor: Side of the search region over the square root of the box's area.
        """
        if self.num_lost == 0 or limit == 1:
            return latest_xywh
        seen_cxcywh = xywh_to_cxcywh(self.seen_xywh)
        size_wh = np.array(size_hw[::-1])
        farthest = np.maximum(seen_cxcywh[:2], size_wh - seen_cxcywh[:2]).max()
        shows_all = 2 * float(farthest) / (factor * float(np.sqrt(seen_cxcywh[2:].prod())))
        times = max(1.0, min(RATE**self.num_lost, limit, shows_all))
        return cxcywh_to_xywh(seen_cxcywh * [1, 1, times, times])

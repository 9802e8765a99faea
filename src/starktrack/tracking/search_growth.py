"""Where a lost target is searched: around the place where it was last tracked, in a region that grows.

Ours; off by default. The paper searches the same region around the latest box, wherever that has drifted to.
"""

from dataclasses import dataclass

import numpy as np

from starktrack.arrays import Box
from starktrack.config.schema import Config
from starktrack.geometry.boxes import cxcywh_to_xywh, xywh_to_cxcywh
from starktrack.tracking.presence import TargetState

RATE = 1.05
"""Growth of the region's side in each frame: twice as wide after 15 frames."""


@dataclass(frozen=True)
class SearchGrowth:
    """Where one target was last tracked, and for how many frames it has been lost.

    Attributes:
        seen_xywh: The last box in state `tracked`, at first the one given; image pixels.
        num_lost: Frames in a row in state `lost`.
    """

    seen_xywh: Box
    num_lost: int = 0

    def after(self, box_xywh: Box, state: TargetState) -> "SearchGrowth":
        """Return what is remembered after a frame that gave this box and this state."""
        if state is TargetState.LOST:
            return SearchGrowth(self.seen_xywh, self.num_lost + 1)
        return SearchGrowth(box_xywh if state is TargetState.TRACKED else self.seen_xywh)

    def around(self, latest_xywh: Box, size_hw: tuple[int, int], config: Config) -> Box:
        """Return the box around which the next search region is cut.

        Args:
            latest_xywh: The latest box, which it is but for a lost target.
            size_hw: Of the image; the region grows no further than to show all of it.
            config: Its `tracking.search_growth` bounds how many times wider the region gets; 1 turns this off.
        """
        if self.num_lost == 0 or config.tracking.search_growth == 1:
            return latest_xywh
        seen = xywh_to_cxcywh(self.seen_xywh)
        times = min(
            RATE**self.num_lost, config.tracking.search_growth, _times_to_show_all(seen, size_hw, config)
        )
        return cxcywh_to_xywh(seen * [1, 1, max(1.0, times), max(1.0, times)])


def _times_to_show_all(seen_cxcywh: Box, size_hw: tuple[int, int], config: Config) -> float:
    size_wh = np.array(size_hw[::-1])
    farthest = np.maximum(seen_cxcywh[:2], size_wh - seen_cxcywh[:2]).max()
    return 2 * float(farthest) / (config.model.search.factor * float(np.sqrt(seen_cxcywh[2:].prod())))

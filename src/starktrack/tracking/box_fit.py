"""Fits the network's boxes to the box that was given: what the network would have drawn in the first frame is compared
with what the user drew there, and later boxes are corrected by the difference.

Not in the paper, and off by default (`TrackingConfig.box_fit`). A network draws boxes as the annotators of its training
data did. People box a tower with more air, or a rider without the bicycle, and mostly keep to that for a whole video.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from starktrack.arrays import Box
from starktrack.geometry.boxes import cxcywh_to_xywh, overlap_xywh, xywh_to_cxcywh

MIN_OVERLAP = 0.5
"""Overlap of the network's box in the first frame with the given one below which they are not the same thing."""


@dataclass(frozen=True)
class BoxFit:
    """The correction of one target's boxes.

    It fades as the network's box takes another shape or size than in the first frame, since the target then shows
    another side, and the difference of the first frame says less about it.

    Attributes:
        scale_wh: What width and height are multiplied by where the box is as large as in the first frame.
        shift: How far the centre moves there, in widths and heights of the network's box.
        seen_wh: Width and height of the network's box in the first frame.
    """

    scale_wh: Float[np.ndarray, "2"]
    shift: Float[np.ndarray, "2"]
    seen_wh: Float[np.ndarray, "2"]

    def apply(self, box_xywh: Box) -> Box:
        """Return a box of the network as the user would have drawn it; one without an area stays as it is."""
        x, y, w, h = xywh_to_cxcywh(box_xywh)
        if not min(w, h) > 0:
            return box_xywh
        size = np.array([w, h])
        wider, higher = np.log(size / self.seen_wh)
        share = np.exp(-abs(wider - higher) - abs(wider + higher) / 2)
        return cxcywh_to_xywh(
            np.concatenate([[x, y] + share * self.shift * size, self.scale_wh**share * size])
        )


def fit_boxes(given_xywh: Box, found_xywh: Box, share: float) -> BoxFit | None:
    """Return the correction that makes the network's box in the first frame more like the given one, None if they
    overlap too little to show the same thing.

    Args:
        given_xywh: The box that was given; image pixels.
        found_xywh: The network's box in the same frame, searched around the given one.
        share: Share of the difference that is corrected, 0 to 1; sizes are compared by their ratio.

    Example:
        >>> import numpy as np
        >>> fit = fit_boxes(np.array([10.0, 10, 20, 40]), np.array([5.0, 10, 30, 40]), 1.0)
        >>> fit.apply(np.array([30.0, 20, 30, 40]))
        array([35., 20., 20., 40.])
    """
    overlap = overlap_xywh(given_xywh[None], found_xywh[None])[0]
    if not overlap >= MIN_OVERLAP:  # also where the network's answer is not finite
        return None
    given, found = xywh_to_cxcywh(given_xywh), xywh_to_cxcywh(found_xywh)
    return BoxFit((given[2:] / found[2:]) ** share, share * (given[:2] - found[:2]) / found[2:], found[2:])

"""Sequences that are made up of boxes, for what scores them."""

import numpy as np

from starktrack.data.sources.frames_on_disk import MissingFrames
from starktrack.data.sources.tables import has_area
from starktrack.data.sources.vot import region_box
from starktrack.data.video_sequence import BenchmarkInfo, VideoSequence


def sequence(name, boxes_xywh, visible=None, object_class=None, **info):
    """Return a sequence without pictures; `visible` is False in frames that are flagged as absent."""
    return VideoSequence(
        name,
        MissingFrames(name, len(boxes_xywh)),
        boxes_xywh,
        has_area(boxes_xywh),
        object_class,
        flagged_absent=None if visible is None else ~visible,
        benchmark=BenchmarkInfo(**info),
    )


def vot_sequence(name, size_wh, regions, anchors, tags):
    """Return a sequence of a VOT workspace."""
    boxes = np.array([region_box(region) for region in regions])
    return sequence(name, boxes, resolution_wh=size_wh, regions=regions, anchors=anchors, tags=tags)

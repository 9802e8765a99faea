"""What a tracker reports: values, equality, what is printed."""

import json
from dataclasses import replace

import numpy as np
import pytest

from starktrack.data.frames import Frame
from starktrack.data.track_output import TargetState, TrackedFrame, TrackOutput
from starktrack.errors import InputError


def output(**changes):
    box, mask = np.array([10.0, 20.0, 30.0, 40.0]), np.eye(4, 6, dtype=bool)
    given = {"target_id": 2, "frame_index": 7, "seconds": 0.28, "score": 0.9, "state": TargetState.TRACKED}
    return TrackOutput(**{"box_xywh": box, "mask": mask, **given, **changes})


def test_corners_are_those_of_the_box():
    assert output().box_xyxy.tolist() == [10.0, 20.0, 40.0, 60.0]


def test_outputs_are_equal_if_all_values_are_arrays_included():
    assert output() == output()
    changes = [
        {"box_xywh": np.array([10.0, 20.0, 30.0, 41.0])},
        {"mask": np.zeros((4, 6), bool)},
        {"mask": None},
        {"target_id": 3},
        {"frame_index": 8},
        {"seconds": None},
        {"score": 0.8},
        {"state": TargetState.LOST},
        {"template_updated": True},
    ]
    for change in changes:
        assert output() != output(**change), change
    assert output() != "output"


def test_a_changed_copy_is_made_by_replace():
    assert replace(output(), score=None).score is None


def test_the_dictionary_is_json():
    assert json.loads(json.dumps(output().to_dict())) == {
        "box_xywh": [10.0, 20.0, 30.0, 40.0],
        "target_id": 2,
        "frame_index": 7,
        "seconds": 0.28,
        "score": 0.9,
        "state": "tracked",
        "template_updated": False,
    }


def test_what_is_printed_is_one_line_with_the_size_of_the_mask():
    assert repr(output(box_xywh=np.array([1 / 3, 2, 3, 4]))) == (
        "TrackOutput(box_xywh=[0.33, 2.0, 3.0, 4.0], target_id=2, frame_index=7, seconds=0.28, score=0.9, "
        "state='tracked', template_updated=False, mask='4 of 6 x 4 pixels')"
    )
    assert "mask" not in repr(output(mask=None))


def test_a_frame_gives_its_one_output_or_says_that_there_are_several():
    frame = Frame(np.zeros((4, 6, 3), np.uint8), 7, 0.28)
    tracked = TrackedFrame(frame, {2: output()})
    assert (tracked.output, tracked.index, tracked.seconds) == (output(), 7, 0.28)
    assert tracked.image is frame.image
    for outputs in ({}, {0: output(), 1: output()}):
        with pytest.raises(InputError, match=f"exactly one target, got {len(outputs)}; use outputs"):
            _ = TrackedFrame(frame, outputs).output

"""Outputs become supervision's detections and back; its annotators draw them."""

import subprocess
import sys
from importlib.metadata import requires

import numpy as np
import pytest

import starktrack
from starktrack.data.frames import Frame
from starktrack.data.track_output import TargetState, TrackedFrame, TrackOutput
from starktrack.errors import InputError, MissingExtraError

supervision = pytest.importorskip("supervision")


def outputs(*scores, mask=None):
    states = [None if score is None else TargetState.TRACKED for score in scores]
    return {
        index + 3: TrackOutput(
            target_id=index + 3,
            box_xywh=np.array([10.0 * index, 20, 30, 40]),
            score=score,
            state=state,
            mask=mask,
        )
        for index, (score, state) in enumerate(zip(scores, states, strict=True))
    }


def test_all_values_arrive():
    mask = np.eye(80, 100, dtype=bool)
    found = starktrack.to_detections(outputs(0.5, 0.25, mask=mask))
    assert found.xyxy.tolist() == [[0, 20, 30, 60], [10, 20, 40, 60]]
    assert (found.confidence.tolist(), found.tracker_id.tolist()) == ([0.5, 0.25], [3, 4])
    assert (found.class_id.tolist(), found.data["state"].tolist()) == ([0, 0], ["tracked", "tracked"])
    np.testing.assert_array_equal(found.mask, [mask, mask])


def test_a_given_box_is_sure_and_a_model_without_scores_says_nothing():
    assert starktrack.to_detections(outputs(None, 0.25)).confidence.tolist() == [1.0, 0.25]
    silent = starktrack.to_detections(outputs(None, None))
    assert (silent.confidence, silent.mask, silent.data["state"].tolist()) == (None, None, ["", ""])


def test_every_form_of_outputs_gives_the_same():
    several = outputs(0.5)
    frame = TrackedFrame(Frame(np.zeros((80, 100, 3), np.uint8), 0, None), several)
    forms = (frame, several, list(several.values()), several[3])
    assert all(starktrack.to_detections(form) == starktrack.to_detections(several) for form in forms)
    assert len(starktrack.to_detections({})) == 0


def test_boxes_come_back_by_id():
    found = starktrack.from_detections(starktrack.to_detections(outputs(0.5, 0.25)))
    assert {target: box.tolist() for target, box in found.items()} == {
        3: [0, 20, 30, 40],
        4: [10, 20, 30, 40],
    }
    counted = supervision.Detections(xyxy=np.array([[1, 2, 4, 8], [2, 3, 4, 5]], np.float32))
    assert list(starktrack.from_detections(counted)) == [0, 1]


def test_two_boxes_of_one_id_and_other_things_are_refused():
    same = supervision.Detections(xyxy=np.ones((2, 4)), tracker_id=np.array([1, 1]))
    with pytest.raises(InputError, match=r"a tracker_id of its own, got \[1, 1\]; leave tracker_id out"):
        starktrack.from_detections(same)
    with pytest.raises(InputError, match=r"must be supervision.Detections, got list"):
        starktrack.from_detections([[1, 2, 3, 4]])
    mixed = [*outputs(0.5).values(), *outputs(0.5, mask=np.zeros((4, 4), bool)).values()]
    with pytest.raises(InputError, match="an outline or none, got 1 of 2; convert them apart"):
        starktrack.to_detections(mixed)


def test_annotators_draw_what_was_tracked():
    found = starktrack.to_detections(outputs(0.5))
    picture = supervision.BoxAnnotator().annotate(np.zeros((80, 100, 3), np.uint8), found)
    assert picture[20:60, 0:30].any() and not picture[:15].any()
    labelled = supervision.LabelAnnotator().annotate(np.zeros((80, 100, 3), np.uint8), found, ["dog"])
    assert labelled.any()


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingExtraError, match=r'pip install "starktrack\[supervision\]"'):
        starktrack.to_detections(outputs(0.5))


def test_it_brings_no_second_opencv_and_leaves_ours_whole():
    # opencv-python and opencv-python-headless write the same files; only one may be installed.
    assert not [each for each in requires("supervision") if "opencv" in each]
    program = "import supervision, cv2; assert hasattr(cv2, 'warpAffine')"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

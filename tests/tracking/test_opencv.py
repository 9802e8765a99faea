import sys
from pathlib import Path

import numpy as np
import pytest

from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.errors import InputError, StarktrackError
from starktrack.tracking.opencv import OpenCvFactory
from starktrack.tracking.plugin import load_factory

CLIP = list(synthetic_clip(6, size_hw=(90, 120)))


def boxes(tracker):
    tracker.start(CLIP[0].image, CLIP[0].box_xywh)
    return np.array([tracker.update(frame.image) for frame in CLIP[1:]])


def test_a_tracker_of_opencv_follows_an_object():
    factory = load_factory("mil")
    found = boxes(factory())
    np.testing.assert_array_equal(boxes(factory()), found)
    factory.close()
    true = np.array([frame.box_xywh for frame in CLIP[1:]])
    assert np.abs(found[:, :2] - true[:, :2]).max() < 40
    assert (found[:, 2:] == found[0, 2:]).all(), "MIL keeps the size it was given"


@pytest.mark.shared
def test_another_python_gives_the_same_boxes_and_serves_one_target_after_the_other(shared):
    folder = shared / "data" / "peers" / "nanotrack"
    factory = OpenCvFactory("nanotrack", folder=folder, python=Path(sys.executable))
    try:
        here = boxes(OpenCvFactory("nanotrack", folder=folder)())
        np.testing.assert_array_equal(boxes(factory()), here)
        np.testing.assert_array_equal(boxes(factory()), here)
    finally:
        factory.close()


def test_a_worker_that_ends_tells_its_last_words_and_the_next_one_starts_anew(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'cv2'\" >&2\nexit 3\n")
    script.chmod(0o755)
    factory = OpenCvFactory("csrt", python=script)
    for _ in range(2):
        with pytest.raises(StarktrackError, match=r"ended without an answer: ModuleNotFoundError.*'cv2'"):
            factory().start(CLIP[0].image, CLIP[0].box_xywh)
    factory.close()


def test_without_a_python_for_the_contrib_wheel_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.delattr("cv2.TrackerCSRT", raising=False)
    with pytest.raises(InputError, match=r"install uv, or give --opencv-python .* opencv-contrib"):
        OpenCvFactory("csrt")


@pytest.mark.shared
def test_nanotrack_runs_from_its_two_files(shared):
    folder = shared / "data" / "peers" / "nanotrack"
    found = boxes(load_factory("nanotrack", nanotrack=folder)())
    assert found.shape == (5, 4)
    assert (found[:, 2:] > 0).all()


def test_nanotrack_without_its_files_says_what_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"needs one file \*backbone\*\.onnx in .*, got 0"):
        load_factory("nanotrack", nanotrack=tmp_path)

import dataclasses

import numpy as np
import pytest

import starktrack
from starktrack.api import load_engine
from starktrack.errors import (
    BoxError,
    CheckpointError,
    ConfigError,
    DeviceError,
    MissingExtraError,
    VideoError,
)


@pytest.fixture(scope="module")
def pictures(small_clip, tmp_path_factory):
    import cv2

    folder = tmp_path_factory.mktemp("pictures")
    for index, frame in enumerate(small_clip[:5]):
        cv2.imwrite(str(folder / f"{index}.png"), frame.image[..., ::-1])
    return folder


def test_the_three_lines_of_the_readme(small_checkpoint, small_clip):
    tracker = starktrack.load(weights=small_checkpoint, device="auto")
    tracker.start(small_clip[0].image, box_xywh=(40, 30, 20, 24))
    output = tracker.update(small_clip[1].image)
    assert isinstance(tracker, starktrack.Tracker) and isinstance(output, starktrack.TrackOutput)
    assert output.box_xywh.shape == (4,) and 0 < output.score < 1


def test_tracking_a_video_gives_the_boxes_that_a_tracker_finds(small_checkpoint, small_clip, pictures):
    run = list(starktrack.track(pictures, (40, 30, 20, 24), weights=small_checkpoint, device="cpu"))
    outputs = [tracked.output for tracked in run]
    assert [(tracked.index, output.frame_index) for tracked, output in zip(run, outputs, strict=True)] == [
        (index, index) for index in range(5)
    ]
    np.testing.assert_array_equal(run[3].image, small_clip[3].image)
    tracker = starktrack.load(weights=str(small_checkpoint), device="cpu")
    tracker.start(small_clip[0].image, box_xywh=(40, 30, 20, 24))
    found = [tracker.update(frame.image).box_xywh for frame in small_clip[1:5]]
    assert outputs[0].box_xywh.tolist() == [40.0, 30.0, 20.0, 24.0]
    np.testing.assert_allclose([output.box_xywh for output in outputs[1:]], found, atol=1e-6)


def test_tracking_may_begin_later(small_checkpoint, pictures):
    late = list(starktrack.track(pictures, (40, 30, 20, 24), weights=small_checkpoint, start_frame=3))
    assert [tracked.output.frame_index for tracked in late] == [3, 4]


def test_every_setting_of_tracking_is_reachable(small_checkpoint, pictures):
    changed = {
        "update_interval": 7,
        "update_score": 0.1,
        "clip_margin": 3.0,
        "tracked_score": 0.6,
        "lost_score": 0.2,
        "lost_after": 2,
        "search_growth": 2.0,
        "redetect": 10,
        "box_fit": 0.5,
    }
    tracker = starktrack.load(weights=small_checkpoint, settings=changed)
    assert dataclasses.asdict(tracker.settings) == changed
    partly = starktrack.load(weights=small_checkpoint, settings={"lost_after": 9}).settings
    assert (partly.lost_after, partly.update_interval) == (9, 3)
    whole = starktrack.TrackingConfig(update_interval=9)
    assert starktrack.load(weights=small_checkpoint, settings=whole).settings is whole
    box = (40, 30, 20, 24)
    run = starktrack.track(pictures, box, weights=small_checkpoint, settings={"update_interval": 2})
    assert [tracked.output.template_updated for tracked in run] == [False, False, True, False, True]


def test_a_setting_that_does_not_exist_is_refused(small_checkpoint):
    with pytest.raises(ConfigError, match="unknown key 'updateinterval'; did you mean 'update_interval'"):
        starktrack.load(weights=small_checkpoint, settings={"updateinterval": 7})
    with pytest.raises(ConfigError, match="lost_after"):
        starktrack.load(weights=small_checkpoint, settings={"lost_after": 0})


def test_an_engine_cannot_be_changed(small_checkpoint):
    for weights in (None, small_checkpoint):
        tracker = starktrack.load(weights=weights, refine="refine_mobile", device="cpu")
        for network in (tracker.engine, tracker.refiner):
            with pytest.raises(AttributeError, match="config"):
                network.config = network.config


def test_several_trackers_share_one_engine(small_checkpoint, small_clip):
    engine = load_engine(weights=small_checkpoint, device="cpu")
    one, other = starktrack.Tracker(engine), starktrack.Tracker(engine)
    one.start(small_clip[0].image, box_xywh=(40, 30, 20, 24))
    other.start(small_clip[0].image, box_xywh=(10, 60, 16, 16))
    found = one.update(small_clip[1].image).box_xywh
    other.update(small_clip[1].image)
    alone = starktrack.load(weights=small_checkpoint, device="cpu")
    alone.start(small_clip[0].image, box_xywh=(40, 30, 20, 24))
    np.testing.assert_array_equal(found, alone.update(small_clip[1].image).box_xywh)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (
            {"model": "stark_st50"},
            CheckpointError,
            r"stark_st50 needs weights, got none; train some \(starktrack train\), or convert .* stark_mobile come",
        ),
        ({"model": "stark_st5"}, ConfigError, "did you mean 'stark_st50'"),
        ({"weights": "nowhere.safetensors"}, CheckpointError, r"nowhere\.safetensors is no such file"),
        (
            {"model": "stark_s50", "weights": "small"},
            CheckpointError,
            "must be of stark_s50, .* is of small; leave the model out",
        ),
        (
            {"weights": "small", "device": "tpu"},
            DeviceError,
            "device must be auto, cpu, cuda, cuda:N or mps, got 'tpu'",
        ),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_the_rule(arguments, error, text, small_checkpoint):
    arguments = {key: small_checkpoint if value == "small" else value for key, value in arguments.items()}
    with pytest.raises(error, match=text):
        starktrack.load(**arguments)


def test_without_torch_the_extra_is_named(small_checkpoint, monkeypatch):
    monkeypatch.setattr("starktrack.errors.find_spec", lambda package: None if package == "timm" else True)
    with pytest.raises(
        MissingExtraError, match=r'needs the package timm, .*pip install "starktrack\[torch\]"'
    ):
        starktrack.load(weights=small_checkpoint)


def test_bad_videos_and_boxes_are_refused_when_the_first_output_is_asked_for(small_checkpoint, pictures):
    with pytest.raises(VideoError, match="must be a video file"):
        next(starktrack.track("nowhere.mp4", (1, 1, 5, 5), weights=small_checkpoint))
    with pytest.raises(BoxError, match="must overlap the frame of 128 x 96 pixels"):
        next(starktrack.track(pictures, (500, 1, 5, 5), weights=small_checkpoint))
    with pytest.raises(BoxError, match="these are shares of the frame: multiply by 128 and 96"):
        next(starktrack.track(pictures, (0.1, 0.2, 0.3, 0.4), weights=small_checkpoint))


def test_every_error_is_of_one_tree():
    from starktrack import errors

    kinds = [kind for kind in vars(errors).values() if getattr(kind, "__module__", "") == errors.__name__]
    kinds = [kind for kind in kinds if isinstance(kind, type)]
    assert all(
        issubclass(kind, starktrack.StarktrackError)
        for kind in kinds
        if issubclass(kind, Exception) and not issubclass(kind, Warning)
    )
    assert len(kinds) >= 13
    assert all(kind.__name__ in errors.__doc__ for kind in kinds)
    assert all(getattr(starktrack, kind.__name__) is kind for kind in kinds)


def test_the_nearest_name_is_suggested_or_all_are_listed():
    from starktrack.errors import nearest_name

    assert nearest_name("serch", ["search", "template"]) == "; did you mean 'search'?"
    assert nearest_name("zzz", ["search", "template"]) == "; known: search, template"
    assert nearest_name("OTB", ["lasot", "otb"]) == "; did you mean 'otb'?"
    # A short word is far from the names that it is a part of.
    names = ["label_studio", "labelme", "voc"]
    assert nearest_name("la", names) == "; did you mean 'label_studio' or 'labelme'?"
    assert nearest_name("l", names) == "; known: label_studio, labelme, voc"


def test_a_file_in_the_place_of_a_model_is_told_where_files_go(small_checkpoint):
    with pytest.raises(ConfigError, match=r"got the file '.*\.safetensors'; write weights='"):
        starktrack.load(str(small_checkpoint))
    with pytest.raises(ConfigError, match="got 'stark_s5'; did you mean 'stark_s50'"):
        starktrack.load("stark_s5")


def test_a_folder_named_like_a_model_does_not_hide_the_weights_of_the_package(tmp_path, monkeypatch):
    for name in ("stark_mobile", "refine_mobile"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    tracker = starktrack.load(weights="stark_mobile", refine="refine_mobile", device="cpu")
    assert tracker.engine.config.name == "stark_mobile" and tracker.refiner is not None

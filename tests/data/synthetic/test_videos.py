from dataclasses import replace

import numpy as np
import pytest
from tests.memory import MemoryCollection, MemoryFrames, moving_video

from starktrack.config.data import DataConfig, SamplingConfig, SyntheticConfig
from starktrack.config.schema import ModelConfig
from starktrack.data.samples.drawing import Mixture, draw_negative, find
from starktrack.data.samples.sample import Samples
from starktrack.data.synthetic.cutouts import CutOut
from starktrack.data.synthetic.motion import Poses
from starktrack.data.synthetic.painting import paint, paint_background, relight
from starktrack.data.synthetic.scene import visible_share
from starktrack.data.synthetic.videos import SyntheticVideos, leaves_no_trace
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import NothingUsableError

LONELY = SyntheticConfig(num_frames=40, side=160, max_distractors=0, occlusion=0, leaving=0, exposure=0)


class Ellipse:
    def __len__(self):
        return 1

    def read(self, index):
        rows, columns = np.mgrid[0:60, 0:80]
        return ((columns - 40) / 20) ** 2 + ((rows - 30) / 15) ** 2 < 1


def pictures(masked=False):
    masks = Ellipse() if masked else None
    boxes = np.array([[20.0, 15.0, 40.0, 30.0]])
    return MemoryCollection(
        VideoSequence(f"picture-{k}", MemoryFrames((60, 80), 1, k), boxes, np.ones(1, bool), masks=masks)
        for k in range(5)
    )


def videos(config=LONELY, seed=0, masked=True):
    return SyntheticVideos(pictures(masked), pictures(), config, seed)


@pytest.mark.parametrize("masked", [True, False])
def test_boxes_are_the_extent_of_what_is_painted(masked):
    swept = 0
    for index in range(8):
        sequence = videos(masked=masked)[index]
        for frame in range(0, 40, 7):
            rows, columns = sequence.masks.read(frame).nonzero()
            painted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            x, y, w, h = sequence.boxes_xywh[frame]
            np.testing.assert_allclose([x, y, x + w, y + h], painted, atol=1.6)
            swept += 1
    assert swept == 48


def test_a_video_is_the_same_whenever_and_in_whatever_order_it_is_read():
    busy = SyntheticConfig(num_frames=30, side=120)
    first, second = videos(busy)[3], videos(busy)
    for other in range(10):
        second[other]
    np.testing.assert_array_equal(first.boxes_xywh, second[3].boxes_xywh)
    late = second[3].frames.read(20)
    np.testing.assert_array_equal(first.frames.read(5), second[3].frames.read(5))
    np.testing.assert_array_equal(first.frames.read(20), late)


def test_other_numbers_and_other_seeds_give_other_videos():
    boxes = [videos()[0], videos()[1], videos(seed=1)[0]]
    assert len({sequence.boxes_xywh.tobytes() for sequence in boxes}) == 3
    assert [sequence.name for sequence in boxes] == ["synthetic-0-0", "synthetic-0-1", "synthetic-1-0"]


def test_frames_have_the_side_that_was_asked_for():
    frame = videos()[0].frames.read(0)
    assert frame.shape == (120, 160, 3) and frame.dtype == np.uint8


def test_a_target_that_leaves_has_no_box_and_is_not_visible_there():
    config = SyntheticConfig(
        num_frames=60, side=160, smallest=0.1, largest=0.2, max_distractors=0, occlusion=0, leaving=1
    )
    gone = 0
    for index in range(6):
        sequence = videos(config)[index]
        sizeless = (sequence.boxes_xywh[:, 2:] == 0).any(axis=1)
        assert not sequence.visible[sizeless].any()
        gone += sizeless.sum()
        assert sequence.visible.sum() > 15
    assert gone > 20


def test_the_visible_share_is_what_can_be_seen_in_the_mask():
    config = SyntheticConfig(num_frames=30, side=200, max_distractors=2, occlusion=1, leaving=0.5, exposure=0)
    errors, hidden = [], 0
    for index in range(12):
        sequence = videos(config)[index]
        scene = sequence.frames.scene
        share, layer = visible_share(scene), scene.layers[scene.target]
        opaque = (layer.cutout.pixels[..., 3] >= 128).sum()
        for frame in range(0, 30, 6):
            whole = opaque * np.linalg.det(layer.poses.linear[frame])
            errors.append(abs(sequence.masks.read(frame).sum() / whole - share[frame]))
            hidden += share[frame] < 0.5
    assert hidden >= 3 and np.mean(errors) < 0.03 and max(errors) < 0.2


def test_three_states_visible_partly_and_absent():
    config = SyntheticConfig(num_frames=60, side=160, max_distractors=1, occlusion=1, leaving=1)
    counts = {"visible": 0, "partly": 0, "absent": 0}
    for index in range(8):
        sequence = videos(config)[index]
        assert not (sequence.visible & sequence.absent).any()
        for frame in np.flatnonzero(sequence.absent):
            assert not sequence.masks.read(int(frame)).any(), "not one pixel"
        counts["visible"] += sequence.visible.sum()
        counts["absent"] += sequence.absent.sum()
        counts["partly"] += (~sequence.visible & ~sequence.absent).sum()
    assert min(counts.values()) > 10 and counts["visible"] > 200


def test_a_sliver_between_the_points_that_are_looked_at_is_not_nothing():
    scene = videos()[0].frames.scene
    target = scene.layers[scene.target]
    blind = replace(target.cutout, seeds_xy=np.full((1, 2), -1e4))
    layers = tuple(replace(layer, cutout=blind) if layer is target else layer for layer in scene.layers)
    assert visible_share(replace(scene, layers=layers))[5] == 0
    assert not leaves_no_trace(scene, 5)


def test_a_video_knows_the_pictures_that_it_is_made_of():
    busy = SyntheticConfig(num_frames=10, side=120, max_distractors=2, occlusion=1)
    sequence = videos(busy)[2]
    scene = sequence.frames.scene
    expected = {origin for layer in scene.layers for origin in layer.cutout.origins}
    assert len(scene.layers) >= 2 and expected <= sequence.origins == scene.origins
    assert all(origin.startswith("picture-") for origin in sequence.origins)


def test_a_negative_of_a_picture_is_no_video_that_was_made_from_it():
    mixture = Mixture((pictures(), videos(LONELY)), (1.0, 3.0))
    swept = 0
    for k in range(30):
        place = draw_negative(mixture, (0, 1), SamplingConfig(), np.random.default_rng(k))
        assert "picture-1" not in find(mixture, place).origins
        swept += place.collection == 1
    assert swept > 10


def test_names_are_made_when_asked_for():
    names = videos().names
    assert len(names) == len(videos()) == 1_000_000 and names[7] == "synthetic-0-7"
    with pytest.raises(IndexError):
        names[1_000_000]


def test_objects_that_are_all_too_small_are_an_error_and_not_an_endless_loop():
    small = MemoryCollection([moving_video(1, box=(5.0, 5.0, 15.0, 40.0))])
    with pytest.raises(
        NothingUsableError, match="at least 16 pixels wide and high, got none in 100 draws from 1"
    ):
        SyntheticVideos(small, pictures(), LONELY)[0]


def test_synthetic_video_is_a_data_set_like_the_others():
    mixture = Mixture((videos(), MemoryCollection([moving_video(1)])), (1.0, 1.0))
    drawn = [Samples(mixture, ModelConfig(), DataConfig())[0, k] for k in range(8)]
    shapes = {sample.frames[-1].shape for sample in drawn}
    assert shapes == {(120, 160, 3), (60, 80, 3)}


def test_a_picture_that_cannot_be_read_costs_one_sample_and_is_told():
    objects = MemoryCollection([*pictures(), moving_video(9, box=(5.0, 5.0, 20.0, 20.0), broken=range(30))])
    mixture = Mixture((SyntheticVideos(objects, pictures(), LONELY),), (1.0,))
    samples = Samples(mixture, ModelConfig(), DataConfig())
    skipped_samples = [text for k in range(20) for text in samples[0, k].skipped]
    assert skipped_samples and all("of video 9 is not" in text for text in skipped_samples)


def still(linear, offset, num_frames=3):
    return Poses(np.tile(np.array(linear, float), (num_frames, 1, 1)), np.tile(offset, (num_frames, 1)) * 1.0)


def white_square(side=4):
    opaque = np.full((side, side, 4), 255, np.uint8)
    return CutOut(opaque, np.array([[0.0, 0.0], [side, side]]), np.full((1, 2), side / 2))


def test_painting_puts_pixels_where_the_pose_says():
    frame = np.zeros((8, 10, 3), np.uint8)
    paint(frame, white_square(), still(np.eye(2), [3, 2]), 1, exposure=1.0)
    expected = np.zeros((8, 10))
    expected[2:6, 3:7] = 255
    np.testing.assert_array_equal(frame[..., 0], expected)


def test_painting_outside_the_frame_changes_nothing():
    frame = np.full((8, 10, 3), 7, np.uint8)
    for offset in ([-40, 0], [40, 0], [0, -40], [0, 40]):
        paint(frame, white_square(), still(np.eye(2), offset), 1, exposure=0.0)
    assert (frame == 7).all()


def test_motion_blur_spreads_along_the_way_and_keeps_the_light():
    poses = Poses(np.tile(np.eye(2), (3, 1, 1)), np.array([[0.0, 12.0], [16.0, 12.0], [32.0, 12.0]]))
    sharp, smeared = np.zeros((28, 48, 3), np.uint8), np.zeros((28, 48, 3), np.uint8)
    paint(sharp, white_square(), poses, 1, exposure=0.0)
    paint(smeared, white_square(), poses, 1, exposure=0.5)
    assert (sharp[14] > 0).any(axis=1).sum() == 4 and (smeared[14] > 0).any(axis=1).sum() == 12
    assert (smeared[:, 18] > 0).any(axis=1).sum() == 4
    assert smeared.sum() == pytest.approx(sharp.sum(), rel=0.03)


def test_a_background_is_mirrored_beyond_its_edge():
    picture = np.arange(4, dtype=np.uint8).repeat(3).reshape(1, 4, 3).repeat(4, axis=0)
    frame = paint_background(picture, still(np.eye(2), [2, 0]), 0, (6, 4))
    assert frame[0, :, 0].tolist() == [2, 1, 0, 1, 2, 3]


def test_light_multiplies_each_channel_and_stops_at_white():
    lit = relight(np.full((1, 1, 3), 100, np.uint8), np.array([0.5, 1.0, 3.0]))
    assert lit[0, 0].tolist() == [50, 100, 255]


@pytest.mark.parametrize("values", [{"min_visible_share": 0}, {"smallest": 0.5, "largest": 0.4}])
def test_videos_whose_targets_cannot_be_are_refused(values):
    with pytest.raises(
        ValueError, match=r"greater than 0|smallest must be at most largest, got 0\.5 and 0\.4"
    ):
        SyntheticConfig(**values)


def test_one_picture_of_many_that_can_be_cut_out_is_found():
    speck = VideoSequence("speck", MemoryFrames((60, 80), 1, 0), np.array([[1.0, 1, 3, 3]]), np.ones(1, bool))
    objects = MemoryCollection([speck] * 5000 + [pictures()[0]])
    assert SyntheticVideos(objects, pictures(), LONELY, 0)[0].visible.all()

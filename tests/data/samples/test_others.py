"""Videos with several targets: what samples know of the others, and every setting that looks for them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.memory import MemoryCollection, MemoryFrames, moving_video

from starktrack.config.data import AugmentConfig, DataConfig, DistractorConfig, JitterConfig, SamplingConfig
from starktrack.config.schema import CropConfig, ModelConfig
from starktrack.data.samples.batch import join_crops, join_frames
from starktrack.data.samples.cropping import Cropper, drifted_box, kept_inside, lies_outside
from starktrack.data.samples.degradation import Degradation, degraded, draw_degradations
from starktrack.data.samples.drawing import Mixture, draw_neighbour, draw_triplet, trident_frames
from starktrack.data.samples.mistakes import Mistake, read_mistakes, write_mistakes
from starktrack.data.samples.sample import Samples
from starktrack.data.video_sequence import OtherTarget, VideoSequence
from starktrack.errors import ConfigError, DatasetError
from starktrack.geometry.crop import CropTransform

MODEL = ModelConfig(
    num_templates=2,
    search=CropConfig(side=64, factor=4.0),
    template=CropConfig(side=32, factor=2.0),
    geometry="exact",
)
NOTHING = AugmentConfig(grayscale=0, joint_flip=0, flip=0, brightness=0)
STILL = DataConfig(jitter=JitterConfig(search_centre=0, search_scale=0), augment=NOTHING)
LENGTH = 40


def crowd(name="crowd", *, near=(), gone=(), step=0.0, object_class="runner"):
    """A target that stands at 100, 60, and another of its class: 12 pixels beside it in `near`, else far away."""
    frame = np.arange(LENGTH)
    own = np.tile([100.0, 60.0, 10.0, 10.0], (LENGTH, 1)) + frame[:, None] * [step, 0, 0, 0]
    other = np.tile([20.0, 60.0, 10.0, 10.0], (LENGTH, 1))
    other[list(near)] = own[list(near)] + [12, 0, 0, 0]
    there = np.ones(LENGTH, bool)
    there[list(gone)] = False
    frames = MemoryFrames((120, 200), LENGTH, 0, ())
    others = (OtherTarget(other, there, "runner"),)
    absent = np.zeros(LENGTH, bool)
    return VideoSequence(name, frames, own, np.ones(LENGTH, bool), object_class, absent=absent, others=others)


def samples(sequences, data=STILL, model=MODEL, names=()):
    return Samples(Mixture((MemoryCollection(sequences),), (1.0,), names), model, data)


def sampling(**values):
    return SamplingConfig(mode="trident", max_gap=10, min_length=5, **values)


def test_a_sample_knows_the_others_in_its_search_region_mirrored_with_it():
    always = samples([crowd(near=range(LENGTH))])[0, 0]
    np.testing.assert_allclose(always.others_cxcywh, [[0.5 + 12 / 40, 0.5, 0.25, 0.25]])
    mirrored = samples([crowd(near=range(LENGTH))], replace(STILL, augment=replace(NOTHING, joint_flip=1)))
    np.testing.assert_allclose(mirrored[0, 0].others_cxcywh, [[0.5 - 12 / 40, 0.5, 0.25, 0.25]])
    assert samples([crowd()])[0, 0].others_cxcywh.shape == (0, 4)
    assert samples([moving_video(1)])[0, 0].others_cxcywh.shape == (0, 4)


def test_a_batch_holds_the_others_of_every_sample_filled_up_with_zeros():
    rows = [samples([crowd(near=range(LENGTH))])[0, 0], samples([crowd()])[0, 0]]
    for batch in (join_crops(rows, "exact"), join_frames(rows)):
        assert batch.answers.others.shape == (2, 1, 4)
        np.testing.assert_allclose(batch.answers.others[0, 0], [0.8, 0.5, 0.25, 0.25], rtol=1e-6)
        assert not batch.answers.others[1].any()
    assert join_crops(rows[1:], "exact").answers.others.shape == (1, 0, 4)


def searched_frames(config, sequence, count=60, **options):
    mixture = Mixture((MemoryCollection([sequence]),), (1.0,))
    drawn = [
        draw_triplet(mixture, config, np.random.default_rng(seed), num_templates=2, **options)
        for seed in range(count)
    ]
    return [triplet.search.frame for triplet in drawn], drawn


@pytest.mark.parametrize("mode", ["causal", "trident"])
def test_frames_in_which_another_is_near_are_searched_as_often_as_asked(mode):
    sequence = crowd(near=[20, 30, 31])
    always = replace(sampling(near_share=1.0), mode=mode)
    assert set(searched_frames(always, sequence)[0]) == {20, 30, 31}
    half = [frame in (20, 30, 31) for frame in searched_frames(replace(always, near_share=0.5), sequence)[0]]
    assert 15 < sum(half) < 45
    off = [frame in (20, 30, 31) for frame in searched_frames(replace(always, near_share=0), sequence)[0]]
    assert sum(off) < 15
    assert set(searched_frames(replace(always, near_distance=1.0), sequence)[0]) != {20, 30, 31}
    unlike = crowd(near=[20], object_class="dog")
    assert len(set(searched_frames(always, unlike)[0])) > 5


def test_templates_come_from_far_away_where_asked():
    visible = np.ones(LENGTH, bool)
    for seed in range(40):
        (template, near), search = trident_frames(visible, visible, 10, np.random.default_rng(seed), far=True)
        assert abs(template - search) >= LENGTH // 2 - LENGTH // 4 and abs(near - search) <= 10
    gaps = [
        abs(triplet.templates[0].frame - triplet.search.frame)
        for triplet in searched_frames(sampling(far_share=1.0), crowd(), 200)[1]
    ]
    plain = [
        abs(triplet.templates[0].frame - triplet.search.frame)
        for triplet in searched_frames(sampling(), crowd(), 200)[1]
    ]
    assert np.mean(gaps) > 1.6 * np.mean(plain)


def test_negatives_lie_around_another_target_without_the_own_one():
    data = replace(STILL, sampling=sampling(negative_share=1.0, neighbour_share=1.0))
    other = crowd(near=range(0, LENGTH, 2), gone=range(30, LENGTH))
    for index in range(20):
        sample = samples([other, moving_video(1)], data)[0, index]
        if sample.name != "crowd":
            continue
        window = sample.windows[-1]
        low, high = window.origin_xy[0], window.origin_xy[0] + window.side[0]
        assert not sample.is_positive
        assert high[0] < 100 and low[0] < 25 < high[0]
        assert len(sample.others_cxcywh) == 1
        assert sample.box_cxcywh[0] - sample.box_cxcywh[2] / 2 > 1


def test_a_neighbour_is_only_drawn_where_both_are_labelled_and_apart():
    rng = np.random.default_rng(0)
    sequence = crowd(near=range(10), gone=range(20, LENGTH))
    frames = {draw_neighbour(sequence, 4.0, rng)[0] for _ in range(100)}
    assert frames == set(range(10, 20))
    assert draw_neighbour(crowd(near=range(LENGTH)), 4.0, rng) is None
    assert draw_neighbour(moving_video(1), 4.0, rng) is None


def test_search_regions_lie_around_boxes_of_frames_close_by():
    data = replace(
        STILL, jitter=JitterConfig(search_centre=0, search_scale=0, motion_share=1.0, motion_gap=2)
    )
    offsets = np.array(
        [samples([crowd(step=6.0)], data)[0, index].box_cxcywh[0] - 0.5 for index in range(60)]
    )
    # Two frames of 6 pixels each at most, in regions of 40 pixels, and the jitter of a tracker's box.
    assert np.abs(offsets).max() < (12 + 3 + 3) / 40 * 1.3 and np.abs(offsets).mean() > 0.1
    still = [samples([moving_video(1, length=1)], data)[0, index].box_cxcywh for index in range(3)]
    np.testing.assert_allclose(still, [[0.5, 0.5, still[0][2], still[0][3]]] * 3)


def middle_of(window):
    return window.origin_xy[0] + window.side[0] / 2


def test_dynamic_templates_are_less_exact_than_the_initial_one():
    data = replace(
        STILL, jitter=replace(STILL.jitter, template_centre=0.0, dynamic_centre=0.4, dynamic_scale=0.2)
    )
    windows = np.array(
        [
            [
                [*middle_of(window), window.side[0]]
                for window in samples([crowd()], data)[0, index].windows[:2]
            ]
            for index in range(60)
        ]
    )
    np.testing.assert_array_equal(windows[:, 0], [[105, 65, 20]] * 60)
    # 0.4 of the 10 pixels of a side is at most two to each side, and windows lie on whole pixels.
    away = np.abs(windows[:, 1, :2] - [105, 65])
    assert 0.5 < away.mean() < 2 and away.max() <= 4 and 1.5 < windows[:, 1, 2].std() < 6
    # Left out, dynamic templates are as exact as the initial one; 0 makes them exact.
    same = replace(STILL, jitter=replace(STILL.jitter, template_centre=0.4))
    exact = replace(
        STILL, jitter=replace(same.jitter, template_scale=0.2, dynamic_centre=0.0, dynamic_scale=0.0)
    )
    for data, is_exact in ((same, False), (exact, True)):
        both = [samples([crowd()], data)[0, index].windows[:2] for index in range(5)]
        assert all(not np.array_equal(middle_of(initial), [105, 65]) for initial, _ in both)
        assert [
            np.array_equal(middle_of(dynamic), [105, 65]) and dynamic.side[0] == 20 for _, dynamic in both
        ] == [is_exact] * 5


def test_every_template_but_the_first_is_dynamic():
    data = replace(STILL, jitter=replace(STILL.jitter, drift_share=1.0))
    model = replace(MODEL, num_templates=3)
    windows = samples([crowd(near=range(LENGTH))], data, model)[0, 0].windows
    np.testing.assert_array_equal([middle_of(window)[0] for window in windows], [105, 117, 117, 105])


def test_dynamic_templates_show_what_a_tracker_may_have_drifted_to():
    data = replace(STILL, jitter=replace(STILL.jitter, drift_share=1.0))
    for index in range(5):
        sample = samples([crowd(near=range(LENGTH))], data)[0, index]
        initial, dynamic, searched = (middle_of(window) for window in sample.windows)
        np.testing.assert_array_equal([initial, dynamic, searched], [[105, 65], [117, 65], [105, 65]])
        np.testing.assert_allclose(sample.box_cxcywh[:2], 0.5)  # still the target
    alone = np.array([middle_of(samples([crowd()], data)[0, index].windows[1]) for index in range(40)])
    distances = np.hypot(*(alone - [105, 65]).T)
    assert distances.min() >= 6.5 and distances.max() <= 16 and np.ptp(alone, axis=0).min() > 20
    share = replace(STILL, jitter=replace(STILL.jitter, drift_share=0.3))
    drifted = [
        middle_of(samples([crowd(near=range(LENGTH))], share)[0, index].windows[1])[0] == 117
        for index in range(100)
    ]
    assert 15 < sum(drifted) < 45


def test_the_label_of_a_template_that_drifted_is_what_it_shows():
    jitter, rng = JitterConfig(drift_share=1.0), np.random.default_rng(0)
    window, label = Cropper(MODEL, jitter).template(
        crowd(near=range(LENGTH)), 3, (120, 200), rng, is_dynamic=True
    )
    np.testing.assert_array_equal(middle_of(window), [117, 65])
    np.testing.assert_allclose(label, [0.5, 0.5, 0.5, 0.5])


def drifts(box, others, size_hw=(1000, 1000), count=100):
    rng = np.random.default_rng(0)
    others = np.array(others, float).reshape(-1, 4)
    return np.array([drifted_box(box, others, size_hw, rng, search_factor=4.0) for _ in range(count)])


def test_a_tracker_may_drift_to_any_target_near_or_beside_its_own_in_the_picture():
    box = np.array([500.0, 500.0, 40.0, 10.0])
    near, far = [[490.0, 500, 40, 10], [510.0, 520, 40, 10]], [542.0, 500, 40, 10]
    chosen = drifts(box, [*near, far])
    assert {tuple(each) for each in chosen} == {tuple(each) for each in near}
    beside = drifts(box, [far])
    np.testing.assert_array_equal(beside[:, 2:], [[40, 10]] * 100)
    away = np.hypot(*(beside[:, :2] - box[:2]).T)
    # Sides have 20 pixels in the geometric mean.
    assert 15 <= away.min() < 18 and 27 < away.max() <= 30
    corner = drifts(np.array([-4.0, 190.0, 10.0, 10.0]), [], size_hw=(200, 300))
    middles = corner[:, :2] + 5
    assert (middles >= 0).all() and (middles <= [300, 200]).all()


def test_dynamic_templates_may_be_the_initial_one_pixel_for_pixel():
    jitter = replace(STILL.jitter, template_centre=0.4, dynamic_centre=0.4)
    varied = AugmentConfig(flip=0.5, brightness=0.3, contrast=0.3, motion_blur=0.5, small=0.5)
    model, video = replace(MODEL, num_templates=3), crowd(step=2.0)

    def same(share):
        data = replace(STILL, jitter=replace(jitter, initial_share=share), augment=varied)
        drawn = samples([video], data, model)
        for each in (drawn[0, index] for index in range(60)):
            initial, *dynamic, _ = zip(each.windows, each.augmentations, each.frame_index, strict=True)
            yield all(
                other[0].origin_xy.tolist() == initial[0].origin_xy.tolist() and other[1:] == initial[1:]
                for other in dynamic
            )
            assert len(each.windows) == len(each.augmentations) == len(each.frame_index) == 4
            # The label still belongs to the region that is searched.
            middle = each.windows[-1].to_crop(video.boxes_xywh[:1])[0, 1]
            assert middle == pytest.approx(each.box_cxcywh[1], abs=0.02)

    assert all(same(1.0)) and not any(same(0.0)) and 5 < sum(same(0.3)) < 35


def test_settings_of_dynamic_templates_that_are_off_draw_no_number():
    data = DataConfig(jitter=JitterConfig(template_centre=0.4))
    drawn = samples([crowd(near=range(0, LENGTH, 3), step=1.0)], data)[0, 5]
    # As before these settings existed.
    expected = [[111.0, 64.0], [114.0, 65.0], [116.5, 66.5]]
    assert [middle_of(window).tolist() for window in drawn.windows] == expected


@pytest.mark.parametrize(
    "setting", [{"dynamic_centre": 0.1}, {"dynamic_scale": 0.0}, {"drift_share": 0.1}, {"initial_share": 0.1}]
)
def test_settings_of_dynamic_templates_without_any_are_refused(setting):
    data = replace(STILL, jitter=JitterConfig(**setting))
    with pytest.raises(
        ConfigError, match=f"jitter.{next(iter(setting))} is about dynamic templates, so num_"
    ):
        samples([crowd()], data, replace(MODEL, num_templates=1))


def test_a_guess_is_moved_until_the_target_is_in_its_region():
    box = np.array([50.0, 50.0, 10.0, 10.0])
    near = np.array([55.0, 50.0, 10.0, 10.0])
    np.testing.assert_allclose(kept_inside(near, box, 4.0), near)
    np.testing.assert_allclose(kept_inside(near + np.array([500, 0, 0, 0]), box, 4.0), [50 + 18, 50, 10, 10])
    np.testing.assert_allclose(kept_inside(np.array([55.0, 50.0, 0.0, 0.0]), box, 4.0)[2:], [10, 10])
    assert lies_outside(box[None], near + np.array([40, 0, 0, 0]), 4.0)[0]
    assert not lies_outside(box[None], near, 4.0)[0]


def mistake_data(path, share=1.0):
    return replace(STILL, sampling=sampling(mistakes=str(path), mistake_share=share))


def test_mistakes_are_searched_around_the_place_where_the_tracker_went(tmp_path):
    path = tmp_path / "mistakes.json"
    assert write_mistakes(path, [Mistake("own", "crowd", 25, (112.0, 60.0, 10.0, 10.0))]) == 1
    for index in range(5):
        sample = samples([moving_video(1), crowd(near=[25])], mistake_data(path), names=("own",))[0, index]
        assert sample.name == "crowd" and sample.is_positive
        np.testing.assert_allclose(sample.box_cxcywh, [0.5 - 12 / 40, 0.5, 0.25, 0.25])
        np.testing.assert_allclose(sample.others_cxcywh, [[0.5, 0.5, 0.25, 0.25]])
    names = [
        samples([moving_video(1), crowd()], mistake_data(path, 0.2), names=("own",))[0, i].name
        for i in range(80)
    ]
    assert 40 < names.count("crowd") < 70  # half of the rest too


def test_files_of_mistakes_that_are_broken_or_of_other_data_are_refused(tmp_path):
    path = tmp_path / "mistakes.json"
    write_mistakes(path, [Mistake("elsewhere", "crowd", 25, (1.0, 1.0, 5.0, 5.0))])
    with pytest.raises(DatasetError, match=r"must be of sequences of the run \(own\), got \['elsewhere'\]"):
        samples([crowd()], mistake_data(path), names=("own",))[0, 0]
    for content in ("", "{}", json.dumps({"mistakes": [{"dataset": "a"}]}), '{"mistakes": []}'):
        path.write_text(content)
        with pytest.raises(ConfigError):
            read_mistakes(path)
    with pytest.raises(ConfigError, match="No such file"):
        read_mistakes(tmp_path / "none.json")
    rows = [{"dataset": "a", "sequence": "b", "frame": 0, "box_xywh": [0, 0, 0, 5]}]
    path.write_text(json.dumps({"mistakes": rows}))
    with pytest.raises(ConfigError, match="a box with an area"):
        read_mistakes(path)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"mistakes": "a.json"}, "set both or neither"),
        ({"mistake_share": 0.1}, "set both or neither"),
        ({"neighbour_share": 0.5}, "set negative_share"),
        ({"far_share": 0.5}, "far_share must be 0 in mode causal"),
    ],
)
def test_shares_of_nothing_are_refused(values, text):
    with pytest.raises(ValueError, match=text):
        SamplingConfig(**values)


def test_inserted_distractors_are_known_and_real_others_are_left_alone():
    distractors = DistractorConfig(target_copies=1, most_target_copies=1, distractors=1, warps=1)
    lonely = samples([moving_video(1), moving_video(2)], replace(STILL, distractors=distractors))
    counts = [len(lonely[0, index].others_cxcywh) for index in range(8)]
    assert max(counts) >= 1
    real = samples([crowd(near=range(LENGTH))], replace(STILL, distractors=distractors))[0, 0]
    np.testing.assert_allclose(real.others_cxcywh, [[0.8, 0.5, 0.25, 0.25]])
    np.testing.assert_allclose(real.box_cxcywh, [0.5, 0.5, 0.25, 0.25])


def test_others_move_with_the_frame_that_is_filled_up():
    filled = replace(STILL, distractors=DistractorConfig(background_fill=1))
    edge = replace(crowd(near=range(LENGTH)), boxes_xywh=np.tile([2.0, 2.0, 10.0, 10.0], (LENGTH, 1)))
    beside = OtherTarget(edge.boxes_xywh + np.array([12, 0, 0, 0]), np.ones(LENGTH, bool), "runner")
    sample = samples([replace(edge, others=(beside,)), moving_video(3)], filled)
    drawn = [row for row in (sample[0, index] for index in range(20)) if row.name == "crowd"]
    searched = [row.frames[row.frame_index[-1]].shape for row in drawn]
    assert (40, 40, 3) in searched and (120, 200, 3) in searched  # its own video fills nothing up
    for row in drawn:
        np.testing.assert_allclose(row.others_cxcywh, [[0.8, 0.5, 0.25, 0.25]])


WINDOW = CropTransform(np.array([[20.0, 10.0]]), np.array([40.0]), 64)


def sharpness(image):
    return float(np.abs(np.diff(image[10:50, 20:60].astype(float), axis=1)).mean())


def test_small_targets_keep_few_pixels_inside_the_window_and_nothing_changes_outside():
    frame = np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8)
    small = degraded(frame, WINDOW, Degradation(0.25, 0, np.zeros(2)))
    assert sharpness(small) < 0.3 * sharpness(frame)
    outside = np.ones((80, 100), bool)
    outside[10:50, 20:60] = False
    np.testing.assert_array_equal(small[outside], frame[outside])
    compressed = degraded(frame, WINDOW, Degradation(1.0, 20, np.zeros(2)))
    assert 5 < np.abs(compressed.astype(float) - frame)[10:50, 20:60].mean() < 80
    across = degraded(frame, WINDOW, Degradation(1.0, 0, np.array([9.0, 0.0])))
    assert sharpness(across) < 0.4 * sharpness(frame)
    rows = np.abs(np.diff(across[10:50, 20:60].astype(float), axis=0)).mean()
    assert rows > 1.5 * sharpness(across)  # a streak blurs along itself only
    flat = np.full((80, 100, 3), 77, np.uint8)
    np.testing.assert_array_equal(degraded(flat, WINDOW, Degradation(1.0, 0, np.array([5.0, 3.0]))), flat)


def test_drawn_degradations_make_targets_of_8_to_20_pixels():
    config = AugmentConfig(small=1.0)
    sides = [
        side * each.scale
        for seed in range(100)
        for side, each in zip(
            (40.0, 80.0), draw_degradations(config, [40.0, 80.0], np.random.default_rng(seed)), strict=True
        )
    ]
    assert 5 < min(sides) < 10 and 18 < max(sides) < 30
    tiny = draw_degradations(config, [5.0], np.random.default_rng(0))[0]
    assert tiny.scale == 1.0 and not tiny.changes_anything
    blurred = [
        draw_degradations(AugmentConfig(motion_blur=0.5), [40.0], np.random.default_rng(seed))[0]
        for seed in range(200)
    ]
    assert 60 < sum(bool(each.streak_xy.any()) for each in blurred) < 140


def test_degraded_samples_differ_in_their_frames_only():
    data = replace(STILL, augment=replace(NOTHING, small=1.0, compression=1.0, motion_blur=1.0))
    plain, worse = samples([moving_video(1)])[0, 3], samples([moving_video(1)], data)[0, 3]
    np.testing.assert_array_equal(plain.box_cxcywh, worse.box_cxcywh)
    assert [w.origin_xy.tolist() for w in plain.windows] == [w.origin_xy.tolist() for w in worse.windows]
    for crop in range(3):
        before, after = (each.frames[each.frame_index[crop]] for each in (plain, worse))
        assert before.shape == after.shape and (before != after).any()

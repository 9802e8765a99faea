"""Copies and background of a search region, by their pixels."""

from dataclasses import replace

import numpy as np
import pytest
from tests.memory import MemoryCollection, moving_video, small_collection

from starktrack.config.data import AugmentConfig, DataConfig, DistractorConfig, JitterConfig, SamplingConfig
from starktrack.config.schema import CropConfig, ModelConfig, RefineModel
from starktrack.data.samples.distractors import (
    SearchView,
    with_background_fill,
    with_distractor,
    with_target_copies,
)
from starktrack.data.samples.drawing import Mixture
from starktrack.data.samples.sample import Samples
from starktrack.errors import ConfigError
from starktrack.geometry.crop import crop_transform, cut

RED = np.array([250, 0, 0], np.uint8)
BOX = np.array([80.0, 60.0, 20.0, 16.0])
MODEL = ModelConfig(
    num_templates=2,
    search=CropConfig(side=64, factor=4.0),
    template=CropConfig(side=32, factor=2.0),
    geometry="exact",
)


def red_target(size_hw=(120, 160), box=BOX, around=None):
    """A grey frame with a red target, and a search region of four times its size."""
    frame = np.full((*size_hw, 3), 100, np.uint8)
    x, y, w, h = box.astype(int)
    frame[y : y + h, x : x + w] = RED
    return SearchView(frame, box, None, crop_transform((box if around is None else around)[None], 4.0, 64))


def red_pixels(frame):
    rows, columns = (frame[..., 0].astype(int) - frame[..., 1] > 60).nonzero()
    return np.stack([columns, rows], axis=1) + 0.5


def test_copies_are_farther_from_the_middle_than_the_target_and_leave_it_alone():
    moved = BOX + np.array([12.0, 4.0, 0.0, 0.0])
    view, distances = red_target(around=moved), []
    middle = moved[:2] + moved[2:] / 2
    lead = np.hypot(12, 4) + 0.5 * np.sqrt(20 * 16)
    for seed in range(60):
        staged = with_target_copies(
            view, DistractorConfig(target_copies=1, most_target_copies=1), np.random.default_rng(seed)
        )
        np.testing.assert_array_equal(staged.box_xywh, BOX)
        assert staged.window is view.window
        changed = (staged.frame != view.frame).any(axis=2)
        new = red_pixels(np.where(changed[..., None], staged.frame, 0))
        if len(new):
            distances.append(np.hypot(*(new.mean(axis=0) - middle)))
        x, y, w, h = BOX.astype(int)
        assert (
            changed[y : y + h, x : x + w].mean() <= 0.35
        )  # a tenth, a larger copy's more, and its soft edge
    assert len(distances) >= 45 and min(distances) > lead - 1  # whole pixels, the window's and the copy's


def test_a_copy_looks_like_its_target():
    view = red_target()
    staged = with_target_copies(
        view, DistractorConfig(target_copies=1, most_target_copies=1), np.random.default_rng(3)
    )
    changed = (staged.frame != view.frame).any(axis=2)
    colour = np.median(staged.frame[changed], axis=0)
    assert colour[0] > 200 and colour[1:].max() < 30


def test_the_frame_itself_is_not_painted_on():
    view = red_target()
    before = view.frame.copy()
    with_target_copies(view, DistractorConfig(target_copies=1), np.random.default_rng(0))
    np.testing.assert_array_equal(view.frame, before)


@pytest.mark.parametrize("box", [[80, 60, 20, 4], [200, 60, 20, 20]])
def test_tiny_targets_and_those_outside_the_frame_are_not_copied(box):
    view = red_target()
    odd = replace(view, box_xywh=np.array(box, float))
    staged = with_target_copies(odd, DistractorConfig(target_copies=1), np.random.default_rng(0))
    np.testing.assert_array_equal(staged.frame, view.frame)


def blue_picture():
    return np.full((60, 60, 3), [0, 0, 250], np.uint8), np.array([20.0, 20.0, 16.0, 20.0])


def test_another_object_lies_near_the_target_and_hides_half_of_it_at_most():
    view, hidden, places = red_target(), [], []
    x, y, w, h = BOX.astype(int)
    for seed in range(40):
        staged = with_distractor(view, *blue_picture(), None, np.random.default_rng(seed))
        np.testing.assert_array_equal(staged.box_xywh, BOX)
        rows, columns = (staged.frame[..., 2] > 150).nonzero()
        if len(rows):
            places.append(np.hypot(columns.mean() - x - w / 2, rows.mean() - y - h / 2))
            hidden.append((staged.frame[y : y + h, x : x + w, 2] > 150).mean())
    assert len(places) >= 35 and max(hidden) <= 0.5 and np.mean(hidden) > 0.02
    assert np.median(places) < 2 * np.sqrt(w * h)


def test_without_an_object_to_cut_out_the_view_stays():
    view, (picture, box) = red_target(), blue_picture()
    empty = np.zeros(picture.shape[:2], bool)
    assert with_distractor(view, picture, box, empty, np.random.default_rng(0)) is view
    assert (
        with_distractor(view, picture, box + np.array([200, 0, 0, 0]), None, np.random.default_rng(0)) is view
    )
    tiny = np.array([20.0, 20.0, 5.0, 20.0])
    assert with_distractor(view, picture, tiny, None, np.random.default_rng(0)) is view


def test_background_fills_the_padding_and_nothing_else():
    view = red_target(size_hw=(90, 110))
    picture = np.full((50, 70, 3), 7, np.uint8)
    staged = with_background_fill(view, picture, np.random.default_rng(0))
    before, after = cut(view.frame, view.window, "exact"), cut(staged.frame, staged.window, "exact")
    assert 0.2 < before.padding_mask.mean() < 0.6 and not after.padding_mask.any()
    inside = ~before.padding_mask
    inside[:-1] &= ~before.padding_mask[
        1:
    ]  # the last row and column of the frame are blended with what follows
    inside[:, :-1] &= ~before.padding_mask[:, 1:]
    np.testing.assert_array_equal(after.image[inside], before.image[inside])
    assert (after.image[before.padding_mask] == 7).mean() > 0.9
    box = staged.window.to_crop(staged.box_xywh[None])
    np.testing.assert_allclose(box, view.window.to_crop(view.box_xywh[None]))


def test_background_fill_keeps_the_mask_on_the_target():
    view = red_target(size_hw=(90, 110))
    mask = (view.frame == RED).all(axis=2)
    staged = with_background_fill(
        replace(view, mask=mask), np.zeros((50, 70, 3), np.uint8), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(staged.mask, (staged.frame == RED).all(axis=2))


def test_a_region_that_lies_on_its_frame_keeps_it():
    view = red_target(size_hw=(400, 400), box=BOX + np.array([100, 100, 0, 0]))
    assert with_background_fill(view, np.zeros((50, 70, 3), np.uint8), np.random.default_rng(0)) is view


def samples(distractors, collection=None, model=MODEL, negative_share=0.0, flip=0):
    data = DataConfig(
        sampling=SamplingConfig(negative_share=negative_share),
        jitter=JitterConfig(search_centre=0, search_scale=0),
        augment=AugmentConfig(grayscale=0, joint_flip=0, flip=flip, brightness=0),
        distractors=distractors,
    )
    return Samples(Mixture((small_collection() if collection is None else collection,), (1.0,)), model, data)


def test_samples_are_staged_in_the_search_region_alone():
    plain, staged = (
        samples(DistractorConfig()),
        samples(DistractorConfig(background_fill=1, target_copies=1, distractors=1)),
    )
    differing = 0
    for index in range(12):
        one, other = plain[0, index], staged[0, index]
        np.testing.assert_allclose(one.box_cxcywh, other.box_cxcywh)
        crops = [
            [
                cut(sample.frames[at], window, "exact").image
                for at, window in zip(sample.frame_index, sample.windows, strict=True)
            ]
            for sample in (one, other)
        ]
        for before, after in zip(crops[0][:-1], crops[1][:-1], strict=True):
            np.testing.assert_array_equal(before, after)
        differing += bool((crops[0][-1] != crops[1][-1]).any())
        assert set(other.frame_index) == set(range(len(other.frames)))
    assert differing >= 10


def test_a_lone_picture_has_no_other_to_borrow_from():
    lone = MemoryCollection([moving_video(1, length=1)])
    sample = samples(DistractorConfig(background_fill=1, distractors=1), lone)[0, 0]
    frame = sample.frames[sample.frame_index[-1]]
    np.testing.assert_array_equal(frame, lone[0].frames.read(0))
    assert cut(sample.frames[sample.frame_index[-1]], sample.windows[-1], "exact").padding_mask.any()


def test_negative_samples_show_what_is_there():
    everything = DistractorConfig(background_fill=1, target_copies=1, distractors=1)
    plain, staged = (samples(each, negative_share=1) for each in (DistractorConfig(), everything))
    for index in range(12):
        one, other = plain[0, index], staged[0, index]
        assert not other.is_positive
        for before, after in zip(one.frames, other.frames, strict=True):
            np.testing.assert_array_equal(before, after)


def test_what_cannot_be_seen_is_no_distractor():
    away = [moving_video(seed, length=1, hidden=[0]) for seed in range(1, 6)]
    staged = samples(DistractorConfig(distractors=1), MemoryCollection([moving_video(0), *away]))
    for index in range(12):
        sample = staged[0, index]
        searched = sample.frames[sample.frame_index[-1]]
        shown = [moving_video(0).frames.read(frame) for frame in range(30)]
        assert any(np.array_equal(searched, frame) for frame in shown)


def test_refiners_are_not_staged():
    with pytest.raises(ConfigError, match=r"data\.distractors must be left out for a refiner"):
        samples(DistractorConfig(target_copies=0.5), model=RefineModel())

from dataclasses import replace

import numpy as np
import pytest

from starktrack.config.data import SamplingConfig
from starktrack.data.samples.drawing import (
    FramePlace,
    Mixture,
    causal_frames,
    draw_negative,
    draw_triplet,
    find,
    sample_generator,
    trident_frames,
)
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import DatasetError, NothingUsableError


class NoFrames:
    def __len__(self):
        return 0

    def read(self, index):
        raise AssertionError("choosing frames must not read any")


class Memory(list):
    """A collection of sequences in a list."""

    @property
    def names(self):
        return [sequence.name for sequence in self]


def video(name, length, hidden=(), shared=None):
    visible = np.ones(length, bool)
    visible[list(hidden)] = False
    boxes = np.tile([5.0, 5.0, 10.0, 10.0], (length, 1))
    videos = frozenset() if shared is None else frozenset(shared)
    return VideoSequence(name, NoFrames(), boxes, visible, videos=videos)


def draws(count, choose, seed=0):
    return [choose(np.random.default_rng([seed, index])) for index in range(count)]


def test_causal_pairs_go_forward_and_stay_within_the_gap():
    visible = np.ones(1000, bool)
    pairs = draws(500, lambda rng: causal_frames(visible, 200, rng))
    steps = np.array([search - templates[0] for templates, search in pairs])
    assert steps.min() >= 1 and 190 < steps.max() <= 199


def test_the_gap_grows_until_the_only_two_visible_frames_meet():
    visible = np.zeros(3000, bool)
    visible[[7, 2500]] = True
    assert causal_frames(visible, 200, np.random.default_rng(0)) == ((7,), 2500)


def test_causal_dynamic_templates_lie_between_template_and_search():
    visible = np.ones(50, bool)
    for (first, dynamic), search in draws(100, lambda rng: causal_frames(visible, 20, rng, num_templates=2)):
        assert first <= dynamic < search < first + 20


def test_the_dynamic_template_lies_on_the_side_of_the_initial_one():
    visible = np.ones(1000, bool)
    sides = {"after": 0, "before": 0}
    for (first, dynamic), search in draws(400, lambda rng: trident_frames(visible, visible, 200, rng)):
        if first >= search:
            assert search <= dynamic < search + 200
            sides["after"] += 1
        else:
            assert search - 200 <= dynamic < search
            sides["before"] += 1
    assert min(sides.values()) > 100


def test_the_dynamic_template_may_lie_beyond_the_initial_one():
    visible = np.ones(1000, bool)
    chosen = draws(400, lambda rng: trident_frames(visible, visible, 200, rng))
    assert any(search <= first < dynamic for (first, dynamic), search in chosen)


def test_only_trident_pro_takes_hidden_frames_as_dynamic_template():
    mixture = Mixture((Memory([video("a", 100, hidden=range(0, 100, 2))]),), (1.0,))

    def hidden_share(mode):
        config = SamplingConfig(mode=mode)
        triplets = draws(200, lambda rng: draw_triplet(mixture, config, rng, num_templates=2))
        assert all(t.templates[0].frame % 2 and t.search.frame % 2 for t in triplets)
        return np.mean([t.templates[1].frame % 2 == 0 for t in triplets])

    assert hidden_share("trident") == 0
    assert 0.3 < hidden_share("trident_pro") < 0.7


def test_hidden_frames_without_a_box_are_no_templates():
    sequence = video("a", 100, hidden=range(0, 100, 2))
    sequence.boxes_xywh[::2] = np.nan
    config = SamplingConfig(mode="trident_pro")
    mixture = Mixture((Memory([sequence]),), (1.0,))
    triplets = draws(100, lambda rng: draw_triplet(mixture, config, rng, num_templates=2))
    assert all(t.templates[1].frame % 2 for t in triplets)


def test_no_dynamic_template_anywhere_is_an_error_and_not_an_endless_loop():
    with pytest.raises(DatasetError, match="frame for the dynamic template within 5 frames"):
        trident_frames(np.ones(50, bool), np.zeros(50, bool), 5, np.random.default_rng(0))


def test_a_still_image_is_template_and_search():
    mixture = Mixture((Memory([video("picture", 1)]),), (1.0,))
    config = SamplingConfig(mode="trident_pro")
    triplet = draw_triplet(mixture, config, np.random.default_rng(0), num_templates=2)
    assert triplet.templates == (FramePlace(0, 0, 0),) * 2 and triplet.search == FramePlace(0, 0, 0)
    assert triplet.is_positive


def test_short_hidden_and_rarely_visible_sequences_are_left_out():
    collection = Memory(
        [
            video("short", 19),
            video("rare", 100, hidden=range(4, 100)),
            video("hidden picture", 1, hidden=[0]),
            video("good", 20),
        ]
    )
    mixture = Mixture((collection,), (1.0,))
    triplets = draws(50, lambda rng: draw_triplet(mixture, SamplingConfig(), rng, num_templates=1))
    assert {t.search.sequence for t in triplets} == {3}


def test_a_collection_without_anything_usable_is_an_error_that_names_it():
    mixture = Mixture((Memory([video("tiny", 3)]),), (1.0,))
    with pytest.raises(NothingUsableError, match=r"at least 20 frames.*'tiny'.*lower .*sampling.min_length"):
        draw_triplet(mixture, SamplingConfig(), np.random.default_rng(0), num_templates=1)


def test_data_sets_are_drawn_in_proportion_to_their_ratios():
    mixture = Mixture((Memory([video("a", 30)]), Memory([video("b", 30)] * 9)), (3.0, 1.0))
    triplets = draws(1000, lambda rng: draw_triplet(mixture, SamplingConfig(), rng, num_templates=1))
    assert np.mean([t.search.collection == 0 for t in triplets]) == pytest.approx(0.75, abs=0.04)


def test_half_of_the_second_stage_is_negative():
    mixture = Mixture((Memory([video("a", 30), video("b", 30)]),), (1.0,))
    config = SamplingConfig(negative_share=0.5)
    triplets = draws(600, lambda rng: draw_triplet(mixture, config, rng, num_templates=1))
    assert np.mean([t.is_positive for t in triplets]) == pytest.approx(0.5, abs=0.06)
    for triplet in triplets:
        same = triplet.search.sequence == triplet.templates[0].sequence
        assert same == triplet.is_positive


def test_a_negative_prefers_hidden_frames_of_its_own_video():
    mixture = Mixture((Memory([video("a", 30, hidden=[4, 9]), video("b", 30)]),), (1.0,))
    places = draws(50, lambda rng: draw_negative(mixture, (0, 0), SamplingConfig(), rng))
    assert set(places) == {FramePlace(0, 0, 4), FramePlace(0, 0, 9)}


def test_a_negative_never_shows_the_same_picture():
    collection = Memory(
        [video("left", 1, shared="p"), video("right", 1, shared="p"), video("other", 1, shared="q")]
    )
    mixture = Mixture((collection,), (1.0,))
    places = draws(50, lambda rng: draw_negative(mixture, (0, 0), SamplingConfig(), rng))
    assert {find(mixture, place).name for place in places} == {"other"}


def test_a_negative_never_shares_an_origin_in_another_data_set_either():
    pictures = Memory([video("object", 1, shared="p"), video("other", 1, shared="q")])
    made = Memory([video("from p", 30, shared="pr"), video("from r", 30, shared="rs")])
    mixture = Mixture((pictures, made), (1.0, 1.0))
    places = draws(80, lambda rng: draw_negative(mixture, (0, 0), SamplingConfig(), rng))
    assert {find(mixture, place).name for place in places} == {"other", "from r"}


def test_a_sequence_without_named_videos_is_its_own_origin():
    assert video("alone", 30).origins == {"alone"} and video("left", 1, shared="p").origins == {"p"}


def test_a_negative_shows_nothing_of_the_target_where_hidden_frames_show_a_part():
    partly = replace(video("a", 30, hidden=range(3, 9)), absent=np.arange(30) == 7)
    mixture = Mixture((Memory([partly, video("b", 30)]),), (1.0,))
    places = draws(50, lambda rng: draw_negative(mixture, (0, 0), SamplingConfig(), rng))
    assert set(places) == {FramePlace(0, 0, 7)}

    never = replace(partly, absent=np.zeros(30, bool))
    mixture = Mixture((Memory([never, video("b", 30)]),), (1.0,))
    places = draws(50, lambda rng: draw_negative(mixture, (0, 0), SamplingConfig(), rng))
    assert {place.sequence for place in places} == {1}


@pytest.mark.parametrize(("min_side", "chosen"), [(0, {0, 1, 2}), (50, {1, 2}), (51, {2})])
def test_small_targets_in_single_images_are_left_out_where_asked(min_side, chosen):
    collection = Memory([video("flat", 1), video("just", 1), video("small but moving", 30)])
    collection[0].boxes_xywh[0] = [0, 0, 200, 49]
    collection[1].boxes_xywh[0] = [0, 0, 200, 50]
    mixture = Mixture((collection,), (1.0,))
    config = SamplingConfig(min_side=min_side)
    triplets = draws(60, lambda rng: draw_triplet(mixture, config, rng, num_templates=1))
    assert {t.search.sequence for t in triplets} == chosen


def test_a_negative_without_a_second_video_is_an_error():
    mixture = Mixture((Memory([video("alone", 30)]),), (1.0,))
    with pytest.raises(NothingUsableError, match="another video than 'alone'"):
        draw_negative(mixture, (0, 0), SamplingConfig(), np.random.default_rng(0))


def test_the_same_seed_epoch_and_index_give_the_same_triplet():
    mixture = Mixture((Memory([video(str(k), 200) for k in range(20)]),), (1.0,))
    config = SamplingConfig(mode="trident_pro", negative_share=0.5)

    def triplet(*key):
        return draw_triplet(mixture, config, sample_generator(*key), num_templates=2)

    assert triplet(1, 2, 3) == triplet(1, 2, 3)
    assert len({triplet(1, 2, 3), triplet(1, 2, 4), triplet(1, 3, 3), triplet(2, 2, 3)}) == 4
    assert triplet(1, 2, 3) != draw_triplet(mixture, config, sample_generator(1, 2, 3, 1), num_templates=2)


def test_the_first_attempt_is_the_plain_seed():
    plain = np.random.default_rng([5, 6, 7]).random()
    assert sample_generator(5, 6, 7).random() == plain


@pytest.mark.parametrize(
    ("collections", "ratios", "text"),
    [
        ((), (), "one ratio per data set"),
        ((Memory(),), (1.0,), "leave the empty one out"),
        ((Memory([video("a", 30)]),), (0.0,), "positive ratios"),
    ],
)
def test_a_mixture_refuses_what_it_cannot_draw_from(collections, ratios, text):
    with pytest.raises(DatasetError, match=text):
        Mixture(collections, ratios)


def test_a_mixture_keeps_the_last_few_sequences_and_no_more():
    class Counting(Memory):
        reads = 0

        def __getitem__(self, index):
            Counting.reads += 1
            return super().__getitem__(index)

    mixture = Mixture((Counting([video(str(k), 30) for k in range(10)]),), (1.0,))
    for _ in range(3):
        assert mixture.sequence(0, 1).name == "1"
    assert Counting.reads == 1
    for index in range(10):
        mixture.sequence(0, index)
    assert Counting.reads == 10 and mixture.sequence(0, 1).name == "1" and Counting.reads == 11


def test_one_video_of_many_that_is_long_enough_is_found():
    mixture = Mixture((Memory([video("tiny", 5)] * 19_999 + [video("long", 30)]),), (1.0,))
    config = SamplingConfig(min_length=20)
    triplet = draw_triplet(mixture, config, np.random.default_rng(0), num_templates=1)
    assert find(mixture, triplet.search).name == "long"

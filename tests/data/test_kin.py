"""Targets of the same class: who is kin to whom, and that samples and synthetic video ask for it."""

from dataclasses import replace

import numpy as np
import pytest
from tests.memory import MemoryCollection, MemoryFrames, moving_video

from starktrack.config.data import DataConfig, JitterConfig, SamplingConfig, StagingConfig, SyntheticConfig
from starktrack.config.schema import CropConfig, ModelConfig
from starktrack.data.kin import Kin
from starktrack.data.sample import Samples
from starktrack.data.sampling import Mixture
from starktrack.data.selection import select
from starktrack.data.sequence import Sequence
from starktrack.data.synthetic.videos import SyntheticVideos

CLASSES = ("cat", "dog", "Cat", None, "dog", "cat")


class Classified(MemoryCollection):
    @property
    def object_classes(self):
        return [sequence.object_class or "" for sequence in self]


def picture(seed, object_class, origin=None):
    still = replace(moving_video(seed, length=1), object_class=object_class)
    return still if origin is None else replace(still, videos=frozenset((origin,)))


def drawn(kin, object_class, origins=frozenset()):
    return {kin.draw(object_class, origins, np.random.default_rng(seed)) for seed in range(60)}


@pytest.fixture
def zoo():
    return Classified(picture(seed, name) for seed, name in enumerate(CLASSES))


def test_kin_have_the_same_class_whatever_its_capital_letters(zoo):
    kin = Kin(zoo)
    assert drawn(kin, "CAT") == {0, 2, 5} and drawn(kin, "dog") == {1, 4}
    assert kin.has("cAt") and not kin.has("horse")


def test_a_class_that_is_not_known_or_not_told_has_no_kin(zoo):
    assert drawn(Kin(zoo), "horse") == {None}
    assert drawn(Kin(zoo), None) == drawn(Kin(zoo), "") == {None}
    assert drawn(Kin(MemoryCollection(zoo)), "cat") == {None}
    assert drawn(Kin(Classified([])), "cat") == {None}


def test_kin_share_no_picture(zoo):
    assert drawn(Kin(zoo), "cat", frozenset(("video-0", "video-5"))) <= {2, None}
    lone = Classified([picture(0, "cat", "a"), picture(1, "cat", "a")])
    assert drawn(Kin(lone), "cat", frozenset(("a",))) == {None}


def test_a_part_of_a_data_set_keeps_its_classes(zoo):
    part = select(zoo, exclude=["video-0", "video-1"])
    assert part.object_classes == ["Cat", "", "dog", "cat"]
    assert drawn(Kin(part), "cat") == {0, 3}
    assert select(MemoryCollection(zoo), only=["video-1"]).object_classes == []


COLOURS = {"red": 0, "green": 1, "blue": 2}


class Plain:
    """One picture, grey with a box of one colour."""

    def __init__(self, channel, background):
        self.channel, self.background = channel, background

    def __len__(self):
        return 1

    def read(self, index):
        frame = np.full((80, 120, 3), self.background, np.uint8)
        frame[20:44, 20:44] = 0
        frame[20:44, 20:44, self.channel] = 250
        return frame


def coloured(name, background=120):
    return Sequence(
        f"{name}-{background}",
        Plain(COLOURS[name], background),
        np.array([[20.0, 20.0, 24.0, 24.0]]),
        np.ones(1, bool),
        object_class=name,
    )


@pytest.fixture
def box_of_paints():
    return Classified(coloured(name, shade) for name in COLOURS for shade in range(100, 108))


MODEL = ModelConfig(
    num_templates=2,
    search=CropConfig(side=64, factor=4.0),
    template=CropConfig(side=32, factor=2.0),
    geometry="exact",
)


def intruders(collections, kin):
    """Of 40 samples that got another object, how many show the colour of their target only."""
    data = DataConfig(
        sampling=SamplingConfig(),
        jitter=JitterConfig(search_centre=0, search_scale=0),
        staging=StagingConfig(intruders=1, kin=kin),
    )
    samples = Samples(Mixture(collections, (1.0, *(1e-9 for _ in collections[1:]))), MODEL, data)
    alike = changed = 0
    for index in range(40):
        sample = samples[0, index]
        before, after = sample.frames[sample.frame_index[0]], sample.frames[sample.frame_index[-1]]
        new = (before != after).any(axis=2)
        if new.any():
            changed += 1
            painted, target = after[new].astype(int), before[32, 32]
            vivid = painted[np.ptp(painted, axis=1) > 180]
            alike += bool(len(vivid)) and bool((vivid.argmax(axis=1) == target.argmax()).all())
    assert changed >= 30
    return alike / changed


def test_samples_show_kin_of_their_target_as_often_as_asked(box_of_paints):
    assert intruders((box_of_paints,), 1.0) > 0.9
    assert 0.15 < intruders((box_of_paints,), 0.0) < 0.5


def test_kin_come_from_the_data_sets_that_have_some(box_of_paints):
    others = tuple(Classified([moving_video(seed)]) for seed in (50, 51, 52))
    assert intruders((box_of_paints, *others), 1.0) > 0.9


def scene_colours(kin):
    config = SyntheticConfig(
        num_frames=4,
        side=160,
        smallest=0.1,
        largest=0.2,
        max_distractors=3,
        kin=kin,
        occlusion=1.0,
        exposure=0,
    )
    backgrounds = MemoryCollection(
        Sequence(f"back-{k}", MemoryFrames((80, 120), 1, k), np.zeros((1, 4)), np.ones(1, bool))
        for k in range(3)
    )
    paints = Classified(coloured(name, shade) for name in COLOURS for shade in range(100, 108))
    videos = SyntheticVideos(paints, backgrounds, config)
    same = total = 0
    for index in range(12):
        video = videos[index]
        scene = video.frames.scene
        target = scene.layers[scene.target].cutout
        assert video.object_class == target.object_class in COLOURS
        others = [layer.cutout for layer in scene.layers if not layer.cutout.origins <= target.origins]
        same += sum(other.object_class == target.object_class for other in others)
        total += len(others)
    assert total >= 20
    return same / total


def test_synthetic_video_shows_kin_of_its_target_beside_and_in_front_of_it():
    assert scene_colours(1.0) > 0.95
    assert scene_colours(0.0) < 0.6

"""Targets of the same class: which they are, and that samples and synthetic video ask for it."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from tests.memory import MemoryCollection, MemoryFrames, moving_video

from starktrack.config.data import DataConfig, DistractorConfig, JitterConfig, SamplingConfig, SyntheticConfig
from starktrack.config.schema import CropConfig, ModelConfig
from starktrack.data.parts import Parts
from starktrack.data.same_class import TargetsByClass
from starktrack.data.samples.drawing import FramePlace, Mixture
from starktrack.data.samples.sample import Samples
from starktrack.data.selection import select
from starktrack.data.sources import indexed, open_dataset
from starktrack.data.synthetic.videos import SyntheticVideos
from starktrack.data.video_sequence import TargetClasses, VideoSequence

CLASSES = ("cat", "dog", "Cat", None, "dog", "cat")


class Classified(MemoryCollection):
    def target_classes(self):
        names = [sequence.object_class or "" for sequence in self]
        known = sorted(set(names))
        return TargetClasses(tuple(known), np.array([known.index(name) for name in names], int))


def class_names(collection):
    classes = collection.target_classes()
    return [classes.names[number] for number in classes.number]


def picture(seed, object_class, origin=None):
    still = replace(moving_video(seed, length=1), object_class=object_class)
    return still if origin is None else replace(still, videos=frozenset((origin,)))


def drawn(same_class, object_class, origins=frozenset(), **options):
    found = (
        same_class.draw(object_class, origins, np.random.default_rng(seed), **options) for seed in range(60)
    )
    return {sequence.name if sequence else None for sequence in found}


def videos(*numbers):
    return {f"video-{number}" for number in numbers}


@pytest.fixture
def zoo():
    return Classified(picture(seed, name) for seed, name in enumerate(CLASSES))


def test_same_class_have_the_same_class_whatever_its_capital_letters(zoo):
    same_class = TargetsByClass(zoo)
    assert drawn(same_class, "CAT") == videos(0, 2, 5) and drawn(same_class, "dog") == videos(1, 4)


def test_a_class_that_is_not_known_or_not_told_has_no_other(zoo):
    assert drawn(TargetsByClass(zoo), "horse") == {None}
    assert drawn(TargetsByClass(zoo), None) == drawn(TargetsByClass(zoo), "") == {None}
    assert drawn(TargetsByClass(MemoryCollection(zoo)), "cat") == {None}
    assert drawn(TargetsByClass(Classified([])), "cat") == {None}


def test_same_class_share_no_picture(zoo):
    assert drawn(TargetsByClass(zoo), "cat", frozenset(videos(0, 5))) == videos(2)
    lone = Classified([picture(0, "cat", "a"), picture(1, "cat", "a")])
    assert drawn(TargetsByClass(lone), "cat", frozenset(("a",))) == {None}


def test_same_class_may_have_to_fit(zoo):
    assert drawn(TargetsByClass(zoo), "cat", fits=lambda sequence: sequence.name == "video-5") == videos(5)
    assert drawn(TargetsByClass(zoo), "cat", fits=lambda sequence: False) == {None}


def test_of_a_large_class_a_few_are_looked_at():
    looked = []
    crowd = TargetsByClass(Classified(picture(seed, "ant") for seed in range(200)))
    crowd.draw("ant", frozenset(), np.random.default_rng(0), fits=lambda each: looked.append(each.name))
    assert len(set(looked)) == len(looked) == 20


def test_parts_of_a_data_set_and_of_its_targets_keep_their_classes(zoo):
    part = select(zoo, exclude=["video-0", "video-1"])
    assert class_names(part) == ["Cat", "", "dog", "cat"]
    assert drawn(TargetsByClass(part), "cat") == videos(2, 5)
    assert drawn(TargetsByClass(Parts(zoo)), "dog") == videos(1, 4)
    assert not class_names(select(MemoryCollection(zoo), only=["video-1"])) and not class_names(
        Parts(MemoryCollection(zoo))
    )


def test_the_data_sets_on_disk_tell_what_their_targets_are(tmp_path):
    build = tmp_path / "coco"
    (build / "train").mkdir(parents=True)
    for name in ("a", "c"):
        (build / "train" / f"{name}.jpg").write_bytes(b"")
    images = [{"id": k, "file_name": f"{name}.jpg", "width": 9, "height": 9} for k, name in enumerate("abc")]
    objects = [
        {"id": k, "image_id": image, "category_id": kind, "bbox": [1, 1, 4, 4]}
        for k, (image, kind) in enumerate([(0, 7), (1, 7), (2, 3), (0, 3)])
    ]
    kinds = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]
    content = {"images": images, "annotations": objects, "categories": kinds}
    (build / "train.json").write_text(json.dumps(content))
    coco = open_dataset("coco", build, "train", allow_missing=True)
    assert class_names(coco) == [sequence.object_class for sequence in coco] == ["dog", "cat", "cat"]
    own = tmp_path / "videos"
    for name, kind in (("one", "Car"), ("two", None), ("six", "car")):
        (own / name).mkdir(parents=True)
        cv2.imwrite(str(own / name / "00000001.jpg"), np.zeros((20, 20, 3), np.uint8))
        (own / name / "groundtruth.txt").write_text("1,1,5,5\n")
        if kind:
            (own / name / "meta_info.ini").write_text(f"[METAINFO]\nobject_class: {kind}\n")
    (own / "list.txt").write_text("one\ntwo\nsix\n")
    found = indexed(open_dataset("videos", own, "all"))
    assert class_names(found) == [each.object_class or "" for each in found] == ["Car", "", "car"]


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
    return VideoSequence(
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


def distractors(collections, same_class):
    """Of 40 samples that got another object, how many show the colour of their target only."""
    data = DataConfig(
        sampling=SamplingConfig(),
        jitter=JitterConfig(search_centre=0, search_scale=0),
        distractors=DistractorConfig(distractors=1, same_class=same_class),
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


def test_samples_show_others_of_the_class_of_their_target_as_often_as_asked(box_of_paints):
    assert distractors((box_of_paints,), 1.0) > 0.9
    assert 0.15 < distractors((box_of_paints,), 0.0) < 0.5


def test_same_class_are_looked_for_in_every_data_set(box_of_paints):
    own = Classified(box_of_paints[:1])
    assert box_of_paints[0].object_class == "red"
    found = distractors((own, box_of_paints), 1.0)
    assert found > 0.9


def test_without_same_class_any_other_object_comes(box_of_paints):
    lonely = Classified(replace(each, object_class=each.name) for each in box_of_paints)
    assert 0.15 < distractors((lonely,), 1.0) < 0.5
    assert 0.15 < distractors((MemoryCollection(box_of_paints),), 1.0) < 0.5


def test_without_a_share_no_number_is_drawn_for_it(box_of_paints, monkeypatch):
    monkeypatch.setattr(TargetsByClass, "draw", lambda *_, **__: pytest.fail("nobody asked for one"))
    distractors((box_of_paints,), 0.0)
    scene_colours(0.0)
    rng = np.random.default_rng(0)
    samples = Samples(
        Mixture((box_of_paints,), (1.0,)), MODEL, DataConfig(distractors=DistractorConfig(distractors=1))
    )
    assert samples.inserter._of_same_class(FramePlace(0, 0, 0), rng) is None
    assert rng.random() == np.random.default_rng(0).random()


def test_same_class_without_distractors_are_refused():
    with pytest.raises(
        ValueError, match=r"same_class is a share of distractors, got 0\.5 and no distractors; set both"
    ):
        DistractorConfig(same_class=0.5)


def test_same_class_come_from_the_data_sets_that_have_some(box_of_paints):
    others = tuple(Classified([moving_video(seed)]) for seed in (50, 51, 52))
    assert distractors((box_of_paints, *others), 1.0) > 0.9


def scene_colours(same_class, paints=None):
    config = SyntheticConfig(
        num_frames=4,
        side=160,
        smallest=0.1,
        largest=0.2,
        max_distractors=3,
        same_class=same_class,
        occlusion=1.0,
        exposure=0,
    )
    backgrounds = MemoryCollection(
        VideoSequence(f"back-{k}", MemoryFrames((80, 120), 1, k), np.zeros((1, 4)), np.ones(1, bool))
        for k in range(3)
    )
    paints = paints or Classified(coloured(name, shade) for name in COLOURS for shade in range(100, 108))
    films = SyntheticVideos(paints, backgrounds, config)
    same = total = 0
    for index in range(12):
        film = films[index]
        scene = film.frames.scene
        target = scene.layers[scene.target].cutout
        assert film.object_class == target.object_class in COLOURS
        others = [layer.cutout for layer in scene.layers if not layer.cutout.origins <= target.origins]
        same += sum(other.object_class == target.object_class for other in others)
        total += len(others)
    assert total >= 20
    return same / total


def test_synthetic_video_shows_others_of_the_class_of_its_target_beside_and_in_front_of_it():
    assert scene_colours(1.0) > 0.95
    assert scene_colours(0.0) < 0.6


def test_same_class_that_are_too_small_to_cut_out_are_passed_over():
    small = [
        replace(coloured(name, 90 + k), boxes_xywh=np.array([[20.0, 20.0, 9.0, 9.0]]))
        for name in COLOURS
        for k in range(9)
    ]
    paints = [coloured(name, shade) for name in COLOURS for shade in range(100, 108)]
    assert scene_colours(1.0, Classified([*small, *paints])) > 0.95

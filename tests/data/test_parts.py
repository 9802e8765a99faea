"""Parts of targets as targets."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from tests.memory import MemoryCollection, moving_video

from starktrack.config.recipes import read_recipe
from starktrack.config.training import DatasetConfig, Recipe
from starktrack.data.parts import MIN_SIDE, SHARES, Parts
from starktrack.training.datasets import open_collections


def pictures(box=(10.0, 8.0, 60.0, 40.0)):
    return MemoryCollection([moving_video(seed, length=1, size_hw=(120, 160), box=box) for seed in range(30)])


def test_a_part_lies_in_its_target_and_is_neither_all_nor_nothing_of_it():
    whole = pictures()
    shares = []
    for before, after in zip(whole, Parts(whole), strict=True):
        inner, outer = after.boxes_xywh[0], before.boxes_xywh[0]
        assert (inner[:2] >= outer[:2]).all()
        assert (inner[:2] + inner[2:] <= outer[:2] + outer[2:] + 1e-9).all()
        shares.append(inner[2:] / outer[2:])
        assert after.masks is None and after.name == before.name and after.origins == before.origins
    assert np.min(shares) >= SHARES[0] and np.max(shares) <= SHARES[1]
    assert np.std(shares) > 0.1


def test_the_same_seed_takes_the_same_parts():
    one, same, other = (Parts(pictures(), seed)[3].boxes_xywh for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_small_targets_stay_whole():
    whole = pictures(box=(10.0, 8.0, MIN_SIDE, 40.0))
    np.testing.assert_array_equal(Parts(whole)[0].boxes_xywh, whole[0].boxes_xywh)


def test_it_is_a_data_set_of_the_same_length_and_names():
    whole = pictures()
    assert len(Parts(whole)) == 30 and list(Parts(whole).names) == list(whole.names)


def test_a_data_set_of_a_recipe_can_be_one_of_parts(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    video = tmp_path / "data" / "video"
    video.mkdir(parents=True)
    cv2.imwrite(str(video / "00000001.png"), np.zeros((48, 64, 3), np.uint8))
    (video / "groundtruth.txt").write_text("2,2,60,44\n")
    own = {"source": "videos", "split": "all"}
    datasets = {"whole": DatasetConfig(**own), "parts": DatasetConfig(**own, parts=True)}
    opened = open_collections(datasets, tmp_path / "data", 0)
    whole, part = (opened[name][0].boxes_xywh[0] for name in datasets)
    np.testing.assert_array_equal(whole, [2, 2, 60, 44])
    assert (part[2:] < whole[2:]).all()


@pytest.mark.parametrize(
    "other", [{"source": "synthetic", "objects": "own", "backgrounds": "own"}, {"outlined": True}]
)
def test_parts_of_what_has_no_parts_are_refused(other):
    recipe = read_recipe("mobile")
    odd = DatasetConfig(**{"source": "coco", "parts": True, **other})
    datasets = {"own": DatasetConfig(source="coco"), "odd": odd}
    with pytest.raises(ValueError, match=r"datasets.odd.parts must be false"):
        Recipe(config=recipe.config, datasets=datasets, stages=recipe.stages)


def test_frames_without_a_box_stay_without():
    video = moving_video(0, length=3, size_hw=(120, 160), box=(10.0, 8.0, 60.0, 40.0), hidden=[1])
    video.boxes_xywh[1] = np.nan
    part = Parts(MemoryCollection([video]))[0]
    assert np.isnan(part.boxes_xywh[1]).all() and np.isfinite(part.boxes_xywh[[0, 2]]).all()
    unseen = replace(video, visible=np.zeros(3, bool))
    assert len(Parts(MemoryCollection([unseen]))[0]) == 3

"""Part of a data set by name."""

import numpy as np
import pytest

from starktrack.data.selection import select
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import DatasetError


class NoFrames:
    def __len__(self):
        return 0

    def read(self, index):
        raise IndexError(index)


class Named(list):
    names = ("otb_Car", "otb_Dog", "uav_car")


@pytest.fixture
def whole() -> Named:
    return Named(VideoSequence(name, NoFrames(), np.zeros((0, 4)), np.zeros(0, bool)) for name in Named.names)


def test_only_and_exclude_are_patterns_of_names(whole):
    part = select(whole, only=["otb_*"], exclude=["*Dog"])
    assert part.names == ["otb_Car"] and len(part) == 1 and part[0].name == "otb_Car"
    assert list(select(whole, exclude=["otb_*"]).names) == ["uav_car"]


def test_positions_take_eight_bytes_each(whole):
    part = select(whole, only=["*_car", "otb_Dog"])
    assert part.positions.tolist() == [1, 2] and part.positions.nbytes == 16


def test_without_patterns_the_data_set_itself_comes_back(whole):
    assert select(whole) is whole


def test_a_pattern_that_matches_nothing_is_refused_with_the_nearest_name(whole):
    with pytest.raises(DatasetError, match=r"got 'otb_Dig'; did you mean 'otb_Dog'"):
        select(whole, only=["otb_Dig"])


def test_nothing_left_is_refused(whole):
    with pytest.raises(DatasetError, match="must leave sequences, got none"):
        select(whole, exclude=["*"])

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from starktrack.data.video.prefetch import Prefetcher


class Counted:
    def __init__(self):
        self.read_indices = []

    def __len__(self):
        return 10

    def read(self, index):
        self.read_indices.append(index)
        return np.full((2, 2, 3), index, np.uint8)


def test_frames_come_in_the_order_asked_for_and_only_a_few_ahead():
    frames = Counted()
    with ThreadPoolExecutor(2) as pool:
        ahead = Prefetcher(frames, range(9, -1, -1), pool, depth=3)
        first = next(ahead)
        assert first[0, 0, 0] == 9
        assert len(frames.read_indices) <= 4
        assert [image[0, 0, 0] for image in ahead] == list(range(8, -1, -1))
        with pytest.raises(StopIteration):
            next(ahead)
    assert ahead.decode_seconds > 0


def test_what_was_given_up_is_not_given():
    with ThreadPoolExecutor(1) as pool:
        ahead = Prefetcher(Counted(), range(10), pool, depth=2)
        ahead.close()
        assert list(ahead) == []

"""Data sets in memory, for tests."""

import numpy as np

from starktrack.data.video_sequence import VideoSequence


class MemoryFrames:
    """Random frames that are made when read; `broken` ones cannot be."""

    def __init__(self, size_hw, length, seed, broken=()):
        self.size_hw, self.length, self.seed, self.broken = size_hw, length, seed, broken

    def __len__(self):
        return self.length

    def read(self, index):
        from starktrack.errors import DatasetError

        if index in self.broken:
            raise DatasetError(f"a frame must be a picture, frame {index} of video {self.seed} is not")
        rng = np.random.default_rng([self.seed, index])
        return rng.integers(0, 256, (*self.size_hw, 3), dtype=np.uint8)


class MemoryCollection(list):
    @property
    def names(self):
        return [sequence.name for sequence in self]


def moving_video(seed, *, length=30, size_hw=(60, 80), hidden=(), broken=(), box=(20.0, 15.0, 16.0, 12.0)):
    boxes = np.tile(box, (length, 1)) + np.arange(length)[:, None] * [0.5, 0.25, 0, 0]
    visible = np.ones(length, bool)
    visible[list(hidden)] = False
    return VideoSequence(f"video-{seed}", MemoryFrames(size_hw, length, seed, broken), boxes, visible)


def small_collection(count=6):
    """Videos and pictures of several sizes."""
    videos = [moving_video(k, size_hw=(60 + 7 * k, 80 - 5 * k)) for k in range(count)]
    return MemoryCollection([*videos, moving_video(99, length=1)])

"""Prefetches frames: decodes a few ahead in the background."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future

from starktrack.arrays import Image
from starktrack.data.video_sequence import FrameSource


class Prefetcher:
    """Gives frames in a chosen order, each decoded before it is needed; holds at most `depth` of them.

    Args:
        frames: The source.
        order: Indices of the frames, in the order to give them.
        pool: Decodes them.
        depth: Most frames decoded or being decoded at a time.

    Attributes:
        decode_seconds: Time spent on decoding what was given so far, in the background.
        wait_seconds: Time for which `next` had to wait.
    """

    def __init__(self, frames: FrameSource, order: Iterable[int], pool: Executor, *, depth: int) -> None:
        self.decode_seconds = 0.0
        self.wait_seconds = 0.0
        self._frames = frames
        self._order = iter(order)
        self._pool = pool
        self._ready: deque[Future[tuple[Image, float]]] = deque()
        for _ in range(depth):
            self._ask()

    def __iter__(self) -> Iterator[Image]:
        """Return itself; an iterator gives its frames once."""
        return self

    def __next__(self) -> Image:
        """Return the next frame.

        Raises:
            DatasetError: It is missing or cannot be decoded.
        """
        if not self._ready:
            raise StopIteration
        start = time.perf_counter()
        image, seconds = self._ready.popleft().result()
        self.wait_seconds += time.perf_counter() - start
        self.decode_seconds += seconds
        self._ask()
        return image

    def close(self) -> None:
        """Cancel the prefetched frames."""
        for future in self._ready:
            future.cancel()
        self._ready.clear()

    def _ask(self) -> None:
        index = next(self._order, None)
        if index is not None:
            self._ready.append(self._pool.submit(self._read, index))

    def _read(self, index: int) -> tuple[Image, float]:
        start = time.perf_counter()
        image = self._frames.read(index)
        return image, time.perf_counter() - start

"""Prefetches frames: decodes a few ahead in the background."""

import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, wait

from starktrack.arrays import Image
from starktrack.data.video.frame_stream import Frame
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


class StreamPrefetcher:
    """Gives the frames of a stream, read in the background by one thread at a time; holds at most `depth` of them.

    Args:
        frames: The stream as a generator; closing it closes the source.
        pool: Reads it.
        depth: How many frames are ready or in work at a time.

    Attributes:
        decode_seconds: Time spent on reading what was given so far, in the background.
        wait_seconds: Time for which `next` had to wait.
    """

    def __init__(self, frames: Generator[Frame, None, None], pool: Executor, *, depth: int) -> None:
        self.decode_seconds = 0.0
        self.wait_seconds = 0.0
        self._frames, self._pool, self._depth = frames, pool, depth
        self._ready: deque[Future[tuple[Frame | None, float]]] = deque()
        self._lock = threading.RLock()
        self._is_reading = self._is_over = False
        self._ask()

    def __iter__(self) -> Iterator[Frame]:
        """Return itself: frames come once."""
        return self

    def __next__(self) -> Frame:
        """Return the next frame.

        Raises:
            VideoError: The stream cannot be read any further.
        """
        if not self._ready:
            raise StopIteration
        start = time.perf_counter()
        frame, seconds = self._ready.popleft().result()
        self.wait_seconds += time.perf_counter() - start
        self.decode_seconds += seconds
        if frame is None:
            raise StopIteration
        self._ask()
        return frame

    def close(self) -> None:
        """Give up frames that nobody will ask for any more, and close the source."""
        with self._lock:
            self._is_over = True
            running = [future for future in self._ready if not future.cancel()]
            self._ready.clear()
        wait(running)
        self._frames.close()

    def _ask(self) -> None:
        with self._lock:
            if not (self._is_reading or self._is_over) and len(self._ready) < self._depth:
                self._is_reading = True
                self._ready.append(self._pool.submit(self._read))

    def _read(self) -> tuple[Frame | None, float]:
        start = time.perf_counter()
        frame = None
        try:
            frame = next(self._frames, None)
        finally:
            # The next frame is asked for before this one is given: without a frame ahead the stream is over.
            with self._lock:
                self._is_reading = False
                self._is_over = self._is_over or frame is None
                self._ask()
        return frame, time.perf_counter() - start

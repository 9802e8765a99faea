"""Any frame of a video by its index, by seeking; the same pictures as those of `open_frames`.

A file is indexed once, by reading its packets without decoding them. A frame is then decoded from the key frame
before it. Sources with packets without display times are read from the beginning instead, which is slower.
"""

import io
import threading
import time
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError

from starktrack.arrays import Image
from starktrack.data.frames import open_frames
from starktrack.data.video import image_files
from starktrack.data.video.container import open_file, open_source
from starktrack.data.video.file import BinaryFile, ToArray, address_options, first_video
from starktrack.data.video.frame_stream import FrameStream
from starktrack.data.video.intensity import IntensityScale
from starktrack.data.video.remote import is_remote_file, name_of, open_file_object, open_remote
from starktrack.errors import InputError, VideoError

COUNT_SECONDS = 300.0
"""Longest time for counting the frames of a source by decoding all of them."""

CACHE_BYTES = 256 * 2**20
"""Memory for decoded pictures, bytes; the least recently used are dropped first."""


@dataclass(frozen=True)
class _Index:
    """The display times of a file's frames, and its key frames; ticks of the stream's clock.

    Attributes:
        times: Display times of the frames, rising.
        keys: Display times of the key frames, rising.
    """

    times: list[int]
    keys: list[int]


class RandomFrames:
    """The frames of a video file or image folder, in any order, from any thread.

    Attributes:
        name: Name of the source in messages.
        size_hw: Size of every frame, upright.
        frame_rate: Frames per second; None if the source has no clock.
        pixel_aspect: Width of a pixel over its height, as the frames are to be shown.

    Args:
        source: A video file, a folder or glob of images, an animation, or the address of a file; as `open_frames`,
            less what comes only once.
        cache_bytes: Most memory for decoded pictures.
        decoder_threads: As `open_frames`.

    Raises:
        VideoError: The source cannot be read, or comes only once (a camera, a pipe, a live stream).

    Example:
        >>> with RandomFrames("dog.mp4") as frames:  # doctest: +SKIP
        ...     frames.read(len(frames) - 1).shape
    """

    def __init__(
        self, source: str | Path, *, cache_bytes: int = CACHE_BYTES, decoder_threads: int = 0
    ) -> None:
        self._source: Path | str = source if "://" in str(source) else Path(source)
        if isinstance(self._source, Path):
            comes_once = self._source.is_fifo()
        else:
            scheme = self._source.partition("://")[0].lower()
            comes_once = not is_remote_file(self._source) and scheme not in ("http", "https")
        if comes_once:
            raise VideoError(f"frames in any order need a file or a folder, got {source}")
        with open_frames(self._source, decoder_threads=decoder_threads) as stream:
            first = stream.peek()
            self.name, self.size_hw, self.frame_rate = stream.name, stream.size_hw, stream.frame_rate
            self.pixel_aspect = stream.pixel_aspect
        self._lock = threading.Lock()
        self._cache: OrderedDict[int, Image] = OrderedDict({0: first.image})
        self._most_cached = max(2, cache_bytes // max(1, first.image.nbytes))
        self._reader = _open_reader(self._source, decoder_threads)
        self._latest = 0
        self._num_frames: int | None = self._reader.num_frames

    def __len__(self) -> int:
        """Return the number of frames; sources without this number are read once to the end."""
        with self._lock:
            if self._num_frames is None:
                self._num_frames = self._reader.count()
            return self._num_frames

    def read(self, index: int) -> Image:
        """Return frame `index`, from 0; the array is shared and read-only.

        Raises:
            InputError: There is no such frame.
            VideoError: It cannot be decoded.
        """
        if index < 0:
            raise InputError(f"a frame must be 0 or more, got {index}; frames count from 0")
        with self._lock:
            if index in self._cache:
                self._cache.move_to_end(index)
                return self._cache[index]
            # Keep the frames on the way: reading backwards needs them next.
            is_backward = 0 < self._latest - index <= self._most_cached
            self._latest = index
            for place, image in self._reader.read(index, self._most_cached if is_backward else 1):
                if image.shape[:2] != tuple(self.size_hw):
                    raise VideoError(
                        f"frame {place} of {self.name} must be {self.size_hw[1]} x {self.size_hw[0]} pixels like the "
                        f"first, got {image.shape[1]} x {image.shape[0]}; remove or scale it"
                    )
                image.setflags(write=False)
                self._cache[place] = image
            while len(self._cache) > self._most_cached:
                self._cache.popitem(last=False)
            return self._cache[index]

    def again(self, *, cache_bytes: int = CACHE_BYTES) -> "RandomFrames":
        """Return the same frames with a decoder and a cache of their own; the file is not indexed again."""
        with self._lock:
            # Without `__init__`, which would open the file and index it again.
            twin = object.__new__(RandomFrames)
            twin.__dict__.update(self.__dict__)
            twin._lock, twin._cache, twin._latest = threading.Lock(), OrderedDict(), 0
            twin._most_cached = max(2, cache_bytes // max(1, 3 * self.size_hw[0] * self.size_hw[1]))
            twin._reader = self._reader.again()
            return twin

    def cached(self, index: int) -> Image | None:
        """Return frame `index` if it is in the cache, without waiting for a decoder at work."""
        return self._cache.get(index)

    def seconds(self, index: int) -> float | None:
        """Return the display time of a frame, as `open_frames`; None if the source has no clock."""
        return self._reader.seconds(index, self.frame_rate)

    def close(self) -> None:
        """Close the file and forget the pictures."""
        with self._lock:
            self._reader.close()
            self._cache.clear()

    def __enter__(self) -> "RandomFrames":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Images:
    """A folder of images, one file a frame."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self._paths = paths
        self._scale = IntensityScale(paths[0].parent.name)
        self._scale.to_rgb(image_files.read_array(paths[0]))  # the first picture fixes the scale of all
        self.num_frames: int | None = len(paths)

    def read(self, index: int, most: int) -> list[tuple[int, Image]]:
        if index >= len(self._paths):
            raise _no_such_frame(index, len(self._paths))
        return [(index, self._scale.to_rgb(image_files.read_array(self._paths[index])))]

    def count(self) -> int:
        return len(self._paths)

    def again(self) -> "_Images":
        return self

    def seconds(self, index: int, frame_rate: float | None) -> float | None:
        return None

    def close(self) -> None:
        pass


class _InOrder:
    """A source that can only be read from the beginning; going back starts it again."""

    def __init__(self, source: Path | str, threads: int) -> None:
        self._source, self._threads = source, threads
        self._stream: FrameStream | None = None
        self._next = 0
        self.num_frames: int | None = None

    def read(self, index: int, most: int) -> list[tuple[int, Image]]:
        if self._stream is None or index < self._next:
            self.close()
            first = max(0, index + 1 - most)
            self._stream = open_frames(self._source, start_frame=first, decoder_threads=self._threads)
            self._next = first
        kept: deque[tuple[int, Image]] = deque(maxlen=most)
        for frame in self._stream:
            self._next = frame.index + 1
            kept.append((frame.index, frame.image))
            if frame.index == index:
                return list(kept)
        raise _no_such_frame(index, self._next)

    def count(self) -> int:
        deadline, count = time.monotonic() + COUNT_SECONDS, 0
        with open_frames(self._source, decoder_threads=self._threads) as stream:
            for _ in stream:
                count += 1
                if time.monotonic() > deadline:
                    raise VideoError(
                        f"the frames of {stream.name} must be counted within {COUNT_SECONDS:g} seconds, "
                        f"got to {count}; convert it to MP4 with FFmpeg"
                    )
        return count

    def again(self) -> "_InOrder":
        return _InOrder(self._source, self._threads)

    def seconds(self, index: int, frame_rate: float | None) -> float | None:
        return index / frame_rate if frame_rate else None

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class _Seeking:
    """A video file with a display time in every packet."""

    def __init__(self, source: Path | str, index: _Index, threads: int) -> None:
        self._source, self._index, self._threads = source, index, threads
        self._place = {time: position for position, time in enumerate(index.times)}
        self._file, self._container = _open_container(source)
        self._video = first_video(self._container)
        self._video.thread_type = "AUTO"
        self._video.thread_count = threads
        self._to_array = ToArray()
        self._scale = IntensityScale(Path(source).name)
        self._skipped_before: int | None = None
        self._frames = self._decoded()
        self._next = 0
        self._in_order: _InOrder | None = None
        self.num_frames: int | None = len(index.times)

    def read(self, index: int, most: int) -> list[tuple[int, Image]]:
        if index >= len(self._index.times):
            raise _no_such_frame(index, len(self._index.times))
        if self._in_order is not None:
            return self._in_order.read(index, most)
        try:
            found = self._decode_to(index, most)
        except (OSError, FFmpegError) as error:
            raise VideoError(
                f"frame {index} of {self._source} cannot be decoded: {error.strerror or error}; copy or download it "
                "again"
            ) from error
        if found is None:  # the file breaks its own index: read it as `open_frames` does
            self._in_order = _InOrder(self._source, self._threads)
            return self._in_order.read(index, most)
        return [(place, self._scale.to_rgb(self._to_array(frame))) for place, frame in found]

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Yield the frames from here on; those before `_skipped_before` only if another frame refers to them."""
        for packet in self._container.demux(self._video):
            if self._skipped_before is not None and (
                packet.pts is None or packet.pts >= self._skipped_before
            ):
                self._skipped_before = None
                self._video.codec_context.skip_frame = "DEFAULT"
            yield from packet.decode()

    def _decode_to(self, index: int, most: int) -> list[tuple[int, av.VideoFrame]] | None:
        wanted = self._index.times[index]
        key = self._index.keys[max(0, bisect_right(self._index.keys, wanted) - 1)]
        # Seek to go back, and where a key frame lies between here and the frame; else decode on.
        if not self._next <= index or self._index.times[self._next] < key:
            self._container.seek(key, stream=self._video)
            self._frames = self._decoded()
            self._next = index + 1  # the first frame after a seek is not known
        # Nothing on the way is kept, so frames that no other refers to need no decoding.
        if most == 1 and index != self._next:
            self._skipped_before = wanted
            self._video.codec_context.skip_frame = "NONREF"
        kept: deque[tuple[int, av.VideoFrame]] = deque(maxlen=most)
        for frame in self._frames:
            place = None if frame.pts is None else self._place.get(frame.pts)
            if place is None or place > index:
                return None
            self._next = place + 1
            kept.append((place, frame))
            if place == index:
                return list(kept)
        return None

    def count(self) -> int:
        return len(self._index.times)

    def again(self) -> "_Seeking":
        twin = _Seeking(self._source, self._index, self._threads)
        twin._scale = self._scale
        return twin

    def seconds(self, index: int, frame_rate: float | None) -> float | None:
        start = self._index.times[0] if self._video.start_time is None else self._video.start_time
        ticks = self._index.times[index] - min(start, self._index.times[0])
        return None if self._video.time_base is None else ticks * float(self._video.time_base)

    def close(self) -> None:
        self._container.close()
        self._file.close()
        if self._in_order is not None:
            self._in_order.close()


def _open_container(source: Path | str) -> tuple[BinaryFile, InputContainer]:
    """Return a video file, and what must be closed after it."""
    if isinstance(source, Path):
        return io.BytesIO(), open_file(str(source))
    if not is_remote_file(source):
        return io.BytesIO(), open_source(source, address_options(source))
    file = open_remote(source)
    return file, open_file_object(file, name_of(source))


def _open_reader(source: Path | str, threads: int) -> "_Images | _InOrder | _Seeking":
    if isinstance(source, Path) and (
        source.is_dir() or image_files.is_image(source) or image_files.is_pattern(source)
    ):
        paths = image_files.find_images(source)
        return _Images(paths) if len(paths) > 1 else _InOrder(source, threads)
    index = _read_index(source)
    return _InOrder(source, threads) if index is None else _Seeking(source, index, threads)


def _read_index(source: Path | str) -> _Index | None:
    """Return the index of a video file; None if packets lack display times or the file is cut short."""
    times: list[int] = []
    keys: list[int] = []
    try:
        file, container = _open_container(source)
        with closing(file), container:
            if container.format.name == "avi":
                return None  # its packets say when they are decoded
            video = first_video(container)
            for packet in container.demux(video):
                # The demuxer's own last packet, which only flushes a decoder.
                if packet.size == 0 and packet.dts is None:
                    break
                if packet.pts is None or packet.is_corrupt:
                    return None
                if packet.is_discard:
                    continue
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
    except (OSError, FFmpegError):
        return None
    # Packets come in the order of decoding.
    times.sort()
    if len(set(times)) < len(times) or not keys or min(keys) > times[0]:
        return None
    return _Index(times, sorted(keys))


def _no_such_frame(index: int, count: int) -> InputError:
    return InputError(f"a frame must be below the {count} frames of the video, got {index}")

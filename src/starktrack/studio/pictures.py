"""Frames of an open video as JPEG, of the size that a page shows; the latest are kept."""

import threading

import cv2

from starktrack.data.video.random_access import RandomFrames

JPEG_QUALITY = 85
MOST_PICTURE_BYTES = 64 * 2**20


class Pictures:
    """Encoded frames, asked for from several threads.

    Args:
        frames: Of the video.
    """

    def __init__(self, frames: RandomFrames) -> None:
        self.frames = frames
        self.tracked: RandomFrames | None = None
        """The frames of the tracker under way: what it has just decoded is not decoded again."""
        self._kept: dict[tuple[int, int], bytes] = {}
        self._num_bytes = 0
        self._lock = threading.Lock()

    def jpeg(self, index: int, width: int) -> bytes:
        """Return a frame as JPEG, at most `width` pixels wide; 0 is the frame's own width."""
        key = (index, width)
        with self._lock:
            if key in self._kept:
                self._kept[key] = self._kept.pop(key)  # the latest one used comes last
                return self._kept[key]
        tracked = self.tracked
        image = None if tracked is None else tracked.cached(index)
        if image is None:
            image = self.frames.read(index)
        if 0 < width < image.shape[1]:
            height = max(1, round(image.shape[0] * width / image.shape[1]))
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1].tobytes()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = encoded
                self._num_bytes += len(encoded)
            while self._num_bytes > MOST_PICTURE_BYTES and len(self._kept) > 1:
                self._num_bytes -= len(self._kept.pop(next(iter(self._kept))))
        return encoded

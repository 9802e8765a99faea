"""Frames as numbered pictures in a folder or a zip, without a list of paths."""

import io
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import UInt8

from starktrack.arrays import Image
from starktrack.data.sources.folders import Folder
from starktrack.data.video.image_files import decode, natural_key
from starktrack.data.video.intensity import IntensityScale
from starktrack.data.video.picture_header import check_picture_header
from starktrack.errors import DatasetError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".JPG", ".JPEG", ".PNG")
"""Suffixes of frames; every published set uses the first, so it is tried first."""


@dataclass(frozen=True)
class _FramesOfFolder(ABC):
    """Pictures in a folder or a zip; of more than 8 bits by the scale that the first one fixes."""

    folder: Folder

    @abstractmethod
    def name(self, index: int) -> str:
        """Return the file name of frame `index`."""

    def read(self, index: int) -> Image:
        """Return frame `index` (from 0), RGB."""
        image = _read(self.folder, self.name(index))
        if image.dtype != np.uint8:
            return self._scale.to_rgb(image)
        return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)

    @cached_property
    def _scale(self) -> IntensityScale:
        scale = IntensityScale(str(self.folder))
        scale.to_rgb(_read(self.folder, self.name(0)))
        return scale


@dataclass(frozen=True)
class NumberedFrames(_FramesOfFolder):
    """Frames `first`, `first + 1`, ... whose file names follow a pattern, in a folder or a zip.

    Attributes:
        folder: Where they lie.
        pattern: File name with the number's place, such as `{:08d}.jpg`.
        first: Number of the first frame.
        count: How many there are.
    """

    pattern: str
    first: int
    count: int

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """Return the file name of frame `index`."""
        return self.pattern.format(self.first + _checked(index, self.count))


@dataclass(frozen=True)
class NamedFrames(_FramesOfFolder):
    """Pictures listed by name: a still image, or a video whose file names follow no pattern."""

    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Return the file name of frame `index`."""
        return self.names[_checked(index, len(self.names))]


@dataclass(frozen=True)
class MissingFrames:
    """The frames of a sequence with an annotation only; every access is an error."""

    expected: str
    count: int

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> Image:
        """Raise the error that names the first frame."""
        raise DatasetError(f"{self.expected} is missing; it must be the first frame of the sequence")


def find_frames(
    folder: Folder, first: int, count: int, digits: tuple[int, ...]
) -> NumberedFrames | MissingFrames:
    """Return frames with numbers as names, of any padding and suffix.

    Args:
        folder: Where they lie.
        first: Number of the first frame.
        count: How many are wanted.
        digits: Widths to which the numbers may be padded with zeros; 1 for not at all.

    Returns: `MissingFrames` if no file with the first number exists; scoring needs no pictures.
    """
    for extension in EXTENSIONS:
        for width in digits:
            pattern = f"{{:0{width}d}}{extension}"
            if folder.has(pattern.format(first)):
                return NumberedFrames(folder, pattern, first, count)
    expected = f"{first:0{digits[0]}d}{EXTENSIONS[0]}"
    return MissingFrames(folder.label(expected), count)


def all_frames(folder: Folder) -> NumberedFrames | NamedFrames:
    """Return every picture of a folder in the order of its numbers.

    Raises:
        DatasetError: There is no picture.
    """
    names = sorted((name for name in folder.files() if name.endswith(EXTENSIONS)), key=natural_key)
    if not names:
        raise DatasetError(f"{folder} must hold pictures ({', '.join(EXTENSIONS[:5])}), found none")
    digits, extension = re.fullmatch(r"(\d*).*?(\.\w+)", names[0]).groups()  # type: ignore[union-attr]
    if digits:
        for width in {len(digits), 1}:
            frames = NumberedFrames(folder, f"{{:0{width}d}}{extension}", int(digits), len(names))
            if all(frames.name(index) == name for index, name in enumerate(names)):
                return frames
    return NamedFrames(folder, tuple(names))


def read_image(folder: Folder, name: str) -> Image:
    """Return a picture as RGB; one of more than 8 bits by a scale of its own.

    Raises:
        DatasetError: It is missing or cannot be decoded.
    """
    return IntensityScale(folder.label(name)).to_rgb(_read(folder, name))


def _read(folder: Folder, name: str) -> np.ndarray:
    return decode(folder.read(name), folder.label(name))


def read_labels(folder: Folder, name: str) -> UInt8[np.ndarray, "height width"]:
    """Return a picture whose pixels are labels: grey values, or the numbers of its palette.

    Raises:
        DatasetError: It is missing, cannot be decoded, or is a picture in colour.
    """
    content = folder.read(name)
    check_picture_header(content, folder.label(name))
    try:
        labels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    except cv2.error as error:
        raise DatasetError(f"{folder.label(name)} cannot be decoded: {error.err}") from error
    if labels is None:
        raise DatasetError(
            f"{folder.label(name)} cannot be decoded ({len(content)} bytes); it is damaged or no picture"
        )
    if labels.ndim == 2:
        return labels
    # OpenCV gives the colours of a palette; only Pillow gives its indices. Imported here, since few data sets need it.
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(content)) as picture:
            if picture.mode == "P":
                return np.array(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(f"{folder.label(name)} cannot be decoded: {error}") from error
    raise DatasetError(
        f"{folder.label(name)} must be grey or have a palette, so that pixels are labels, got colours; "
        "save it as a PNG of mode P or L"
    )


def _checked(index: int, count: int) -> int:
    if not 0 <= index < count:
        raise IndexError(f"frame index must be from 0 to {count - 1}, got {index}")
    return index

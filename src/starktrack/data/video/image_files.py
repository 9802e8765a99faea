"""Still images as a video: found, sorted as people count, decoded to upright RGB."""

import glob
import re
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from starktrack.arrays import Image
from starktrack.data.video.frame_stream import FrameStream, Picture
from starktrack.errors import DatasetError, VideoError
from starktrack.files import atomic_write

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class ImageFiles:
    """Image files that can be read in any order; fulfils `data.video_sequence.FrameSource`.

    Attributes:
        paths: One file per frame, in order.
    """

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.paths)

    def read(self, index: int) -> Image:
        """Return frame `index` (from 0); grey and transparent images become RGB, EXIF orientation is applied.

        Raises:
            DatasetError: The file is missing or cannot be decoded; names it.
        """
        return read_image(self.paths[index])


def read_image(path: Path) -> Image:
    """Return one image file as upright RGB.

    Raises:
        DatasetError: The file is missing or cannot be decoded; names it.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except OSError as error:
        raise DatasetError(f"{path} must be an image that can be read, got: {error.strerror}") from error
    except cv2.error as error:
        raise DatasetError(f"{path} must be an image that can be decoded, got: {error.err}") from error
    if image is None:
        raise DatasetError(
            f"{path} must be a whole image (jpg, png, webp, bmp or tiff), got {data.size} bytes that cannot "
            "be decoded; replace or remove the file"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_image(path: Path, image: Image) -> None:
    """Write an RGB image whose suffix says how; the file appears when it is whole.

    Raises:
        InputError: The place cannot be written to, or the disk is full.
    """
    _, encoded = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    with atomic_write(path) as partial_path:
        partial_path.write_bytes(encoded.tobytes())


def find_images(source: str | Path) -> tuple[Path, ...]:
    """Return the images of a folder, a glob or a single file, numbers in order: 1, 2, 10.

    Raises:
        VideoError: There are none.
    """
    folder = Path(source)
    found = folder.iterdir() if folder.is_dir() else map(Path, glob.glob(str(source), recursive=True))  # noqa: PTH207 - absolute and relative patterns alike
    images = [path for path in found if is_image(path)]
    if not images:
        raise VideoError(f"{source} must hold jpg, png, webp, bmp or tiff images, got none{_hint(folder)}")
    return tuple(sorted(images, key=_natural_key))


def is_image(path: Path) -> bool:
    """Return whether the name is that of an image file; hidden files are not."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def open_images(name: str, paths: tuple[Path, ...], *, start_frame: int = 0) -> FrameStream:
    """Return image files as a stream without a clock."""
    files = ImageFiles(paths)
    return FrameStream(name, _pictures(files), start_frame=start_frame, num_frames=len(files))


def _pictures(files: ImageFiles) -> Generator[Picture, None, None]:
    for index in range(len(files)):
        yield None, partial(files.read, index)


def _natural_key(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", str(path))
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def _hint(folder: Path) -> str:
    if not folder.is_dir():
        return "; check the path"
    inside = sorted(path.parent for path in folder.glob("*/*") if is_image(path))
    return f"; did you mean {inside[0]}?" if inside else "; give the folder that holds the frames"

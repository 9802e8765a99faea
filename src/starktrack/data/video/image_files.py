"""Still images as a video: found, sorted in numeric order, decoded to upright RGB."""

import glob
import re
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from starktrack.arrays import Image
from starktrack.data.video.frame_stream import FrameStream, Picture
from starktrack.data.video.intensity import IntensityRange, IntensityScale
from starktrack.data.video.picture_header import check_picture_header
from starktrack.errors import DatasetError, InputError, SourceWarning, VideoError
from starktrack.files import atomic_write

_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"),
    *(".jp2", ".ppm", ".pgm", ".pbm", ".pnm"),
)

_KINDS = "jpg, png, webp, bmp, tiff, gif, avif, jp2 or ppm"

_ONE_PICTURE = (".jpg", ".jpeg", ".bmp", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm")
"""Formats that hold exactly one picture."""

_NUMBER_PATTERN = re.compile(r"%(?:0(?P<width>\d+))?d")
"""The place of a number in a name, as FFmpeg writes it: `%d`, `%04d`."""

_PICTURES_AT_ONCE = 32
"""Number of pictures of an animation that are decoded together; each part is decoded from the start of the file."""


def read_image(path: Path) -> Image:
    """Return one image file as upright RGB; one of more than 8 bits by a scale of its own.

    Raises:
        DatasetError: The file is missing, cannot be decoded, or holds several pictures; names it.
    """
    return IntensityScale(path.name).to_rgb(read_array(path))


def read_array(path: Path) -> np.ndarray:
    """Return one image file upright, RGB or grey, with its own numbers: uint8, uint16, float ...

    Raises:
        DatasetError: The file is missing, cannot be decoded, or holds several pictures; names it.
    """
    if path.is_fifo():
        raise DatasetError(f"{path} must be an image file, got a pipe; remove it from the folder")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} must be an image that can be read, got: {error.strerror}") from error
    image = decode(content, str(path))
    count = num_pictures(path)
    if count > 1:
        raise DatasetError(
            f"{path} must hold one picture when it is one of several files, got {count}; give it by itself"
        )
    return image


def num_pictures(path: Path) -> int:
    """Return how many pictures of one size an image file holds; 1 where it cannot be read."""
    if path.suffix.lower() in _ONE_PICTURE or path.is_fifo():
        return 1
    try:
        check_picture_header(path.read_bytes(), str(path))
        count = cv2.imcount(str(path))
        if count > 1 and path.suffix.lower() in (".tif", ".tiff"):
            first, second = (page for _, page in _pages(path, 0, 2))
            return count if first.shape == second.shape else 1  # a preview is no second picture
    except (cv2.error, InputError, OSError, ValueError):
        return 1
    return max(1, count)


def decode(content: bytes, name: str) -> np.ndarray:
    """Return the picture in a file's content upright, RGB or grey, with the numbers that it holds.

    Raises:
        DatasetError: It is no whole picture, or too large; names it.
    """
    check_picture_header(content, name)
    data = np.frombuffer(content, np.uint8)
    image = None
    # Of floats OpenCV makes no colours.
    for colours in (cv2.IMREAD_COLOR, cv2.IMREAD_ANYCOLOR) if data.size else ():
        with _decoding(name):
            image = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | colours)
        if image is not None:
            return _rgb(image)
    raise DatasetError(
        f"{name} must be a whole image ({_KINDS}), got {data.size} bytes that cannot "
        "be decoded; replace or remove the file"
    )


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    try:
        yield
    except cv2.error as error:
        raise DatasetError(f"{name} must be an image that can be decoded, got: {error.err}") from error


def _rgb(bgr: np.ndarray) -> np.ndarray:
    return bgr if bgr.ndim == 2 else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def write_image(path: Path, image: Image) -> None:
    """Write an RGB image in the format of the suffix; the file appears when it is complete.

    Raises:
        InputError: The place cannot be written to, or the disk is full.
    """
    _, encoded = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    with atomic_write(path) as partial_path:
        partial_path.write_bytes(encoded.tobytes())


def find_images(source: str | Path) -> tuple[Path, ...]:
    """Return the images of a folder, a glob, a pattern such as `%04d.png`, or a single file.

    Convention: numeric order: 1, 2, 10. A name that exists is taken literally, even with brackets.

    Raises:
        VideoError: There are none.
    """
    place = Path(source)
    if place.is_dir():
        found = place.iterdir()
    elif place.exists():
        found = iter([place])
    elif _NUMBER_PATTERN.search(place.name):
        found = _numbered(place)
    else:
        found = map(Path, glob.glob(_without_literal_brackets(place), recursive=True))  # noqa: PTH207 - absolute and relative patterns alike
    images = [path for path in found if is_image(path)]
    if not images:
        raise VideoError(f"{source} must hold {_KINDS} images, got none{_hint(place)}")
    return tuple(sorted(images, key=lambda path: natural_key(str(path))))


def is_image(path: Path) -> bool:
    """Return whether the name is that of an image file; hidden files are not."""
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")


def is_pattern(path: Path) -> bool:
    """Return whether the name is a glob or a numbered pattern."""
    return not path.exists() and (
        any(mark in str(path) for mark in "*?[") or _NUMBER_PATTERN.search(path.name) is not None
    )


def open_images(
    name: str,
    paths: tuple[Path, ...],
    *,
    start_frame: int = 0,
    intensity_range: IntensityRange | None = None,
) -> FrameStream:
    """Return image files as a stream without a clock."""
    return FrameStream(
        name,
        ((None, partial(read_array, path)) for path in paths),
        start_frame=start_frame,
        num_frames=len(paths),
        intensity_range=intensity_range,
    )


def open_pictures(
    path: Path, *, start_frame: int = 0, intensity_range: IntensityRange | None = None
) -> FrameStream:
    """Return the pictures of one file as a stream: the pages of a TIFF, an animated WebP or AVIF.

    Convention: TIFF has no clock; pages of another size than the first are previews and are skipped.
    """
    is_tiff = path.suffix.lower() in (".tif", ".tiff")
    return FrameStream(
        path.name,
        _pages_of_one_size(path) if is_tiff else _animation(path),
        start_frame=start_frame,
        num_frames=None if is_tiff else num_pictures(path),
        intensity_range=intensity_range,
    )


def _pages_of_one_size(path: Path) -> Generator[Picture, None, None]:
    size: tuple[int, ...] | None = None
    with _decoding(str(path)):
        count = cv2.imcount(str(path))
    for number, page in _pages(path, 0, count):
        size = page.shape if size is None else size
        if page.shape == size:
            yield None, partial(_rgb, page)
        else:
            warnings.warn(
                f"{path.name}: page {number} is left out, because it has another size than the first",
                SourceWarning,
                stacklevel=2,
            )


def _pages(path: Path, first: int, end: int) -> Generator[tuple[int, np.ndarray], None, None]:
    data = np.frombuffer(path.read_bytes(), np.uint8)
    for number in range(first, end):
        for colours in (cv2.IMREAD_COLOR, cv2.IMREAD_ANYCOLOR):  # of floats OpenCV makes no colours
            with _decoding(str(path)):
                is_whole, pages = cv2.imdecodemulti(
                    data, cv2.IMREAD_ANYDEPTH | colours, range=(number, number + 1)
                )
            if is_whole and len(pages):
                break
        else:
            raise VideoError(f"page {number} of {path} cannot be decoded; copy or download it again")
        yield number, pages[0]


def _animation(path: Path) -> Generator[Picture, None, None]:
    seconds = 0.0
    for start in range(0, num_pictures(path), _PICTURES_AT_ONCE):
        with _decoding(str(path)):
            is_whole, part = cv2.imreadanimation(str(path), start=start, count=_PICTURES_AT_ONCE)
        if not is_whole or not len(part.frames):
            raise VideoError(f"picture {start} of {path} cannot be decoded; copy or download it again")
        for image, milliseconds in zip(part.frames, part.durations, strict=True):
            yield seconds, partial(cv2.cvtColor, image[..., :3], cv2.COLOR_BGR2RGB)
            seconds += int(milliseconds) / 1000


def _numbered(pattern: Path) -> list[Path]:
    """Return the files that match the pattern with a number."""
    form = ""
    end = 0
    for mark in _NUMBER_PATTERN.finditer(pattern.name):
        form += re.escape(pattern.name[end : mark.start()]) + (
            rf"\d{{{mark['width']},}}" if mark["width"] else r"\d+"
        )
        end = mark.end()
    form += re.escape(pattern.name[end:])
    if not pattern.parent.is_dir():
        return []
    return [path for path in pattern.parent.iterdir() if re.fullmatch(form, path.name)]


def _without_literal_brackets(pattern: Path) -> str:
    """Return the glob with its existing folders taken literally: `takes[1]/*.png`."""
    for folder in pattern.parents:
        if folder.is_dir():
            return str(Path(glob.escape(str(folder))) / pattern.relative_to(folder))
    return str(pattern)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return what orders names by the numbers in them, so that 10.jpg follows 9.jpg."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def _hint(folder: Path) -> str:
    if not folder.is_dir():
        return "; check the path"
    inside = sorted(path.parent for path in folder.glob("*/*") if is_image(path))
    return f"; did you mean {inside[0]}?" if inside else "; give the folder that holds the frames"

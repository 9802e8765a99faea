"""The folder that the studio works in: which videos are there, and where uploads go."""

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from starktrack.data.video.image_files import is_image
from starktrack.errors import InputError, VideoError
from starktrack.files import OutputFile

VIDEO_SUFFIXES = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".m2ts",
        ".mts",
        ".wmv",
        ".flv",
        ".ogv",
        ".3gp",
        ".gif",
        ".apng",
    ]
)

MOST_UPLOAD_BYTES = 4 * 2**30
MOST_LISTED = 2000
MOST_NAME_BYTES = 200
"""Of an upload: file systems take 255, and a project beside the video adds to its name."""
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')


@dataclass(frozen=True)
class Entry:
    """A place in the folder that a page shows.

    Attributes:
        path: Below the root, with slashes.
        kind: `folder`, `video`, or `images` for a folder of frames.
    """

    path: str
    kind: str


class Library:
    """What lies below one folder; links that lead out of it are not followed.

    Args:
        root: The folder.
        most_upload_bytes: Largest file that is taken.
    """

    def __init__(self, root: Path, *, most_upload_bytes: int = MOST_UPLOAD_BYTES) -> None:
        self.root = root.resolve()
        self.most_upload_bytes = most_upload_bytes

    def resolve(self, path: str) -> Path:
        """Return a place below the root.

        Raises:
            InputError: It lies outside, or does not exist.
        """
        if not isinstance(path, str) or "\0" in path:
            raise InputError(f"a path must be a text without zeros, got {path!r}")
        try:
            place = (self.root / path).resolve()
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path} cannot be opened: {error}") from error
        if not place.is_relative_to(self.root):
            raise InputError(f"a path must lie below {self.root.name}, got {path}")
        if not place.exists():
            raise InputError(f"{path} must exist, got no such file or folder; reload the list")
        return place

    def entries(self, folder: str = "") -> list[Entry]:
        """Return the folders and videos of a folder, by name; hidden ones are left out."""
        place = self.resolve(folder)
        if not place.is_dir():
            raise InputError(f"{folder} must be a folder, got a file")
        found: list[Entry] = []
        for each in sorted(place.iterdir(), key=lambda path: path.name.lower())[:MOST_LISTED]:
            if each.name.startswith(".") or not each.resolve().is_relative_to(self.root):
                continue
            path = each.relative_to(self.root).as_posix()
            if each.is_dir():
                found.append(Entry(path, "images" if _holds_frames(each) else "folder"))
            elif each.suffix.lower() in VIDEO_SUFFIXES:
                found.append(Entry(path, "video"))
        return found

    async def upload(self, name: str, size: int | None, chunks: AsyncIterator[bytes]) -> Path:
        """Write an upload below the root, whole or not at all; return its place.

        Raises:
            InputError: The name is no video's, or the upload is too large.
        """
        clean = _FORBIDDEN.sub("_", Path(name).name).strip(" .")
        if Path(clean).suffix.lower() not in VIDEO_SUFFIXES:
            raise VideoError(
                f"an upload must be a video ({', '.join(sorted(VIDEO_SUFFIXES))}), got {clean!r}"
            )
        if len(os.fsencode(clean)) > MOST_NAME_BYTES:
            raise InputError(
                f"the name of an upload may have {MOST_NAME_BYTES} bytes, got {len(os.fsencode(clean))}; rename it"
            )
        if size is not None and size > self.most_upload_bytes:
            raise self._too_large(size)
        file = OutputFile(self._free(clean))
        received = 0
        try:
            with file.partial.open("wb") as out:
                async for chunk in chunks:
                    received += len(chunk)
                    if received > self.most_upload_bytes:
                        raise self._too_large(received)
                    out.write(chunk)
            if size is not None and received != size:
                raise InputError(f"an upload must be whole, got {received} of {size} bytes; send it again")
            file.keep()
        except OSError as error:
            raise InputError(
                f"{clean} must be written whole, got: {error.strerror}; nothing was kept"
            ) from error
        finally:
            file.discard()
        return file.path

    def _too_large(self, size: int) -> InputError:
        return InputError(
            f"an upload may have {self.most_upload_bytes} bytes, got {size}; put the file into "
            f"{self.root.name} and reload the list"
        )

    def _free(self, name: str) -> Path:
        place = self.root / name
        number = 1
        while place.exists():
            number += 1
            place = self.root / f"{Path(name).stem} {number}{Path(name).suffix}"
        return place


def _holds_frames(folder: Path) -> bool:
    with os.scandir(folder) as inside:
        return any(is_image(Path(entry.name)) for entry, _ in zip(inside, range(50), strict=False))

"""Text files in a folder or a zip, the format of all results and submissions.

Why not `data.sources.folders.Folder`: it reads a few of a hundred thousand frames, and hides the extra files that
macOS packs. Results are few and small. All are checked before scoring, and a server would reject such extra files.
"""

import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from starktrack.data.sources.zip_table import refuse_bomb
from starktrack.errors import InputError, ResultFileError


@dataclass(frozen=True)
class TextPlace:
    """Text files of a folder or a zip, by their path inside it.

    Attributes:
        label: How errors name the place.
        files: The place or the content of each file.
    """

    label: str
    files: dict[PurePosixPath, Path | bytes]

    def data(self, path: PurePosixPath) -> bytes | None:
        """Return the bytes of a file, None where there is none."""
        content = self.files.get(path)
        return content.read_bytes() if isinstance(content, Path) else content

    def text(self, path: PurePosixPath) -> str | None:
        """Return the text of a file, or None without such a file.

        Raises:
            ResultFileError: The file is not text.
        """
        data = self.data(path)
        if data is None:
            return None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ResultFileError(f"{self.label}/{path} must be text, got bytes: {error}") from error


def read_names(path: Path) -> list[str]:
    """Return the names in a text file, separated by spaces or line ends; InputError when it is no text."""
    try:
        return path.read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} must be a text file of sequence names, got: {error}") from error


def open_place(root: Path, kinds: frozenset[str] | None, what: str) -> TextPlace:
    """Return the files of these kinds (`.txt` …; None for all) in a folder or zip, or the one file of such a kind.

    Raises:
        ResultFileError: The place is missing or neither folder nor zip.
    """
    if root.is_dir():
        files: dict[PurePosixPath, Path | bytes] = {}
        for folder, _, names in os.walk(root):
            for path in (Path(folder, name) for name in names):
                if kinds is None or path.suffix in kinds:
                    files[PurePosixPath(path.relative_to(root))] = path
        return TextPlace(str(root), files)
    if kinds and root.suffix in kinds and root.is_file():
        return TextPlace(str(root.parent), {PurePosixPath(root.name): root})
    try:
        with zipfile.ZipFile(root) as archive:
            members = [
                (PurePosixPath(member.filename), member)
                for member in archive.infolist()
                if not member.is_dir() and (kinds is None or PurePosixPath(member.filename).suffix in kinds)
            ]
            # All members are read at once, so together they must fit into memory.
            refuse_bomb(
                sum(member.compress_size for _, member in members),
                sum(member.file_size for _, member in members),
            )
            return TextPlace(str(root), {path: archive.read(member) for path, member in members})
    except FileNotFoundError as error:
        raise ResultFileError(f"{what} must be a folder or a zip, {root} does not exist") from error
    # What zipfile raises for no zip, a wrong checksum, damaged packing, and a password or a method it lacks; a bomb.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise ResultFileError(
            f"{what} must be a folder or a zip that can be read whole, got {root}: {error}"
        ) from error

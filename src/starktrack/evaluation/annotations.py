"""Ground truth without frames: what scoring needs of a data set, read from a folder or a zip."""

import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, Float

from starktrack.errors import DatasetError


@dataclass(frozen=True)
class Annotation:
    """The truth about one sequence.

    Attributes:
        name: Unique within its data set.
        boxes_xywh: Image pixels; rows without a target may hold NaN or zeros.
        visible: Whether the target can be seen, or None where the data set does not say.
        size_wh: Width and height of the frames, pixels, where known (GOT-10k clips boxes to it).
        object_class: What the target is, where known.
        attributes: What makes the sequence hard (`fast motion` …), where known.
    """

    name: str
    boxes_xywh: Float[np.ndarray, "num_frames 4"]
    visible: Bool[np.ndarray, " num_frames"] | None = None
    size_wh: tuple[int, int] | None = None
    object_class: str | None = None
    attributes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of annotated frames."""
        return len(self.boxes_xywh)


def parse_numbers(text: str, where: str) -> Float[np.ndarray, " num_values"]:
    """Return all numbers in a text whose separators are commas, tabs, spaces or line ends.

    Raises:
        DatasetError: Something is not a number; names the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            return np.fromstring(text.replace(",", " "), dtype=np.float64, sep=" ")
    except (DeprecationWarning, ValueError) as error:
        wrong = next(
            (word for word in text.replace(",", " ").split() if not _is_number(word)), "an unreadable word"
        )
        raise DatasetError(f"{where} must hold numbers only, got {wrong!r}; is it another file?") from error


def parse_boxes(text: str, where: str) -> Float[np.ndarray, "num_boxes 4"]:
    """Return the boxes in a text, one per line, four numbers each.

    Raises:
        DatasetError: A line does not hold four numbers; names the file and the line.
    """
    values = parse_numbers(text, where)
    lines = [line for line in text.splitlines() if line.strip()]
    if len(values) != 4 * len(lines):
        index = next(i for i, line in enumerate(lines) if len(line.replace(",", " ").split()) != 4)
        raise DatasetError(
            f"{where} must hold x,y,w,h on each line, got {lines[index]!r} in line {index + 1}"
        )
    return values.reshape(-1, 4)


def read_annotations(root: Path, names: Iterable[str] | None = None) -> list[Annotation]:
    """Return the truth of every sequence in a folder or zip, in alphabetical order.

    Understood layouts: `<seq>/groundtruth.txt` (LaSOT, GOT-10k, TrackingNet with `anno/`), `<seq>.txt` files
    (the LaSOT toolkit's `annos/` with `annos/absent/`, UAV123, NFS, TrackingNet), TC128's
    `<seq>/<seq>_gt.txt` and OTB's `<seq>/groundtruth_rect*.txt`.

    Args:
        root: A folder or a zip file.
        names: Only these sequences, in this order.

    Raises:
        DatasetError: The place is missing or damaged, holds no annotation, or lacks one of `names`.
    """
    place = _open(root)
    found = _sequences(place)
    if not found:
        raise DatasetError(
            f"annotations must lie in files such as <seq>/groundtruth.txt or <seq>.txt, got none in {root}"
        )
    chosen = sorted(found) if names is None else list(names)
    missing = [name for name in chosen if name not in found]
    if missing:
        raise DatasetError(
            f"{root} must hold every sequence, got {len(missing)} of {len(chosen)} missing: "
            f"{', '.join(missing[:5])}"
        )
    return [_read_one(place, name, found[name]) for name in chosen]


@dataclass(frozen=True)
class _Place:
    """Text files of a folder or a zip, by their path inside it."""

    label: str
    files: dict[PurePosixPath, Path | bytes]

    def text(self, path: PurePosixPath) -> str | None:
        content = self.files.get(path)
        if content is None:
            return None
        data = content if isinstance(content, bytes) else content.read_bytes()
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DatasetError(
                f"{self.label}/{path} must be text, got bytes that are not UTF-8: {error}"
            ) from error


_KINDS = {".txt", ".label", ".ini"}
_NOT_SEQUENCES = {"list", "readme", "full_occlusion", "out_of_view", "nlp", "attributes"}
_ASIDE = {"absent", "att", "attrs", "nlp", "absence", "occlusion"}


def _open(root: Path) -> _Place:
    if root.is_dir():
        paths = (path for path in root.rglob("*") if path.suffix in _KINDS)
        return _Place(str(root), {PurePosixPath(path.relative_to(root)): path for path in paths})
    try:
        with zipfile.ZipFile(root) as archive:
            return _Place(str(root), dict(_members(archive)))
    except FileNotFoundError as error:
        raise DatasetError(f"annotations must be a folder or a zip, {root} does not exist") from error
    except zipfile.BadZipFile as error:
        raise DatasetError(f"annotations must be a folder or a zip, got {root}: {error}") from error


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[PurePosixPath, bytes]]:
    for info in archive.infolist():
        if PurePosixPath(info.filename).suffix in _KINDS:
            yield PurePosixPath(info.filename), archive.read(info)


def _sequences(place: _Place) -> dict[str, PurePosixPath]:
    found: dict[str, PurePosixPath] = {}
    for path in sorted(place.files):
        name = _sequence_name(path)
        if name is not None and found.setdefault(name, path) != path:
            raise DatasetError(
                f"{place.label} must hold each sequence once, got {name} in {found[name]} and {path}; "
                "name the folder of one data set"
            )
    return found


def _sequence_name(path: PurePosixPath) -> str | None:
    if path.name == "groundtruth.txt":
        return path.parent.name
    if match := re.fullmatch(r"groundtruth_rect(?:\.(\d+))?\.txt", path.name):
        return path.parent.name + (f"_{match[1]}" if match[1] else "")
    if path.name == f"{path.parent.name}_gt.txt":
        return path.parent.name
    if path.suffix != ".txt" or path.stem.lower() in _NOT_SEQUENCES or _ASIDE & set(path.parent.parts):
        return None
    return None if path.stem == f"{path.parent.name}_frames" else path.stem.removeprefix("nfs_")


def _read_one(place: _Place, name: str, path: PurePosixPath) -> Annotation:
    boxes = parse_boxes(place.text(path) or "", f"{place.label}/{path}")
    size_wh, object_class = _meta(place.text(path.parent / "meta_info.ini"))
    return Annotation(name, boxes, _visible(place, path, len(boxes)), size_wh, object_class)


def _visible(place: _Place, path: PurePosixPath, num_frames: int) -> Bool[np.ndarray, " num_frames"] | None:
    folder = path.parent
    if cover := _flags(place, folder / "cover.label", num_frames):
        return cover[0] > 0
    sources = (
        folder / "absent" / path.name,
        folder / "full_occlusion.txt",
        folder / "out_of_view.txt",
        folder / "absence.label",
    )
    absent = [flags != 0 for source in sources for flags in _flags(place, source, num_frames)]
    return ~np.logical_or.reduce(absent) if absent else None


def _flags(place: _Place, path: PurePosixPath, num_frames: int) -> list[Float[np.ndarray, " num_frames"]]:
    text = place.text(path)
    if text is None:
        return []
    flags = parse_numbers(text, f"{place.label}/{path}")
    if len(flags) != num_frames:
        raise DatasetError(
            f"{place.label}/{path} must hold a flag for each of the {num_frames} annotated frames, "
            f"got {len(flags)}"
        )
    return [flags]


def _meta(text: str | None) -> tuple[tuple[int, int] | None, str | None]:
    if text is None:
        return None, None
    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    values = {key: value for section in parser.values() for key, value in section.items()}
    size = re.findall(r"\d+", values.get("resolution", ""))
    return ((int(size[0]), int(size[1])) if len(size) == 2 else None), values.get("object_class")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True

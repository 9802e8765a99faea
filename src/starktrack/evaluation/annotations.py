"""Ground truth without frames: what scoring needs of a data set, read from a folder or a zip."""

import re
from collections.abc import Iterable
from configparser import ConfigParser
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, Float

from starktrack.errors import DatasetError
from starktrack.evaluation.text_files import TextPlace, open_place, parse_numbers, parse_rows


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


INITIAL_FRAMES_LEFT_OUT = {("otb", "Tiger1"): 5}
"""Frames that the pytracking family drops at the start of a sequence, by data set and name."""


def matched_to(annotation: Annotation, dataset: str, num_predicted: int) -> Annotation:
    """Return the annotation without the frames that pytracking drops, if the result lacks them."""
    dropped = INITIAL_FRAMES_LEFT_OUT.get((dataset[:3], annotation.name), 0)
    if not dropped or num_predicted != len(annotation) - dropped:
        return annotation
    visible = None if annotation.visible is None else annotation.visible[dropped:]
    return replace(annotation, boxes_xywh=annotation.boxes_xywh[dropped:], visible=visible)


def read_annotations(root: Path, names: Iterable[str] | None = None) -> list[Annotation]:
    """Return the truth of every sequence in a folder or zip, in alphabetical order.

    Understood layouts: `<seq>/groundtruth.txt` (LaSOT, GOT-10k, VOT), `<seq>.txt` (UAV123, NFS, TrackingNet,
    and the LaSOT toolkit's `annos/` with `annos/absent/`), OTB's `<seq>/groundtruth_rect*.txt`, TC128's
    `<seq>/<seq>_gt.txt`. Lines hold x,y,w,h; or four corners, taken as the box around them (VOT); or
    frame,x,y,w,h,lost (TLP).

    Args:
        root: A folder or a zip file.
        names: Only these sequences, in this order.

    Raises:
        DatasetError: The place is missing or damaged, holds no annotation, or lacks one of `names`.
    """
    place = open_place(root, _KINDS, DatasetError, "annotations")
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


_KINDS = frozenset({".txt", ".label", ".ini"})
_NOT_SEQUENCES = {"list", "readme", "full_occlusion", "out_of_view", "nlp", "attributes"}
_ASIDE = {"absent", "att", "attrs", "nlp", "absence", "occlusion"}


def _sequences(place: TextPlace) -> dict[str, PurePosixPath]:
    found: dict[str, PurePosixPath] = {}
    for path in sorted(place.files):
        name = _sequence_name(path, path.parent.name or PurePosixPath(place.label).stem)
        if name is not None and found.setdefault(name, path) != path:
            raise DatasetError(
                f"{place.label} must hold each sequence once, got {name} in {found[name]} and {path}; "
                "name the folder of one data set"
            )
    return found


def _sequence_name(path: PurePosixPath, folder: str) -> str | None:
    if path.name == "groundtruth.txt":
        return folder
    if match := re.fullmatch(r"groundtruth_rect(?:\.(\d+))?\.txt", path.name):
        return folder + (f"_{match[1]}" if match[1] else "")
    if path.name == f"{folder}_gt.txt":
        return folder
    if path.suffix != ".txt" or path.stem.lower() in _NOT_SEQUENCES or _ASIDE & set(path.parent.parts):
        return None
    return None if path.stem == f"{folder}_frames" else path.stem.removeprefix("nfs_")


def _read_one(place: TextPlace, name: str, path: PurePosixPath) -> Annotation:
    boxes, lost = _boxes(place.text(path) or "", f"{place.label}/{path}")
    size_wh, object_class = _meta(place.text(path.parent / "meta_info.ini"))
    visible = _visible(place, path, len(boxes)) if lost is None else ~lost
    return Annotation(name, boxes, visible, size_wh, object_class)


def _boxes(
    text: str, where: str
) -> tuple[Float[np.ndarray, "num_frames 4"], Bool[np.ndarray, " num_frames"] | None]:
    rows = parse_rows(text, where, DatasetError, (4, 6, 8))
    if rows.shape[1] == 8:
        corners = rows.reshape(-1, 4, 2)
        first = corners.min(axis=1)
        return np.concatenate([first, corners.max(axis=1) - first], axis=1), None
    return (rows[:, 1:5], rows[:, 5] != 0) if rows.shape[1] == 6 else (rows, None)


def _visible(
    place: TextPlace, path: PurePosixPath, num_frames: int
) -> Bool[np.ndarray, " num_frames"] | None:
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


def _flags(place: TextPlace, path: PurePosixPath, num_frames: int) -> list[Float[np.ndarray, " num_frames"]]:
    text = place.text(path)
    if text is None:
        return []
    flags = parse_numbers(text, f"{place.label}/{path}", DatasetError)
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

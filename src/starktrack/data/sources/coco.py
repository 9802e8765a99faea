"""COCO 2017 and other files in its format: each object is a sequence of one still picture.

Convention: boxes are 0-based, as published. Crowds and boxes without area are left out.

Source: Lin et al., Microsoft COCO, ECCV 2014.
"""

import hashlib
import itertools
import json
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from starktrack.data.cache import cache_folder
from starktrack.data.formats.coco_masks import PolygonMask, RunMask, rings_of, runs_of
from starktrack.data.sources.columns import (
    Columns,
    Texts,
    load_columns,
    offsets_of,
    pack_texts,
    save_columns,
)
from starktrack.data.sources.dataset import Dataset, DatasetSpec
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import NamedFrames
from starktrack.data.video_sequence import BenchmarkInfo, MaskSource, TargetClasses, VideoSequence
from starktrack.errors import DatasetError, SourceWarning

_FORM = 3
"""Version of the columns in the cache; files of another version are not read."""

_NUM_NAMED = 5
"""Number of unusable annotations that a message lists; it counts the others."""

NUM_ASKED = 32
"""Number of pictures, spread over the annotation, of which a folder must hold one to be taken for their folder."""


class _Ids:
    """Annotation numbers as texts, without a list of a million."""

    def __init__(self, ids: Int64[np.ndarray, " num_objects"]) -> None:
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> str:
        return str(self._ids[index])


class CocoDataset:
    """Objects in still pictures; a sequence's name is the number of its annotation."""

    name = "coco"

    def __init__(self, split: str, images: Folder, columns: Columns) -> None:
        self.split = split
        self.images = images
        self.columns = columns
        self.file_names = Texts(columns["file_names"], columns["file_name_offsets"])
        self.categories = Texts(columns["categories"], columns["category_offsets"])
        is_there = _pictures_there(images, self.file_names)[columns["image"]]
        self.missing = tuple(
            f"{columns['id'][row]} in {self.file_names[int(columns['image'][row])]}"
            for row in np.flatnonzero(~is_there)
        )
        self._rows = np.flatnonzero(is_there)

    @property
    def names(self) -> Any:
        """Return the numbers of the annotations as texts, made on demand."""
        return _Ids(self.columns["id"][self._rows])

    def target_classes(self) -> TargetClasses:
        """Return the category of every object."""
        return TargetClasses(
            tuple(self.categories[row] for row in range(len(self.categories))),
            self.columns["category"][self._rows],
        )

    @property
    def image_index(self) -> Int64[np.ndarray, " num_objects"]:
        """Return for each object the index of the picture that shows it."""
        return self.columns["image"][self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: int | str) -> VideoSequence:
        """Return an object by number (from 0) or by the number of its annotation."""
        index = self._row_of(key) if isinstance(key, str) else int(self._rows[key])
        image = int(self.columns["image"][index])
        height, width = self.columns["size_hw"][image]
        return VideoSequence(
            name=str(self.columns["id"][index]),
            frames=NamedFrames(self.images, (self.file_names[image],)),
            boxes_xywh=self.columns["boxes"][index : index + 1],
            visible=np.ones(1, bool),
            object_class=self.categories[int(self.columns["category"][index])],
            videos=frozenset((self.file_names[image],)),
            masks=self._mask(index, image),
            benchmark=BenchmarkInfo(resolution_wh=(int(width), int(height))),
        )

    def _row_of(self, name: str) -> int:
        found = self._rows[self.columns["id"][self._rows] == int(name)] if name.isdigit() else []
        if not len(found):
            raise DatasetError(f"{self.images} has no object {name!r}; names are numbers of annotations")
        return int(found[0])

    def _mask(self, index: int, image: int) -> MaskSource | None:
        height, width = (int(length) for length in self.columns["size_hw"][image])
        first, last = self.columns["ring_offsets"][index : index + 2]
        edges = self.columns["point_offsets"][first : last + 1]
        rings = tuple(self.columns["points"][a:b] for a, b in itertools.pairwise(edges))
        if rings:
            return PolygonMask(rings, (height, width))
        first, last = self.columns["run_offsets"][index : index + 2]
        return RunMask(self.columns["runs"][first:last], (height, width)) if last > first else None


def _pictures_there(images: Folder, names: Texts) -> Bool[np.ndarray, " num_pictures"]:
    """Return which pictures exist; each folder is listed once, which is faster than a look-up for each picture."""
    listed: dict[str, set[str]] = {}
    there = np.zeros(len(names), bool)
    for index in range(len(names)):
        place, _, file = names[index].rpartition("/")
        if place not in listed:
            listed[place] = set((images.below(place) if place else images).files())
        there[index] = file in listed[place]
    return there


def open_coco(root: Folder, split: str) -> Dataset:
    """Return the objects of `annotations/instances_<split>.json`, or of your own `<split>.json`.

    The file is parsed once; its columns are kept in the cache folder until the file changes.

    Raises:
        DatasetError: The annotation or the pictures are missing, or the file is not in COCO's form.
    """
    labels, name = _find_annotation(root, split)
    key = f"{labels.label(name)}|{labels.stamp(name)}|{_FORM}"
    kept = cache_folder() / "coco" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
    columns = load_columns(kept)
    if columns is None:
        columns = _parse(labels, name)
        save_columns(kept, columns)
    left_out = Texts(columns["left_out"], columns["left_out_offsets"])
    if len(left_out):
        shown = "; ".join(left_out[index] for index in range(min(len(left_out), _NUM_NAMED)))
        warnings.warn(
            f"{labels.label(name)}: {len(left_out)} annotations are left out: {shown}"
            f"{'; ...' if len(left_out) > _NUM_NAMED else ''}",
            SourceWarning,
            stacklevel=2,
        )
    return CocoDataset(split, _find_images(root, split, columns), columns)


def _find_annotation(root: Folder, split: str) -> tuple[Folder, str]:
    places = ["annotations", "", "annotations_trainval2017/annotations"]
    for place in places:
        folder = root.folder(place) if place else root
        for name in (f"instances_{split}.json", f"{split}.json"):
            if folder is not None and folder.has(name):
                return folder, name
    raise DatasetError(f"{root.label(f'annotations/instances_{split}.json')} is missing")


def _find_images(root: Folder, split: str, columns: Columns) -> Folder:
    names = Texts(columns["file_names"], columns["file_name_offsets"])
    first = names[0]
    # Any picture may be missing, so several are looked up.
    asked = [names[int(index)] for index in np.linspace(0, len(names) - 1, min(len(names), NUM_ASKED))]
    for place in (f"images/{split}", split, "images", ""):
        folder = root.folder(place) if place else root
        if folder is not None and any(folder.has(name) for name in asked):
            return folder
    raise DatasetError(
        f"{root.label(f'{split}/{first}')} is missing; pictures must lie in {split}, images/{split}, "
        f"images, beside the annotation, or in {split}.zip"
    )


def _parse(labels: Folder, name: str) -> Columns:
    label = labels.label(name)
    try:
        content = json.loads(labels.read(name))
        images, annotations = content["images"], content["annotations"]
        categories = {category["id"]: category["name"] for category in content.get("categories", [])}
        return _columns(images, annotations, categories)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DatasetError(f"{label} is not valid JSON: {error}") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise DatasetError(
            f"{label} must have images and annotations in COCO's form, got {type(error).__name__}: {error}"
        ) from error


@dataclass(frozen=True)
class _Object:
    """One usable annotation."""

    number: int
    image: int
    category: int
    box_xywh: tuple[float, float, float, float]
    rings: list[np.ndarray]
    runs: np.ndarray


def _columns(images: list[dict], annotations: list[dict], categories: dict[Any, str]) -> Columns:
    # Pictures without a size keep their index; their objects are left out.
    sizes = [(image.get("height"), image.get("width")) for image in images]
    image_of = {image["id"]: position for position, image in enumerate(images)}
    category_of = {number: position for position, number in enumerate(categories)}
    objects, left_out = [], []
    for annotation in annotations:
        try:
            found = _object(annotation, image_of, sizes, category_of)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            number = annotation.get("id") if isinstance(annotation, dict) else annotation
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            left_out.append(f"{str(number)[:40]} ({reason[:120]})")
            continue
        if found is not None:
            objects.append(found)
    if not objects:
        first = f"; the first that was left out: {left_out[0]}" if left_out else ""
        raise ValueError(f"no object with an area{first}")
    file_names, category_names = pack_texts(i["file_name"] for i in images), pack_texts(categories.values())
    reasons = pack_texts(left_out)
    points = [ring for each in objects for ring in each.rings]
    return {
        "id": np.array([each.number for each in objects], np.int64),
        "image": np.array([each.image for each in objects], np.int64),
        "category": np.array([each.category for each in objects], np.int64),
        "boxes": np.array([each.box_xywh for each in objects], np.float32).reshape(-1, 4),
        "size_hw": np.array([size if _is_size(size) else (0, 0) for size in sizes], np.int32),
        "file_names": file_names.content,
        "file_name_offsets": file_names.offsets,
        "categories": category_names.content,
        "category_offsets": category_names.offsets,
        "points": np.concatenate(points) if points else np.zeros((0, 2), np.float32),
        "point_offsets": offsets_of([len(ring) for ring in points]),
        "ring_offsets": offsets_of([len(each.rings) for each in objects]),
        "runs": np.concatenate([each.runs for each in objects]).astype(np.int32),
        "run_offsets": offsets_of([len(each.runs) for each in objects]),
        "left_out": reasons.content,
        "left_out_offsets": reasons.offsets,
    }


def _object(
    annotation: dict[str, Any],
    image_of: dict[Any, int],
    sizes: list[tuple[Any, Any]],
    category_of: dict[Any, int],
) -> _Object | None:
    """Return one annotation, or None for a crowd or a box without area.

    Raises:
        KeyError, TypeError, ValueError: It cannot be used.
    """
    if annotation.get("iscrowd"):
        return None
    x, y, w, h = (float(value) for value in annotation["bbox"])
    if not np.isfinite([x, y, w, h]).all():
        raise ValueError(f"bbox {annotation['bbox']} is not finite")
    if w <= 0 or h <= 0:
        return None
    if annotation["image_id"] not in image_of:
        raise ValueError(f"no picture has the id {annotation['image_id']}")
    if annotation["category_id"] not in category_of:
        raise ValueError(f"no category has the id {annotation['category_id']}")
    image, segmentation = image_of[annotation["image_id"]], annotation.get("segmentation")
    if not _is_size(sizes[image]):
        raise ValueError(f"picture {annotation['image_id']} has no width and height")
    return _Object(
        number=int(annotation["id"]),
        image=image,
        category=category_of[annotation["category_id"]],
        box_xywh=(x, y, w, h),
        rings=rings_of(segmentation),
        runs=runs_of(segmentation, sizes[image]),
    )


def _is_size(size_hw: tuple[Any, Any]) -> bool:
    return all(isinstance(length, int) and 0 < length < 2**31 for length in size_hw)


def _own_splits(root: Folder) -> list[str]:
    annotations = root.folder("annotations")
    names = [name for name in annotations.files() if name.endswith(".json")] if annotations else []
    # COCO itself has captions and keypoints of the same pictures beside its instances.
    names = [name for name in names if name.startswith("instances_")] or names
    return [name.removesuffix(".json").removeprefix("instances_") for name in names]


COCO = DatasetSpec(
    "coco", "COCO 2017, or one's own file in its form", ("train2017", "val2017", "*"), open_coco, _own_splits
)

"""Datumaro's own JSON: items with annotations of any kind, and identities in the attribute `track_id`.

A turned box is written as CVAT writes it: the box before the turn, with the attribute `rotation`;
`rotated_bbox` is read as well.
"""

from pathlib import Path
from typing import Any

from starktrack.errors import AnnotationError
from starktrack.files import atomic_folder
from starktrack.interchange.building import (
    LabelCounter,
    TrackBuilder,
    VideoInfo,
    described,
    description,
    every_frame,
    frame_name,
    frame_number,
    polygon,
    rectangle,
    rounded,
)
from starktrack.interchange.format import KEEPS, Format
from starktrack.interchange.run_lengths import coco_of_mask, mask_of_coco
from starktrack.interchange.tracks import Mask, Observation, Polygon, Shape, Track, VideoTracks
from starktrack.interchange.values import Value, read_json, write_json

_OWN = ("track_id", "rotation", "score")


def read_datumaro(path: Path, info: VideoInfo) -> VideoTracks:
    """Return the targets of a JSON file, or of a folder with one in `annotations/`."""
    if path.is_dir():
        files = sorted((path / "annotations").glob("*.json"))
        if len(files) != 1:
            raise AnnotationError(
                f"{path}/annotations must hold one JSON file, got {len(files)}; name the file"
            )
        (path,) = files
    root = read_json(path)
    labels = [each["name"].text() for each in root["categories"]["label"]["labels"].items()]
    builder, size_hw, last = TrackBuilder(), None, -1
    for item in root["items"].items():
        number = (item.get("attr") or Value({}, "")).get("frame")
        name = item["id"]
        frame = number.frame() if number is not None else frame_number(name.text() + ".jpg", name.where, info)
        last, counter = max(last, frame), LabelCounter()
        image = item.get("image")
        size = None if image is None else image.get("size")
        if size is not None:
            height, width = (side.integer(1) for side in size.items(2))
            size_hw = (height, width)
        for annotation in item["annotations"].items():
            _add(builder, annotation, frame, labels, counter)
    about = root.get("info") or Value({}, "")
    video, rate = about.get("video"), about.get("frame_rate")
    return builder.build(
        name="" if video is None else video.text(),
        size_hw=size_hw,
        num_frames=last + 1,
        frame_rate=info.frame_rate if rate is None else rate.number(0.001),
    )


def write_datumaro(path: Path, video: VideoTracks) -> None:
    """Write a file `.json`, or a folder with `annotations/default.json`."""
    labels = video.labels
    info: dict[str, Any] = {"video": video.name} if video.name else {}
    if video.frame_rate is not None:
        info["frame_rate"] = video.frame_rate
    items = []
    for frame, targets in every_frame(video):
        image: dict[str, Any] = {"path": f"{frame_name(frame)}.jpg"}
        if video.size_hw is not None:
            image["size"] = list(video.size_hw)
        annotations = [
            {
                "id": number,
                "group": 0,
                "label_id": labels.index(track.label),
                **_annotation(track, seen, video),
            }
            for number, (track, seen) in enumerate(targets)
        ]
        item = {"id": frame_name(frame), "annotations": annotations, "attr": {"frame": frame}, "image": image}
        items.append(item)
    names = [{"name": label, "parent": "", "attributes": []} for label in labels]
    content = {
        "dm_format_version": "1.0",
        "info": info,
        "categories": {"label": {"labels": names, "attributes": []}},
        "items": items,
    }
    if path.suffix.lower() == ".json":
        write_json(path, content)
    else:
        with atomic_folder(path, "a folder of annotations") as folder:
            (folder / "annotations").mkdir()
            write_json(folder / "annotations" / "default.json", content)


def _add(
    builder: TrackBuilder, annotation: Value, frame: int, labels: list[str], counter: LabelCounter
) -> None:
    kind = annotation["type"].text()
    if kind not in ("bbox", "rotated_bbox", "polygon", "mask"):
        return
    number = annotation.get("label_id")
    label = "" if number is None else labels[number.integer(0, len(labels) - 1)]
    further = dict((annotation.get("attributes") or Value({}, "")).entries())
    track, rotation, score = (further.get(name) for name in _OWN)
    shape: Shape | None
    if kind == "bbox":
        x, y, w, h = annotation["bbox"].numbers(4)
        shape = rectangle(x, y, w, h, rotation.number() if rotation else 0.0)
    elif kind == "rotated_bbox":
        centre_x, centre_y, w, h, degrees = annotation["rotated_bbox"].numbers(5)
        shape = rectangle(centre_x - w / 2, centre_y - h / 2, w, h, degrees)
    elif kind == "polygon":
        shape = polygon(annotation["points"].numbers(), annotation["points"])
    else:
        shape = mask_of_coco(annotation["rle"])
    if shape is None:
        return
    seen = described(frame, shape, further, score=score, known=_OWN)
    builder.add(counter.key(label) if track is None else track.integer(0), seen, annotation.where, label)


def _annotation(track: Track, seen: Observation, video: VideoTracks) -> dict[str, Any]:
    attributes = {**description(seen), "track_id": track.id}
    if seen.score is not None:
        attributes["score"] = rounded(seen.score)
    shape, place = seen.shape, dict[str, Any]()
    if isinstance(shape, Polygon):
        place = {
            "type": "polygon",
            "points": [rounded(number) for point in shape.points_xy for number in point],
        }
    elif isinstance(shape, Mask):
        if video.size_hw is None:
            raise AnnotationError(
                "masks in Datumaro are as large as the frames, so their size must be known, got none"
            )
        place = {"type": "mask", "rle": coco_of_mask(shape, video.size_hw)}
    else:
        place = {"type": "bbox", "bbox": [rounded(number) for number in shape.box_xywh]}
        if shape.rotation:
            attributes["rotation"] = rounded(shape.rotation)
    return {**place, "attributes": attributes, "z_order": 0}


def _is_datumaro(path: Path, content: Value | None) -> bool:
    if path.is_dir():
        return bool(list((path / "annotations").glob("*.json")))
    root = content.raw if content is not None else None
    return isinstance(root, dict) and {"items", "categories"} <= root.keys()


DATUMARO = Format(
    "datumaro",
    "Datumaro",
    (".json", ""),
    frozenset(KEEPS) - {"colours", "times"},
    0,
    "pixels, 0-based",
    "Masks need the size of the frames.",
    "https://docs.cvat.ai/docs/dataset_management/formats/format-datumaro",
    read_datumaro,
    write_datumaro,
    _is_datumaro,
)

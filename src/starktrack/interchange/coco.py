"""COCO for videos, in its two forms: pictures with track ids, and an annotation for each whole track.

The first is COCO's own file with `videos`, `tracks` and the key `track_id`, as TAO has it; the second has a
list of boxes in each annotation, as YouTube-VIS. Segmentations are polygons, or run lengths.
"""

from pathlib import Path
from typing import Any

from starktrack.errors import AnnotationError
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
from starktrack.interchange.format import Format
from starktrack.interchange.run_lengths import coco_of_mask, filled, mask_of_coco
from starktrack.interchange.tracks import Mask, Observation, Polygon, Shape, VideoTracks
from starktrack.interchange.values import Value, read_json, write_json

_TRACK_KEYS = ("track_id", "instance_id")
_FRAME_KEYS = ("frame_index", "frame_id")


def read_coco(path: Path, info: VideoInfo) -> VideoTracks:
    """Return the targets of the one video of a file in either form.

    A picture's frame is its `frame_index` (or `frame_id`), else the number in its file name. Annotations
    without a track id are told apart by label and order.
    """
    root = read_json(path)
    labels = {
        each["id"].integer(): each["name"].text()
        for each in (root.get("categories") or Value([], "")).items()
    }
    video = _video_of(root, path, info)
    builder = TrackBuilder()
    if root.get("images") is None:
        for annotation in root["annotations"].items():
            if video is None or annotation["video_id"].raw == video["id"].raw:
                _add_track(builder, annotation, labels)
        length = None if video is None else video.get("length")
        names = None if video is None else video.get("file_names")
        num_frames = length.integer(0) if length else len(names.items()) if names else None
        return _built(builder, video, num_frames)
    frames: dict[Any, int] = {}
    sizes = []
    for image in root["images"].items():
        if (
            video is not None
            and image.get("video_id") is not None
            and image["video_id"].raw != video["id"].raw
        ):
            continue
        frames[image["id"].raw] = _frame_of(image, info)
        sizes.append((image.get("height"), image.get("width")))
    _add_boxes(builder, root["annotations"], frames, labels)
    tracks = _built(builder, video, max(frames.values(), default=-1) + 1)
    if tracks.size_hw is None and sizes and all(sizes[0]):
        return builder.build(name=tracks.name, size_hw=_size(*sizes[0]), num_frames=tracks.num_frames)
    return tracks


def write_coco(path: Path, video: VideoTracks) -> None:
    """Write a picture for every frame, and an annotation with a track id for every box."""
    size = {} if video.size_hw is None else {"width": video.size_hw[1], "height": video.size_hw[0]}
    numbers = {label: number for number, label in enumerate(video.labels, start=1)}
    images, annotations = [], []
    for frame, targets in every_frame(video):
        image = {
            "id": frame + 1,
            "video_id": 1,
            "frame_index": frame,
            "file_name": frame_name(frame) + ".jpg",
        }
        images.append(image | size)
        for track, seen in targets:
            annotation = {
                "id": len(annotations) + 1,
                "image_id": frame + 1,
                "video_id": 1,
                "track_id": track.id,
                "category_id": numbers[track.label],
                **_geometry(seen.shape, video.size_hw),
                "iscrowd": 0,
            }
            if seen.score is not None:
                annotation["score"] = rounded(seen.score)
            if attributes := description(seen):
                annotation["attributes"] = attributes
            annotations.append(annotation)
    tracks = [{"id": each.id, "video_id": 1, "category_id": numbers[each.label]} for each in video.tracks]
    about = {"id": 1, "name": video.name, "length": video.length, **_rate(video), **size}
    _write(path, {"videos": [about], "tracks": tracks, "images": images}, annotations, numbers)


def write_coco_video(path: Path, video: VideoTracks) -> None:
    """Write one annotation for each track, with lists as long as the video."""
    size = {} if video.size_hw is None else {"width": video.size_hw[1], "height": video.size_hw[0]}
    numbers = {label: number for number, label in enumerate(video.labels, start=1)}
    annotations = []
    for track in video.tracks:
        places = [track.at(frame) for frame in range(video.length)]
        shapes = [None if seen is None else _geometry(seen.shape, video.size_hw) for seen in places]
        annotation = {
            "id": track.id,
            "video_id": 1,
            "category_id": numbers[track.label],
            "bboxes": [None if shape is None else shape["bbox"] for shape in shapes],
            "areas": [None if shape is None else shape["area"] for shape in shapes],
            "segmentations": [None if shape is None else shape.get("segmentation") for shape in shapes],
            "iscrowd": 0,
        }
        annotations.append(annotation)
    names = [frame_name(frame) + ".jpg" for frame in range(video.length)]
    about = {"id": 1, "name": video.name, "length": video.length, "file_names": names, **_rate(video), **size}
    _write(path, {"videos": [about]}, annotations, numbers)


def _video_of(root: Value, path: Path, info: VideoInfo) -> Value | None:
    videos = (root.get("videos") or Value([], "")).items()
    names = [_name(video) for video in videos]
    if info.name:
        found = [video for video, name in zip(videos, names, strict=True) if name == info.name]
        if not found:
            raise AnnotationError(
                f"{path} must hold the video {info.name!r}, got {', '.join(names) or 'none'}"
            )
        return found[0]
    if len(videos) > 1:
        raise AnnotationError(
            f"{path} must hold one video, or its name must be given, got {len(videos)}: {', '.join(names[:8])}"
        )
    return videos[0] if videos else None


def _name(video: Value) -> str:
    name = video.get("name")
    return "" if name is None else name.text()


def _frame_of(image: Value, info: VideoInfo) -> int:
    for key in _FRAME_KEYS:
        if (frame := image.get(key)) is not None:
            return frame.frame()
    name = image["file_name"]
    return frame_number(name.text(), name.where, info)


def _add_boxes(
    builder: TrackBuilder, annotations: Value, frames: dict[Any, int], labels: dict[int, str]
) -> None:
    counters: dict[int, LabelCounter] = {}
    for annotation in annotations.items():
        image = annotation["image_id"]
        if image.raw not in frames:
            continue
        frame, label = frames[image.raw], _label(annotation, labels)
        attributes = annotation.get("attributes")
        further = dict(attributes.entries()) if attributes else {}
        number = next((annotation[key] for key in _TRACK_KEYS if annotation.get(key) is not None), None)
        number = number or further.get("track_id")
        key = counters.setdefault(frame, LabelCounter()).key(label) if number is None else number.integer(0)
        shape = _shape(annotation)
        if shape is None:
            continue
        seen = described(frame, shape, further, score=annotation.get("score"), known=("track_id", "rotation"))
        builder.add(key, seen, annotation.where, label)


def _add_track(builder: TrackBuilder, annotation: Value, labels: dict[int, str]) -> None:
    boxes = annotation.get("bboxes")
    outlines = annotation.get("segmentations")
    count = len((boxes or outlines or annotation["bboxes"]).items())
    none: list[Value] = [Value(None, annotation.where)] * count
    for frame, (box, outline) in enumerate(
        zip(boxes.items(count) if boxes else none, outlines.items(count) if outlines else none, strict=True)
    ):
        parts = {"bbox": box.raw, "segmentation": outline.raw}
        if any(part is not None for part in parts.values()):
            shape = _shape(Value(parts, f"{annotation.where} frame {frame}"))
            if shape is not None:
                builder.add(
                    annotation["id"].integer(0),
                    Observation(frame, shape),
                    annotation.where,
                    _label(annotation, labels),
                )


def _label(annotation: Value, labels: dict[int, str]) -> str:
    category = annotation.get("category_id")
    if category is None:
        return ""
    if category.integer() not in labels:
        raise category.wrong(f"be one of the {len(labels)} categories of the file")
    return labels[category.integer()]


def _shape(annotation: Value) -> Shape | None:
    """Return what is outlined, or the box where there is no outline; None where both are empty."""
    outline = annotation.get("segmentation")
    if outline is not None and isinstance(outline.raw, dict):
        return mask_of_coco(outline)
    parts = [part for part in outline.items() if part.raw] if outline is not None else []
    polygons = [polygon(part.numbers(), part) for part in parts]
    if len(polygons) == 1:
        return polygons[0]
    if polygons:
        return filled([list(each.points_xy) for each in polygons])
    rotation = annotation.get("attributes") and annotation["attributes"].get("rotation")
    x, y, w, h = annotation["bbox"].numbers(4)
    return rectangle(x, y, w, h, rotation.number() if rotation else 0.0)


def _geometry(shape: Shape, size_hw: tuple[int, int] | None) -> dict[str, Any]:
    box = [rounded(number) for number in shape.bounds_xywh]
    if isinstance(shape, Polygon):
        points = shape.points_xy
        following = (*points[1:], points[0])
        doubled = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, following, strict=True))
        outline = [rounded(number) for point in points for number in point]
        return {"bbox": box, "area": rounded(abs(doubled) / 2), "segmentation": [outline]}
    if isinstance(shape, Mask):
        if size_hw is None:
            raise AnnotationError(
                "masks in COCO are as large as the frames, so their size must be known, got none"
            )
        return {"bbox": box, "area": sum(shape.runs[1::2]), "segmentation": coco_of_mask(shape, size_hw)}
    return {"bbox": box, "area": rounded(box[2] * box[3])}


def _built(builder: TrackBuilder, video: Value | None, num_frames: int | None) -> VideoTracks:
    if video is None:
        return builder.build(num_frames=num_frames)
    length, rate = video.get("length"), video.get("fps")
    height, width = video.get("height"), video.get("width")
    return builder.build(
        name=_name(video),
        size_hw=_size(height, width) if height and width else None,
        num_frames=max(num_frames or 0, length.integer(0)) if length else num_frames,
        frame_rate=None if rate is None else rate.number(0.001),
    )


def _size(height: Value, width: Value) -> tuple[int, int]:
    return height.integer(1), width.integer(1)


def _rate(video: VideoTracks) -> dict[str, float]:
    return {} if video.frame_rate is None else {"fps": video.frame_rate}


def _write(path: Path, first: dict[str, Any], annotations: list[Any], numbers: dict[str, int]) -> None:
    categories = [{"id": number, "name": label} for label, number in numbers.items()]
    content = {"info": {}, "licenses": [], **first, "annotations": annotations, "categories": categories}
    write_json(path, content)


def _is_coco(path: Path, content: Value | None) -> bool:
    root = content.raw if content is not None else None
    return isinstance(root, dict) and "annotations" in root and "images" in root


def _is_coco_video(path: Path, content: Value | None) -> bool:
    root = content.raw if content is not None else None
    return isinstance(root, dict) and "annotations" in root and "videos" in root and "images" not in root


_SHARED = frozenset(
    {"several targets", "ids", "labels", "polygons", "masks", "name", "size", "length", "frame rate"}
)
COCO = Format(
    "coco",
    "COCO, pictures with track ids",
    (".json",),
    _SHARED | {"scores", "visibility", "occluded", "key boxes", "attributes"},
    0,
    "pixels, 0-based",
    "Polygons of several parts become masks. Masks need the size of the frames.",
    "https://cocodataset.org/#format-data; https://github.com/TAO-Dataset/tao (annotation format)",
    read_coco,
    write_coco,
    _is_coco,
)
COCO_VIDEO = Format(
    "coco_video",
    "COCO, a track an annotation (YouTube-VIS)",
    (".json",),
    _SHARED,
    0,
    "pixels, 0-based",
    "As coco.",
    "https://competitions.codalab.org/competitions/20128#participate-get-data",
    read_coco,
    write_coco_video,
    _is_coco_video,
)

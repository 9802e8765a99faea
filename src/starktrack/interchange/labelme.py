"""labelme: a JSON file for each picture, with rectangles, polygons and masks.

Convention: `group_id` tells targets apart; without it, label and order do. `flags` say `occluded`, and `key`
where a box was filled in. A mask is a PNG of its window, whose first pixel is the first point.
"""

import base64
import binascii
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from starktrack.files import atomic_folder
from starktrack.interchange.building import (
    LabelCounter,
    TrackBuilder,
    VideoInfo,
    every_frame,
    frame_files,
    frame_name,
    polygon,
    rectangle,
    rounded,
)
from starktrack.interchange.format import Format
from starktrack.interchange.run_lengths import LARGEST_AREA
from starktrack.interchange.tracks import Mask, Observation, Polygon, Shape, Track, VideoTracks
from starktrack.interchange.values import Value, read_json

_SHAPES = ("rectangle", "polygon", "mask", "rotation")


def read_labelme(path: Path, info: VideoInfo) -> VideoTracks:
    """Return the targets of a folder of JSON files, or of one file; circles, lines and points are left out."""
    files = frame_files(path, ".json", info) if path.is_dir() else {0: path}
    builder, size_hw = TrackBuilder(), None
    for frame, file in files.items():
        root, counter = read_json(file), LabelCounter()
        height, width = root.get("imageHeight"), root.get("imageWidth")
        if height and width:
            size_hw = (height.integer(1), width.integer(1))
        for shape in root["shapes"].items():
            kind = shape.get("shape_type")
            if kind is not None and kind.raw not in _SHAPES:
                continue
            label, group = shape["label"].text(), shape.get("group_id")
            key = counter.key(label) if group is None else group.integer(0)
            flags = dict((shape.get("flags") or Value({}, "")).entries())
            place = _shape(shape, "polygon" if kind is None else kind.text())
            if place is not None:
                seen = Observation(
                    frame,
                    place,
                    occluded=flags["occluded"].flag() if "occluded" in flags else None,
                    key="key" not in flags or flags["key"].flag(),
                )
                builder.add(key, seen, shape.where, label)
    return builder.build(
        size_hw=size_hw, num_frames=max(files) + 1 if path.is_dir() else None, frame_rate=info.frame_rate
    )


def write_labelme(path: Path, video: VideoTracks) -> None:
    """Write `frame_NNNNNN.json` for each frame, beside which labelme looks for `frame_NNNNNN.jpg`."""
    height, width = video.size_hw or (None, None)
    with atomic_folder(path, "a folder of annotations") as folder:
        for frame, targets in every_frame(video):
            content = {
                "version": "5.5.0",
                "flags": {},
                "shapes": [_shape_of(track, seen) for track, seen in targets],
                "imagePath": f"{frame_name(frame)}.jpg",
                "imageData": None,
                "imageHeight": height,
                "imageWidth": width,
            }
            text = json.dumps(content, ensure_ascii=False, indent=1)
            (folder / f"{frame_name(frame)}.json").write_text(text, encoding="utf-8")


def _shape(shape: Value, kind: str) -> Shape | None:
    points = [point.numbers(2) for point in shape["points"].items()]
    if kind == "rectangle" and len(points) in (2, 4):
        (left, top), (right, bottom) = np.min(points, axis=0).tolist(), np.max(points, axis=0).tolist()
        return rectangle(left, top, right - left, bottom - top)
    if kind == "mask" and points:
        return Mask.of_pixels(_pixels(shape["mask"]), (round(points[0][0]), round(points[0][1])))
    return polygon([number for point in points for number in point], shape["points"])


def _pixels(value: Value) -> np.ndarray:
    try:
        content = base64.b64decode(value.text(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise value.wrong("be a PNG in base 64") from error
    # The size stands at a fixed place: a picture that would fill the memory is never decoded.
    width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if not content.startswith(b"\x89PNG") or not 0 < width * height <= LARGEST_AREA:
        raise value.wrong(f"be a PNG of at most {LARGEST_AREA:,} pixels")
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise value.wrong("be a whole PNG")
    return image > 0


def _shape_of(track: Track, seen: Observation) -> dict[str, Any]:
    shape: dict[str, Any] = {"label": track.label, "group_id": track.id, "description": ""}
    place = seen.shape
    if isinstance(place, Mask):
        (left, top), (width, height) = place.corner_xy, place.size_wh
        shape["shape_type"] = "mask"
        shape["points"] = [[left, top], [left + width - 1, top + height - 1]]
        png = cv2.imencode(".png", place.window.astype(np.uint8) * 255)[1].tobytes()
        shape["mask"] = base64.b64encode(png).decode()
    elif isinstance(place, Polygon):
        shape["shape_type"] = "polygon"
        shape["points"] = [[rounded(x), rounded(y)] for x, y in place.points_xy]
    else:
        x, y, w, h = place.bounds_xywh
        shape["shape_type"] = "rectangle"
        shape["points"] = [[rounded(x), rounded(y)], [rounded(x + w), rounded(y + h)]]
    shape["flags"] = {} if seen.occluded is None else {"occluded": seen.occluded}
    if not seen.key:
        shape["flags"]["key"] = False
    return shape


def _is_labelme(path: Path, content: Value | None) -> bool:
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        return bool(files) and _is_labelme(files[0], read_json(files[0]))
    root = content.raw if content is not None else None
    return isinstance(root, dict) and "shapes" in root


LABELME = Format(
    "labelme",
    "labelme",
    ("",),
    frozenset(
        {"several targets", "ids", "labels", "occluded", "key boxes", "polygons", "masks", "size", "length"}
    ),
    0,
    "pixels, 0-based",
    "The frame is the last number in a file's name.",
    "https://github.com/wkentaro/labelme (examples, `labelme/schema`)",
    read_labelme,
    write_labelme,
    _is_labelme,
)

"""VGG Image Annotator, version 2: a project of pictures, or its annotations exported as JSON.

Convention: the region attributes `label` (or `name`, `class`, `type`) and `track` (or `track_id`, `id`) say
what a region is of; `score`, `visibility`, `occluded` and `key` are ours. Ellipses, circles, lines and points
are left out.
"""

from pathlib import Path
from typing import Any

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
from starktrack.interchange.tracks import Observation, Polygon, Track, VideoTracks
from starktrack.interchange.values import Value, read_json, write_json

_PROJECT = "_via_img_metadata"
_OWN = ("score", "visibility", "occluded", "key")
_LABEL_KEYS, _TRACK_KEYS = ("label", "name", "class", "type"), ("track", "track_id", "id")


def read_via(path: Path, info: VideoInfo) -> VideoTracks:
    """Return the targets; a picture's frame is the last number in its file name."""
    root = read_json(path)
    pictures = root.get(_PROJECT) or root
    builder, last = TrackBuilder(), -1
    for _, picture in pictures.entries():
        name, counter = picture["filename"], LabelCounter()
        frame = frame_number(name.text(), name.where, info)
        last = max(last, frame)
        regions = picture["regions"]
        # Version 1 numbers the regions in an object.
        for region in (
            regions.items() if isinstance(regions.raw, list) else [value for _, value in regions.entries()]
        ):
            _add(builder, region, frame, counter)
    settings = root.get("_via_settings")
    project = None if settings is None else settings.get("project")
    title = None if project is None else project.get("name")
    return builder.build(
        name="" if title is None else title.text(),
        size_hw=info.size_hw,
        num_frames=last + 1,
        frame_rate=info.frame_rate,
    )


def write_via(path: Path, video: VideoTracks) -> None:
    """Write a project with a picture for each frame."""
    pictures = {}
    for frame, targets in every_frame(video):
        name = f"{frame_name(frame)}.jpg"
        regions = [_region(track, seen) for track, seen in targets]
        pictures[f"{name}-1"] = {"filename": name, "size": -1, "regions": regions, "file_attributes": {}}
    fields = dict.fromkeys(
        name
        for picture in pictures.values()
        for region in picture["regions"]
        for name in region["region_attributes"]
    )
    content = {
        "_via_settings": {"project": {"name": video.name}},
        _PROJECT: pictures,
        "_via_attributes": {
            "region": {name: {"type": "text", "description": "", "default_value": ""} for name in fields},
            "file": {},
        },
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(pictures),
    }
    write_json(path, content)


def _add(builder: TrackBuilder, region: Value, frame: int, counter: LabelCounter) -> None:
    place = region["shape_attributes"]
    kind = place["name"].text()
    if kind in ("polygon", "polyline"):
        columns, rows = place["all_points_x"].numbers(), place["all_points_y"]
        points = zip(columns, rows.numbers(len(columns)), strict=True)
        shape = polygon([number for point in points for number in point], place)
    elif kind == "rect":
        shape = rectangle(*(place[name].number() for name in ("x", "y", "width", "height")))
    else:
        return
    further = dict(region["region_attributes"].entries())
    label_key = next((key for key in _LABEL_KEYS if key in further), None)
    track_key = next((key for key in _TRACK_KEYS if key in further and further[key].raw != ""), None)
    label = "" if label_key is None else further[label_key].text()
    # An attribute that its project asks for and nobody filled in is an empty text.
    filled_in = {name: value for name, value in further.items() if value.raw != "" or name not in _OWN}
    known = (label_key, track_key, "score")
    seen = described(frame, shape, filled_in, score=filled_in.get("score"), key="key", known=known)
    target = counter.key(label) if track_key is None else further[track_key].integer(0)
    builder.add(target, seen, region.where, label)


def _region(track: Track, seen: Observation) -> dict[str, Any]:
    if isinstance(seen.shape, Polygon):
        columns, rows = zip(*seen.shape.points_xy, strict=True)
        place: dict[str, Any] = {
            "name": "polygon",
            "all_points_x": [rounded(number) for number in columns],
            "all_points_y": [rounded(number) for number in rows],
        }
    else:
        x, y, w, h = (rounded(number) for number in seen.shape.bounds_xywh)
        place = {"name": "rect", "x": x, "y": y, "width": w, "height": h}
    attributes = {**description(seen, "key"), "label": track.label, "track": track.id}
    if seen.score is not None:
        attributes["score"] = rounded(seen.score)
    texts = {
        name: str(int(value) if isinstance(value, bool) else value) for name, value in attributes.items()
    }
    return {"shape_attributes": place, "region_attributes": texts}


def _is_via(path: Path, content: Value | None) -> bool:
    root = content.raw if content is not None else None
    if not isinstance(root, dict):
        return False
    pictures = root.get(_PROJECT, root)
    first = next(iter(pictures.values()), None) if isinstance(pictures, dict) else None
    return _PROJECT in root or (isinstance(first, dict) and {"filename", "regions"} <= first.keys())


VIA = Format(
    "via",
    "VGG Image Annotator 2",
    (".json",),
    frozenset(KEEPS) - {"colours", "times", "rotation", "masks", "size", "frame rate"},
    0,
    "pixels, 0-based",
    "The frame is the last number in a picture's name.",
    "https://www.robots.ox.ac.uk/~vgg/software/via (version 2, JSON)",
    read_via,
    write_via,
    _is_via,
)

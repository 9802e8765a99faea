"""Label Studio's JSON of video tasks: regions of the kind `videorectangle`.

Convention: frames count from 1, coordinates are hundredths of the frame, a box turns clockwise about its
top-left corner. `enabled: false` ends a run of boxes after the frame in which it stands; between two entries
of a run the boxes lie on straight lines.
"""

import math
from pathlib import Path

from starktrack.errors import AnnotationError
from starktrack.interchange.building import TrackBuilder, VideoInfo, rectangle, rounded
from starktrack.interchange.format import Format
from starktrack.interchange.tracks import Observation, Rectangle, VideoTracks
from starktrack.interchange.values import Value, read_json, write_json

_KIND = "videorectangle"


def read_label_studio(path: Path, info: VideoInfo) -> VideoTracks:
    """Return the targets of the one task of an export: those of its first annotation, else of its first prediction.

    The size of the frames must be given.
    """
    size_hw = info.required_size(str(path))
    root = read_json(path)
    task = _task(root.items() if isinstance(root.raw, list) else [root], path, info)
    answers = [
        *(task.get("annotations") or Value([], "")).items(),
        *(task.get("predictions") or Value([], "")).items(),
    ]
    builder, length, duration = TrackBuilder(), None, None
    for number, region in enumerate(answers[0]["result"].items() if answers else []):
        if region.get("type") is not None and region["type"].raw != _KIND:
            continue
        value = region["value"]
        names = (value.get("labels") or value.get("rectanglelabels") or Value([], "")).items()
        label = names[0].text() if names else ""
        own = region.get("id")
        key = int(own.raw) if own is not None and str(own.raw).isdecimal() else (number, region.where)
        builder.target(key, label)
        if (count := value.get("framesCount")) is not None:
            length = count.frame()
        if (seconds := value.get("duration")) is not None:
            duration = seconds.number(0)
        run: list[tuple[Observation, str]] = []
        for entry in sorted(value["sequence"].items(), key=lambda each: each["frame"].frame(1)):
            run.append((_observation(entry, size_hw), entry.where))
            enabled = entry.get("enabled")
            if enabled is not None and not enabled.flag():
                builder.add_run(key, run, label)
                run = []
        builder.add_run(key, run, label)
    return builder.build(
        name=_video_name(task),
        size_hw=size_hw,
        num_frames=length,
        frame_rate=length / duration if length and duration else info.frame_rate,
    )


def write_label_studio(path: Path, video: VideoTracks) -> None:
    """Write one task whose annotation has a region for each target, and an entry for each of its frames."""
    size_hw = VideoInfo(video.size_hw).required_size("Label Studio")
    regions = []
    for track in video.tracks:
        frames = {seen.frame for seen in track.observations}
        entries = [
            _entry(seen, size_hw, video, goes_on=seen.frame + 1 in frames) for seen in track.observations
        ]
        value = {"framesCount": video.length, "sequence": entries, "labels": [track.label]}
        if video.frame_rate is not None:
            value["duration"] = video.length / video.frame_rate
        region = {
            "id": str(track.id),
            "from_name": "box",
            "to_name": "video",
            "type": _KIND,
            "origin": "manual",
        }
        regions.append({**region, "value": value})
    task = {"id": 1, "data": {"video": video.name}, "annotations": [{"id": 1, "result": regions}]}
    write_json(path, [task])


def _task(tasks: list[Value], path: Path, info: VideoInfo) -> Value:
    if info.name:
        tasks = [task for task in tasks if _video_name(task) == info.name]
    if len(tasks) != 1:
        raise AnnotationError(
            f"{path} must hold one task, or the name of its video must be given, got {len(tasks)} "
            f"{f'named {info.name!r}' if info.name else ''}".rstrip()
        )
    return tasks[0]


def _video_name(task: Value) -> str:
    data = task.get("data")
    video = None if data is None else data.get("video")
    return "" if video is None else video.text()


def _observation(entry: Value, size_hw: tuple[int, int]) -> Observation:
    height, width = size_hw
    x, w = (entry[name].number() * width / 100 for name in ("x", "width"))
    y, h = (entry[name].number() * height / 100 for name in ("y", "height"))
    rotation, seconds, score = entry.get("rotation"), entry.get("time"), entry.get("score")
    degrees = 0.0 if rotation is None else rotation.number()
    dx, dy = _centre_shift(w, h, degrees)
    return Observation(
        entry["frame"].frame(1),
        rectangle(x + dx, y + dy, w, h, degrees),
        seconds=None if seconds is None else seconds.number(),
        score=None if score is None else score.number(0, 1),
    )


def _entry(
    seen: Observation, size_hw: tuple[int, int], video: VideoTracks, *, goes_on: bool
) -> dict[str, float | int | bool]:
    height, width = size_hw
    assert isinstance(seen.shape, Rectangle)
    x, y, w, h = seen.shape.box_xywh
    dx, dy = _centre_shift(w, h, seen.shape.rotation)
    entry: dict[str, float | int | bool] = {
        "frame": seen.frame + 1,
        "enabled": goes_on or seen.frame + 1 >= video.length,
        "x": (x - dx) / width * 100,
        "y": (y - dy) / height * 100,
        "width": w / width * 100,
        "height": h / height * 100,
        "rotation": rounded(seen.shape.rotation),
    }
    if seen.seconds is not None:
        entry["time"] = rounded(seen.seconds)
    if seen.score is not None:
        entry["score"] = rounded(seen.score)
    return entry


def _centre_shift(w: float, h: float, degrees: float) -> tuple[float, float]:
    """Return how far a box moves when it turns about its corner rather than about its centre."""
    turn = math.radians(degrees)
    cos, sin = math.cos(turn), math.sin(turn)
    return (w * cos - h * sin) / 2 - w / 2, (w * sin + h * cos) / 2 - h / 2


def _is_label_studio(path: Path, content: Value | None) -> bool:
    root = content.raw if content is not None else None
    tasks = root if isinstance(root, list) else [root]
    return (
        bool(tasks)
        and isinstance(tasks[0], dict)
        and "data" in tasks[0]
        and bool({"annotations", "predictions"} & tasks[0].keys())
    )


LABEL_STUDIO = Format(
    "label_studio",
    "Label Studio, video",
    (".json",),
    frozenset(
        {"several targets", "ids", "labels", "scores", "times", "rotation", "name", "length", "frame rate"}
    ),
    1,
    "hundredths of the frame",
    "Reading needs the size of the frames. Ids that are no numbers are numbered.",
    "https://labelstud.io/tags/videorectangle; https://labelstud.io/guide/export",
    read_label_studio,
    write_label_studio,
    _is_label_studio,
)

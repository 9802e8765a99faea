"""MOTChallenge: one box of one target a line.

Convention: frames, targets and coordinates count from 1. Nine columns are ground truth: a flag (0 is
ignored), a class and a visible share follow the box. Ten are results: a score follows the box, -1 where there
is none. Our files have the class and the visible share in either form, -1 where there is none.
"""

from collections.abc import Sequence
from pathlib import Path

from starktrack.files import atomic_folder
from starktrack.interchange.building import UNNAMED, TrackBuilder, VideoInfo, rectangle, rounded
from starktrack.interchange.format import Format
from starktrack.interchange.tracks import Observation, VideoTracks
from starktrack.interchange.values import Value, read_ini, read_text, write_text

CLASSES = (
    "pedestrian",
    "person on vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non motorized vehicle",
    "static person",
    "distractor",
    "occluder",
    "occluder on the ground",
    "occluder full",
    "reflection",
)
"""Classes of MOT16 to MOT20, from 1; those of other videos are in `labels.txt` beside the boxes, one a line."""

_IGNORED = "ignored"


def read_mot(path: Path, info: VideoInfo) -> VideoTracks:
    """Return the targets of `gt.txt` or of a file of results, or of a folder with `gt/gt.txt` and `seqinfo.ini`."""
    folder = path if path.is_dir() else path.parent.parent
    file = folder / "gt" / "gt.txt" if path.is_dir() else path
    names = file.parent / "labels.txt"
    classes = read_text(names).splitlines() if names.is_file() else list(CLASSES)
    builder = TrackBuilder()
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{file} line {number}"
        values = [Value(word.strip(), where) for word in line.split(",")]
        if not 7 <= len(values) <= 10:
            raise Value(line, where).wrong("hold 7 to 10 numbers frame,id,x,y,w,h,conf,...")
        frame, target = values[0].frame(1), values[1].integer(1) - 1
        x, y, w, h = (value.number() for value in values[2:6])
        is_result, conf = len(values) == 10, values[6].number()
        class_number = values[7].number() if len(values) > 7 else -1
        share = values[8].number() if len(values) > 8 else -1
        label = ""
        if class_number >= 1:
            if class_number > len(classes):
                raise values[7].wrong(f"name one of the {len(classes)} classes, counted from 1")
            label = classes[int(class_number) - 1].strip()
        seen = Observation(
            frame,
            rectangle(x - 1, y - 1, w, h),
            score=min(conf, 1.0) if is_result and conf >= 0 else None,
            visibility=share if 0 <= share <= 1 else None,
            attributes={_IGNORED: "true"} if not is_result and conf == 0 else {},
        )
        builder.add(target, seen, where, label)
    has_info = path.is_dir() or file.parent.name == "gt"
    entries = read_ini(folder / "seqinfo.ini", "Sequence") if has_info else {}
    size = [entries[key].integer(1) for key in ("imheight", "imwidth") if key in entries]
    name, length, rate = (entries.get(key) for key in ("name", "seqlength", "framerate"))
    return builder.build(
        name="" if name is None else name.raw,
        size_hw=(size[0], size[1]) if len(size) == 2 else None,
        num_frames=None if length is None else length.integer(0),
        frame_rate=None if rate is None else rate.number(0.001),
    )


def write_mot(path: Path, video: VideoTracks) -> None:
    """Write a file `.txt` alone, or a folder with `gt/gt.txt`, `gt/labels.txt` and `seqinfo.ini`."""
    has_scores = any(each.score is not None for track in video.tracks for each in track.observations)
    classes: Sequence[str] = CLASSES if set(video.labels) <= {*CLASSES, UNNAMED} - {UNNAMED} else video.labels
    lines = []
    for frame, targets in video.by_frame():
        for track, seen in targets:
            x, y, w, h = seen.box_xywh
            flag = int(seen.attributes.get(_IGNORED) != "true")
            conf = flag if not has_scores else -1 if seen.score is None else seen.score
            number = classes.index(track.label) + 1 if track.label in classes else -1
            values = [frame + 1, track.id + 1, x + 1, y + 1, w, h, conf, number]
            values += [-1 if seen.visibility is None else seen.visibility, *([-1] if has_scores else [])]
            lines.append(",".join(str(rounded(value)) for value in values) + "\n")
    if path.suffix.lower() == ".txt":
        return write_text(path, "".join(lines))
    with atomic_folder(path, "a folder of annotations") as folder:
        (folder / "gt").mkdir()
        (folder / "gt" / "gt.txt").write_text("".join(lines), encoding="utf-8")
        names = "".join(" ".join(name.split()) + "\n" for name in classes)
        (folder / "gt" / "labels.txt").write_text(names, encoding="utf-8")
        info = [f"name={video.name}"] if video.name else []
        info.append(f"seqLength={video.length}")
        if video.frame_rate is not None:
            info.append(f"frameRate={video.frame_rate!r}")
        if video.size_hw is not None:
            info += [f"imWidth={video.size_hw[1]}", f"imHeight={video.size_hw[0]}"]
        (folder / "seqinfo.ini").write_text("[Sequence]\n" + "\n".join(info) + "\n", encoding="utf-8")


def _is_mot(path: Path, content: Value | None) -> bool:
    if path.is_dir():
        return (path / "gt" / "gt.txt").is_file()
    return path.suffix.lower() == ".txt" and 7 <= read_text(path).partition("\n")[0].count(",") + 1 <= 10


MOT = Format(
    "mot",
    "MOTChallenge",
    ("", ".txt"),
    frozenset(
        {"several targets", "ids", "labels", "scores", "visibility", "name", "size", "length", "frame rate"}
    ),
    1,
    "pixels, 1-based",
    "A file `.txt` has boxes alone, and the numbers of the classes of MOT16; a folder has all.",
    "https://motchallenge.net/instructions; Milan et al., MOT16, arXiv 1603.00831",
    read_mot,
    write_mot,
    _is_mot,
    frozenset({_IGNORED}),
)

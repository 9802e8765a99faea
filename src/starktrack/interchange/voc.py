"""Pascal VOC: an XML file for each picture.

Convention: pixels count from 1 and both corners of a box belong to it, so `xmax` is the last column.
`trackid` and `occluded` are those of ImageNet's videos; without `trackid`, label and order tell targets
apart.
"""

from pathlib import Path
from xml.sax.saxutils import escape

from starktrack.files import atomic_folder
from starktrack.interchange.building import (
    LabelCounter,
    TrackBuilder,
    VideoInfo,
    every_frame,
    frame_files,
    frame_name,
    rectangle,
    rounded,
)
from starktrack.interchange.format import Format
from starktrack.interchange.tracks import Observation, Track, VideoTracks
from starktrack.interchange.values import Value, read_text, read_xml


def read_voc(path: Path, info: VideoInfo) -> VideoTracks:
    """Return the targets of a folder of XML files, or of one file."""
    files = frame_files(path, ".xml", info) if path.is_dir() else {0: path}
    builder, size_hw = TrackBuilder(), None
    for frame, file in files.items():
        root, counter = read_xml(file), LabelCounter()
        if root.tag != "annotation":
            raise Value(root.tag, f"{root.where} the first element").wrong("be <annotation>")
        if root.find("size") is not None:
            size_hw = (root.required("size", "height").integer(1), root.required("size", "width").integer(1))
        for element in root.all("object"):
            label, track = element.required("name").text(), element.value("trackid")
            left, top, right, bottom = (
                element.required("bndbox", name).number() for name in ("xmin", "ymin", "xmax", "ymax")
            )
            occluded = element.value("occluded")
            seen = Observation(
                frame,
                rectangle(left - 1, top - 1, right - left + 1, bottom - top + 1),
                occluded=None if occluded is None else occluded.flag(),
            )
            builder.add(counter.key(label) if track is None else track.integer(0), seen, element.where, label)
    return builder.build(
        size_hw=size_hw, num_frames=max(files) + 1 if path.is_dir() else None, frame_rate=info.frame_rate
    )


def write_voc(path: Path, video: VideoTracks) -> None:
    """Write `frame_NNNNNN.xml` for each frame."""
    with atomic_folder(path, "a folder of annotations") as folder:
        for frame, targets in every_frame(video):
            lines = ["<annotation>", f"<folder>{escape(path.name)}</folder>"]
            lines.append(f"<filename>{frame_name(frame)}.jpg</filename>")
            if video.size_hw is not None:
                height, width = video.size_hw
                lines.append(f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>")
            lines += ["<segmented>0</segmented>", *(_object(track, seen) for track, seen in targets)]
            text = "\n".join([*lines, "</annotation>\n"])
            (folder / f"{frame_name(frame)}.xml").write_text(text, encoding="utf-8")


def _object(track: Track, seen: Observation) -> str:
    x, y, w, h = seen.box_xywh
    corners = {"xmin": x + 1, "ymin": y + 1, "xmax": x + w, "ymax": y + h}
    box = "".join(f"<{name}>{rounded(edge)}</{name}>" for name, edge in corners.items())
    occluded = "" if seen.occluded is None else f"<occluded>{int(seen.occluded)}</occluded>"
    return (
        f"<object><name>{escape(track.label)}</name><trackid>{track.id}</trackid><pose>Unspecified</pose>"
        f"<truncated>0</truncated>{occluded}<difficult>0</difficult><bndbox>{box}</bndbox></object>"
    )


def _is_voc(path: Path, content: Value | None) -> bool:
    if path.is_dir():
        files = sorted(path.glob("*.xml"))
        return bool(files) and _is_voc(files[0], None)
    return path.suffix.lower() == ".xml" and "<annotation>" in read_text(path)[:10_000]


VOC = Format(
    "voc",
    "Pascal VOC",
    ("",),
    frozenset({"several targets", "ids", "labels", "occluded", "size", "length"}),
    0,
    "pixels, 1-based, last pixel included",
    "The frame is the last number in a file's name.",
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc (section 3.4.1)",
    read_voc,
    write_voc,
    _is_voc,
)

"""CVAT for video, XML 1.1: tracks of boxes, polygons and masks.

Convention: a track goes on from one shape to the next, so a frame without the target gets a shape that is
`outside`; boxes between two key boxes that the file leaves out lie on straight lines. Boxes turn clockwise
about their centre. The runs of a mask go along the rows of its window. Points, lines, ellipses, cuboids and
skeletons are left out. CVAT for images is read too: its `image` elements have no identities.
"""

from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from starktrack.interchange.building import LabelCounter, TrackBuilder, VideoInfo, polygon, rectangle, rounded
from starktrack.interchange.format import KEEPS, Format
from starktrack.interchange.run_lengths import LARGEST_AREA, LARGEST_SIDE
from starktrack.interchange.tracks import Mask, Observation, Polygon, Rectangle, Shape, VideoTracks
from starktrack.interchange.values import Element, Value, read_text, read_xml, write_text

_SHAPES = ("box", "polygon", "mask")


def read_cvat(path: Path, info: VideoInfo) -> VideoTracks:
    """Return the targets of an annotation file."""
    root = read_xml(path)
    if root.tag != "annotations":
        raise Value(root.tag, f"{root.where} the first element").wrong("be <annotations>")
    colours = {label.required("name").raw: label.value("color") for label in _labels(root)}
    builder = TrackBuilder()
    for track in root.all("track"):
        label, number = track.attribute("label").text(), track.attribute("id").integer(0)
        colour = colours.get(label)
        builder.target(number, label, colour.text() if colour else None)
        # A shape that is outside ends the boxes before it: nothing is filled in up to it.
        run: list[tuple[Observation, str]] = []
        for element in sorted(track.all(*_SHAPES), key=lambda each: each.attribute("frame").frame()):
            if element.attribute("outside", "0").flag():
                builder.add_run(number, run, label)
                run = []
            elif (seen := _observation(element, element.attribute("frame").frame())) is not None:
                run.append((seen, element.where))
        builder.add_run(number, run, label)
    for image in root.all("image"):
        frame, counter = image.attribute("id").frame(), LabelCounter()
        for element in image.all(*_SHAPES):
            label = element.attribute("label").text()
            seen = _observation(element, frame)
            if seen is not None:
                builder.add(counter.key(label), seen, element.where, label)
    meta = root.find("meta") or Element("meta", root.where, {}, [])
    about = next((found for tag in ("task", "job", "project") if (found := meta.find(tag))), meta)
    size = next((found for place in (about, meta) if (found := place.find("original_size"))), None)
    first = next(iter(root.all("image")), None)
    if size is not None:
        size_hw = (size.required("height").integer(1), size.required("width").integer(1))
    elif first is not None:
        size_hw = (first.attribute("height").integer(1), first.attribute("width").integer(1))
    else:
        size_hw = None
    name, length = about.value("name"), about.value("size")
    return builder.build(
        name="" if name is None else name.text(),
        size_hw=size_hw,
        num_frames=None if length is None else length.frame(),
        frame_rate=info.frame_rate,
    )


def write_cvat(path: Path, video: VideoTracks) -> None:
    """Write a track element for each target, with a shape in each of its frames."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<annotations>",
        "<version>1.1</version>",
        *_meta(video),
    ]
    for track in video.tracks:
        lines.append(f'<track id="{track.id}" label={quoteattr(track.label)} source="auto">')
        last: Observation | None = None
        for seen in track.observations:
            if last is not None and seen.frame > last.frame + 1:
                lines.append(_shape_text(last, last.frame + 1, outside=True))
            lines.append(_shape_text(seen, seen.frame, outside=False))
            last = seen
        if last is not None and last.frame + 1 < video.length:
            lines.append(_shape_text(last, last.frame + 1, outside=True))
        lines.append("</track>")
    lines.append("</annotations>\n")
    write_text(path, "\n".join(lines))


def _labels(root: Element) -> list[Element]:
    for place in ("task", "job", "project"):
        labels = root.find("meta", place, "labels")
        if labels is not None:
            return labels.all("label")
    return []


def _observation(element: Element, frame: int) -> Observation | None:
    shape = _shape(element)
    if shape is None:
        return None
    occluded = element.texts.get("occluded")
    attributes = {each.attribute("name").text(): each.text for each in element.all("attribute")}
    return Observation(
        frame,
        shape,
        occluded=None if occluded is None else element.attribute("occluded").flag(),
        key=element.attribute("keyframe", "1").flag(),
        attributes=attributes,
    )


def _shape(element: Element) -> Shape | None:
    if element.tag == "box":
        left, top, right, bottom = (element.attribute(name).number() for name in ("xtl", "ytl", "xbr", "ybr"))
        return rectangle(left, top, right - left, bottom - top, element.attribute("rotation", "0").number())
    if element.tag == "polygon":
        value = element.attribute("points")
        numbers = [Value(word, value.where).number() for word in value.text().replace(";", ",").split(",")]
        return polygon(numbers, value)
    left, top = (element.attribute(name).integer() for name in ("left", "top"))
    width, height = (element.attribute(name).integer(1, LARGEST_SIDE) for name in ("width", "height"))
    value = element.attribute("rle")
    runs = [Value(word.strip(), value.where).integer(0) for word in value.text().split(",")]
    if width * height > LARGEST_AREA or sum(runs) > width * height:
        raise value.wrong(f"have runs of at most {width} x {height} pixels in all")
    return Mask.of_pixels(Mask((left, top), (width, height), tuple(runs)).window, (left, top))


def _meta(video: VideoTracks) -> list[str]:
    lines = ["<meta>", "<task>"]
    if video.name:
        lines.append(f"<name>{escape(video.name)}</name>")
    lines += [f"<size>{video.length}</size>", "<mode>interpolation</mode>", "<labels>"]
    for label in video.labels:
        tracks = [track for track in video.tracks if track.label == label]
        colour = next((track.colour for track in tracks if track.colour), None)
        names = sorted({name for track in tracks for seen in track.observations for name in seen.attributes})
        shown = f"<color>{escape(colour)}</color>" if colour else ""
        fields = "".join(
            f"<attribute><name>{escape(name)}</name><mutable>True</mutable><input_type>text</input_type>"
            "<default_value></default_value><values></values></attribute>"
            for name in names
        )
        lines.append(f"<label><name>{escape(label)}</name>{shown}<attributes>{fields}</attributes></label>")
    lines.append("</labels>")
    if video.size_hw is not None:
        height, width = video.size_hw
        lines.append(f"<original_size><width>{width}</width><height>{height}</height></original_size>")
    return [*lines, "</task>", "</meta>"]


def _shape_text(seen: Observation, frame: int, *, outside: bool) -> str:
    key = 1 if outside else int(seen.key)
    head = f'frame="{frame}" keyframe="{key}" outside="{int(outside)}"'
    if seen.occluded is not None or outside:
        head += f' occluded="{int(bool(seen.occluded))}"'
    shape = seen.shape
    if isinstance(shape, Rectangle):
        x, y, w, h = shape.box_xywh
        left, top, right, bottom = (rounded(edge) for edge in (x, y, x + w, y + h))
        turn = f' rotation="{rounded(shape.rotation)}"' if shape.rotation else ""
        tag, place = "box", f'xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"{turn}'
    elif isinstance(shape, Polygon):
        points = ";".join(f"{rounded(x)},{rounded(y)}" for x, y in shape.points_xy)
        tag, place = "polygon", f'points="{points}"'
    else:
        (left, top), (width, height) = shape.corner_xy, shape.size_wh
        runs = ", ".join(map(str, shape.runs))
        tag, place = "mask", f'rle="{runs}" left="{left}" top="{top}" width="{width}" height="{height}"'
    attributes = "".join(
        f"<attribute name={quoteattr(name)}>{escape(text)}</attribute>"
        for name, text in seen.attributes.items()
    )
    return f'<{tag} {head} {place} z_order="0">{attributes}</{tag}>'


def _is_cvat(path: Path, content: Value | None) -> bool:
    return path.is_file() and path.suffix.lower() == ".xml" and "<annotations" in read_text(path)[:10_000]


CVAT = Format(
    "cvat",
    "CVAT for video 1.1",
    (".xml",),
    frozenset(KEEPS) - {"scores", "times", "visibility", "frame rate"},
    0,
    "pixels, 0-based",
    "A colour belongs to a label. CVAT for images is read.",
    "https://docs.cvat.ai/docs/dataset_management/formats/format-cvat; https://docs.cvat.ai/docs/other/xml_format",
    read_cvat,
    write_cvat,
    _is_cvat,
)

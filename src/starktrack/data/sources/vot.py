"""VOT workspaces, short-term (2020: masks and anchors) and long-term (boxes, absent frames).

`sequences/list.txt` names the sequences; a line of `groundtruth.txt` is a mask, a polygon of four corners, a
box or a code. Convention: corners are continuous image pixels from 0; the box of a polygon encloses it, that
of a mask is tight. Frames with a code, NaN or an empty mask have no target. Anchors count frames from 0.

Source: votchallenge.net, the VOT toolkit's documentation of its formats.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from starktrack.data.formats.format_error import named_errors
from starktrack.data.formats.regions import Mask, Polygon, Rectangle, Region, parse_region
from starktrack.data.sources.dataset import Entry, Found, Reader, select, video_spec
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import find_frames
from starktrack.data.sources.tables import has_area, read_numbers
from starktrack.data.video_sequence import BenchmarkInfo, MaskSource, VideoSequence
from starktrack.errors import DatasetError
from starktrack.geometry.boxes import box_of_mask


def region_box(region: Region) -> tuple[float, float, float, float]:
    """Return what encloses a region x,y,w,h; zeros when there is none."""
    if isinstance(region, Rectangle):
        x, y, w, h = region.box_xywh.tolist()
        return x, y, w, h
    if isinstance(region, Polygon):
        (left, top), (right, bottom) = region.points_xy.min(axis=0), region.points_xy.max(axis=0)
        return float(left), float(top), float(right - left), float(bottom - top)
    if isinstance(region, Mask) and region.pixels.any():
        x, y, w, h = box_of_mask(region.pixels)
        return region.corner_xy[0] + x, region.corner_xy[1] + y, w, h
    return 0.0, 0.0, 0.0, 0.0


@dataclass(frozen=True)
class RegionMasks:
    """Masks of a sequence whose ground truth has them."""

    regions: tuple[Region, ...]
    size_hw: tuple[int, int]

    def __len__(self) -> int:
        return len(self.regions)

    def read(self, index: int) -> Bool[np.ndarray, "height width"]:
        """Return the mask of frame `index`, cut at the border of the frame."""
        full = np.zeros(self.size_hw, bool)
        region = self.regions[index]
        if isinstance(region, Mask):
            (x, y), (height, width) = region.corner_xy, region.pixels.shape
            part = region.pixels[max(0, -y) :, max(0, -x) :]
            target = full[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
            target |= part[: target.shape[0], : target.shape[1]]
        return full


def read_regions(entry: Entry) -> tuple[Region, ...]:
    """Return the ground truth of a sequence as regions, one per frame.

    Raises:
        DatasetError: A line is broken; names file and line.
    """
    label = entry.labels.label(entry.annotation)
    lines = entry.labels.read_text(entry.annotation).split()
    if not lines:
        raise DatasetError(f"{label} must hold a region per frame, it is empty")
    regions = []
    for number, line in enumerate(lines, start=1):
        with named_errors(f"{label} line {number}", DatasetError):
            regions.append(parse_region(line))
    return tuple(regions)


def _find(root: Folder, split: str) -> Found:
    base = root.folder("sequences") or root
    if not base.has("list.txt"):
        raise DatasetError(
            f"{base.label('list.txt')} is missing; it must name the sequences of a VOT workspace"
        )
    folders = {name: folder.unwrapped(name) for name, folder in base.folders().items()}
    entries = {
        name: Entry(name, folder, folder, "groundtruth.txt")
        for name, folder in folders.items()
        if folder.has("groundtruth.txt") and (base is not root or _is_vot(folder))
    }
    return select(base.read_text("list.txt").split(), entries)


def _is_vot(folder: Folder) -> bool:
    """Tell VOT from one's own videos, which may have a list and files of the same names."""
    return folder.has("sequence") or folder.folder("color") is not None


def _read(entry: Entry) -> VideoSequence:
    regions = read_regions(entry)
    boxes = np.array([region_box(region) for region in regions])
    folder, digits = _channel(entry)
    frames = find_frames(folder, 1, len(regions), digits=(digits,))
    info = _info(entry, regions)
    sequence = VideoSequence(entry.name, frames, boxes, has_area(boxes), benchmark=info)
    if not any(isinstance(region, Mask) for region in regions):
        return sequence
    width, height = sequence.size_wh
    return replace(sequence, masks=RegionMasks(regions, (height, width)))


def _masks(entry: Entry) -> MaskSource | None:
    return _read(entry).masks


def _settings(entry: Entry) -> dict[str, str]:
    if not entry.labels.has("sequence"):
        return {}
    lines = entry.labels.read_text("sequence").splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}


def _channel(entry: Entry) -> tuple[Folder, int]:
    """Return the folder of the colour frames and the digits of their numbers."""
    folder, _, name = _settings(entry).get("channels.color", "color/%08d.jpg").rpartition("/")
    digits = "".join(letter for letter in name.partition("d")[0] if letter.isdigit())
    return entry.frames.below(folder), int(digits or 1)


def _info(entry: Entry, regions: tuple[Region, ...]) -> BenchmarkInfo:
    tags: dict[str, Bool[np.ndarray, " num_frames"]] = {}
    anchors: dict[int, int] = {}
    for name in sorted(entry.labels.files()):
        stem, _, kind = name.rpartition(".")
        if kind == "tag" or name == "anchor.value":
            # The toolkit leaves out what follows the last value.
            values = read_numbers(entry.labels, name)[: len(regions)]
            if kind == "tag":
                tags[stem] = np.pad(values, (0, len(regions) - len(values))) > 0
            else:
                anchors = {frame: 1 if value > 0 else -1 for frame, value in enumerate(values) if value}
    settings = _settings(entry)
    has_size = "width" in settings and "height" in settings
    size = (int(settings["width"]), int(settings["height"])) if has_size else None
    return BenchmarkInfo(resolution_wh=size, regions=regions, anchors=anchors, tags=tags)


VOT = video_spec("vot", "a VOT workspace", ("all",), _find, Reader(_read, masks=_masks))

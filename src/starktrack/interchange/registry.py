"""All formats by name; reads and writes tracks in any of them."""

from pathlib import Path

from starktrack.errors import AnnotationError, nearest_name
from starktrack.interchange.building import VideoInfo, places
from starktrack.interchange.coco import COCO, COCO_VIDEO
from starktrack.interchange.cvat import CVAT
from starktrack.interchange.datumaro import DATUMARO
from starktrack.interchange.format import Format, reduced
from starktrack.interchange.label_studio import LABEL_STUDIO
from starktrack.interchange.labelme import LABELME
from starktrack.interchange.mot import MOT
from starktrack.interchange.results import CSV, JSON, JSON_LINES
from starktrack.interchange.text import GOT10K, OTB
from starktrack.interchange.tracks import VideoTracks
from starktrack.interchange.values import read_json
from starktrack.interchange.via import VIA
from starktrack.interchange.voc import VOC
from starktrack.interchange.yolo import YOLO

FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        CSV,
        JSON,
        JSON_LINES,
        GOT10K,
        OTB,
        MOT,
        COCO,
        COCO_VIDEO,
        YOLO,
        CVAT,
        LABEL_STUDIO,
        LABELME,
        DATUMARO,
        VOC,
        VIA,
    )
}
"""In the order in which a file's content is compared with them."""

_BY_SUFFIX = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".txt": "got10k", ".xml": "cvat"}


def read(
    path: str | Path,
    format: str | None = None,
    *,
    size_hw: tuple[int, int] | None = None,
    frame_rate: float | None = None,
    first_frame: int = 0,
    name: str = "",
) -> VideoTracks:
    """Return the annotated targets of one video.

    Args:
        path: A file, or the folder of a format that has one.
        format: A key of `FORMATS`; by default the content tells.
        size_hw: Height and width of the frames, for formats that do not hold them.
        frame_rate: Frames per second, for formats that do not hold it.
        first_frame: Number of the first frame in the names of files that lie one a frame (YOLO, labelme, VOC).
        name: Which video, of a file that holds several.

    Raises:
        AnnotationError: Unknown format, or a file that does not hold it; names the line or the key.

    Example:
        >>> _ = Path("gt.txt").write_text("4,1,10,20,30,40,1,-1,-1,-1")
        >>> read("gt.txt", "mot").starts()
        {3: {0: (9.0, 19.0, 30.0, 40.0)}}
    """
    path = Path(path)
    known = VideoInfo(size_hw, frame_rate, first_frame, name)
    video = format_named(format or detect(path)).read(path, known)
    if not video.tracks:
        raise AnnotationError(f"{path} must hold at least one box, got none")
    return VideoTracks(
        video.tracks,
        video.name,
        video.size_hw or size_hw,
        video.num_frames,
        video.frame_rate or frame_rate,
    )


def write(path: str | Path, video: VideoTracks, format: str | None = None) -> list[Path]:
    """Write the annotated targets of one video; `losses` says what a format does not keep.

    Args:
        path: A file, or a folder that is new or empty; it appears when it is whole.
        video: The targets.
        format: A key of `FORMATS`; by default the suffix tells: `.csv`, `.json` and `.jsonl` (ours), `.txt` (GOT-10k)
            or `.xml` (CVAT).

    Returns:
        Where it was written: one path, or one for each target in a format of one target.

    Raises:
        AnnotationError: Unknown format, no target, or the format needs the size of the frames.
        InputError: There is something at `path` already, it cannot be written to, or the disk is full.

    Example:
        >>> from starktrack.interchange import Observation, Rectangle, Track
        >>> video = VideoTracks((Track(0, "duck", (Observation(3, Rectangle((10, 20, 30, 40))),)),))
        >>> [str(path) for path in write("duck.csv", video)]
        ['duck.csv']
        >>> read("duck.csv").starts()
        {3: {0: (10.0, 20.0, 30.0, 40.0)}}
    """
    path = Path(path)
    if format is None and path.suffix.lower() not in _BY_SUFFIX:
        raise AnnotationError(
            f"a file of annotations must end in {', '.join(_BY_SUFFIX)}, or its format be named, got {path.name!r}; "
            f"formats: {', '.join(FORMATS)}"
        )
    target = format_named(format or _BY_SUFFIX[path.suffix.lower()])
    small = reduced(video, target.keeps | {"size", "ids"}, target.own_attributes)
    if not small.tracks:
        raise AnnotationError(f"annotations must hold at least one box, got none for {path}")
    check_place(path, target)
    target.write(path, small)
    return [path] if "several targets" in target.keeps else [place for _, place in places(path, small)]


def detect(path: str | Path) -> str:
    """Return the name of the format that a file or folder holds.

    Raises:
        AnnotationError: There is nothing, or nothing that any format matches.

    Example:
        >>> _ = Path("boxes.txt").write_text("10,20,30,40")
        >>> detect("boxes.txt")
        'got10k'
    """
    path = Path(path)
    if not path.exists():
        raise AnnotationError(f"annotations must be a file or a folder, got {path}, which is not there")
    name = recognise(path)
    if name is None:
        raise AnnotationError(
            f"{path} must hold one of the formats {', '.join(FORMATS)}, got none; name it if it does"
        )
    return name


def recognise(path: Path) -> str | None:
    """Return the name of the format that a file or folder holds, or None where none matches.

    Raises:
        AnnotationError: A file `.json` that is no JSON, or no text.

    Example:
        >>> _ = Path("notes.txt").write_text("buy milk")
        >>> recognise(Path("notes.txt")) is None
        True
    """
    content = read_json(path) if path.is_file() and path.suffix.lower() == ".json" else None
    return next((each.name for each in FORMATS.values() if each.matches(path, content)), None)


def format_named(name: str) -> Format:
    """Return a format.

    Raises:
        AnnotationError: There is none of this name.

    Example:
        >>> format_named("coco").title
        'COCO, pictures with track ids'
    """
    if name not in FORMATS:
        raise AnnotationError(f"unknown annotation format {name!r}{nearest_name(name, FORMATS)}")
    return FORMATS[name]


def check_place(path: Path, target: Format) -> None:
    """Check that annotations can be written there, before the work that fills them.

    Raises:
        AnnotationError: No such folder around it, another suffix than the format's, or a folder where a file
        is to be.

    Example:
        >>> check_place(Path("gt.xml"), FORMATS["mot"])
        Traceback (most recent call last):
        starktrack.errors.AnnotationError: annotations in the format mot must ...
    """
    if not path.parent.is_dir():
        raise AnnotationError(
            f"annotations must lie in a folder that exists, got {path}; create {path.parent}"
        )
    suffix = path.suffix.lower()
    if suffix in target.suffixes and suffix:
        if path.is_dir():
            raise AnnotationError(f"annotations that end in {suffix} must be a file, got the folder {path}")
    elif "" not in target.suffixes or suffix in _BY_SUFFIX:
        wanted = " or ".join(f"end in {each}" if each else "be a folder" for each in target.suffixes)
        raise AnnotationError(f"annotations in the format {target.name} must {wanted}, got {path.name!r}")

"""Files of a VOT workspace: sequences with anchors, and a tracker's runs in the toolkit's own text form."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from starktrack.data.formats.region_bytes import decode_regions
from starktrack.data.formats.regions import INITIALISATION, Region, Special, format_region
from starktrack.data.sources.dataset import VideoDataset
from starktrack.data.sources.registry import open_dataset
from starktrack.data.sources.vot import read_regions
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import ResultFileError
from starktrack.evaluation.vot_regions import parse_region, tight
from starktrack.files import atomic_write


@dataclass(frozen=True, eq=False)
class VotSequence:
    """The truth about one VOT sequence.

    Attributes:
        size_wh: Width and height of the frames, pixels.
        truth: One region per frame.
        anchors: Frame to start at -> direction, 1 forward or -1 backward.
        tags: What the workspace says of single frames, by the name of the tag.
    """

    name: str
    size_wh: tuple[int, int]
    truth: tuple[Region, ...]
    anchors: dict[int, int]
    tags: dict[str, Bool[np.ndarray, " num_frames"]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.truth)


@dataclass(frozen=True, eq=False)
class VotRun:
    """What a tracker said from one start to the end of the sequence, in the order it saw the frames.

    Attributes:
        regions: One per frame; the first is `INITIALISATION`.
        confidence: How sure the tracker was that the target is there; zeros where it did not say.
    """

    regions: tuple[Region, ...]
    confidence: Float[np.ndarray, " num_frames"]


def anchor_frames(sequence: VotSequence, anchor: int) -> range:
    """Return the frames of the run from an anchor: to the last frame, or backwards to the first."""
    return range(anchor, len(sequence)) if sequence.anchors[anchor] > 0 else range(anchor, -1, -1)


def read_sequences(workspace: Path) -> list[VotSequence]:
    """Return the sequences that `sequences/list.txt` of a workspace names.

    Raises:
        DatasetError: The list or a file of a sequence is missing or malformed, or the frame size is not known.
    """
    dataset = open_dataset("vot", workspace, "all")
    assert isinstance(dataset, VideoDataset)
    return [_read_sequence(dataset, name) for name in dataset.names]


def _read_sequence(dataset: VideoDataset, name: str) -> VotSequence:
    info = dataset.benchmark_info(name)
    truth = tuple(tight(region) for region in read_regions(dataset.entry(name)))
    anchors = {} if info.anchors is None else dict(enumerate(np.sign(info.anchors).astype(int).tolist()))
    files = dataset.entry(name).labels.files()
    tags = sorted(file.removesuffix(".tag") for file in files if file.endswith(".tag"))
    return VotSequence(
        name,
        info.resolution_wh or _size_of_frames(dataset[name]),
        truth,
        {frame: direction for frame, direction in anchors.items() if direction},
        {tag: info.attributes[tag] > 0 for tag in tags},
    )


def _size_of_frames(sequence: VideoSequence) -> tuple[int, int]:
    height, width = sequence.frames.read(0).shape[:2]
    return width, height


def run_path(results: Path, experiment: str, sequence: str, run: str) -> Path:
    """Return the file of one run: `run` is the anchor as 8 digits, or `001` for an unsupervised run."""
    return results / experiment / sequence / f"{sequence}_{run}.txt"


def read_run(path: Path, num_frames: int) -> VotRun:
    """Return a run from its text file, or else the toolkit's binary one, and the confidences beside it.

    Raises:
        ResultFileError: The file is missing, malformed or of another length; names the file.
    """
    regions = _read_regions(path)
    if len(regions) != num_frames:
        raise ResultFileError(f"{path} must hold {num_frames} regions, got {len(regions)}; run it again")
    return VotRun(regions, _confidence(path, num_frames))


def _read_regions(path: Path) -> tuple[Region, ...]:
    binary = path.with_suffix(".bin")
    if not path.exists() and binary.exists():
        found = decode_regions(binary.read_bytes(), str(binary), ResultFileError)
        return tuple(tight(region) for region in found)
    try:
        lines = path.read_text(encoding="utf-8").split()
    except FileNotFoundError as error:
        raise ResultFileError(f"a VOT run must lie in {path} or .bin, got no such file; run it") from error
    except UnicodeDecodeError as error:
        raise ResultFileError(f"{path} must be text, got bytes; a binary result must end in .bin") from error
    return tuple(parse_region(line, str(path)) for line in lines)


def write_run(
    path: Path,
    regions: Sequence[Region],
    seconds: Iterable[float],
    confidence: Sequence[float] | None = None,
) -> None:
    """Write one run as the toolkit would: regions, `_time.value`, and `_confidence.value` if given.

    The first region is written as the code for initialisation, the first confidence as an empty line. Each file
    appears whole, and that of the regions last: its presence says that the run is finished.

    Raises:
        InputError: The place cannot be written to, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    told = [Special(INITIALISATION), *regions[1:]]
    _write_lines(_beside(path, "time"), [f"{value:.6f}" for value in seconds])
    if confidence is not None:
        _write_lines(_beside(path, "confidence"), ["", *(f"{value:.6f}" for value in confidence[1:])])
    _write_lines(path, [format_region(region) for region in told])


def run_files(path: Path) -> list[Path]:
    """Return the files that `write_run` may write."""
    return [path, _beside(path, "time"), _beside(path, "confidence")]


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with atomic_write(path) as partial:
        partial.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.stem}_{what}.value")


def _confidence(path: Path, num_frames: int) -> Float[np.ndarray, " num_frames"]:
    values = np.zeros(num_frames)
    beside = _beside(path, "confidence")
    if beside.exists():
        lines = beside.read_text(encoding="utf-8").splitlines()[:num_frames]
        for index, line in enumerate(lines):
            values[index] = _number(line, beside) if line.strip() else 0.0
    return values


def _number(line: str, path: Path) -> float:
    try:
        return float(line)
    except ValueError as error:
        raise ResultFileError(f"{path} must hold a number per line, got {line!r}") from error

"""Files of a VOT workspace: sequences with anchors, and a tracker's runs in the toolkit's own text form."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from starktrack.data.formats.format_error import named_errors
from starktrack.data.formats.region_bytes import decode_regions
from starktrack.data.formats.regions import INITIALISATION, Region, Special, format_region
from starktrack.data.sources.registry import open_dataset
from starktrack.data.sources.vot import region_box
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import ResultFileError
from starktrack.evaluation.vot_regions import parse_region, tight
from starktrack.files import atomic_write


@dataclass(frozen=True, eq=False)
class VotRun:
    """A tracker's output from one start to the end of the sequence, in the order of tracking.

    Attributes:
        regions: One per frame; the first is `INITIALISATION`.
        confidence: The tracker's confidence that the target is present; zeros without one.
    """

    regions: tuple[Region, ...]
    confidence: Float[np.ndarray, " num_frames"]


def anchor_frames(sequence: VideoSequence, anchor: int) -> range:
    """Return the frames of the run from an anchor: to the last frame, or backwards to the first."""
    is_forward = sequence.benchmark.anchors[anchor] > 0
    return range(anchor, len(sequence)) if is_forward else range(anchor, -1, -1)


def read_sequences(workspace: Path) -> list[VideoSequence]:
    """Return the sequences that `sequences/list.txt` of a workspace names, their masks as the toolkit has them.

    Raises:
        DatasetError: The list or a file of a sequence is missing or malformed.
    """
    dataset = open_dataset("vot", workspace, "all")
    return [_with_tight_masks(dataset[name]) for name in dataset.names]


def _with_tight_masks(sequence: VideoSequence) -> VideoSequence:
    regions = tuple(tight(region) for region in sequence.benchmark.regions)
    boxes = np.array([region_box(region) for region in regions])
    return replace(sequence, boxes_xywh=boxes, benchmark=replace(sequence.benchmark, regions=regions))


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
        with named_errors(str(binary), ResultFileError):
            return tuple(tight(region) for region in decode_regions(binary.read_bytes()))
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
    appears complete, and the file of regions last: it marks the run as finished.

    Raises:
        InputError: The place cannot be written to, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    written = [Special(INITIALISATION), *regions[1:]]
    _write_lines(_beside(path, "time"), [f"{value:.6f}" for value in seconds])
    if confidence is not None:
        _write_lines(_beside(path, "confidence"), ["", *(f"{value:.6f}" for value in confidence[1:])])
    _write_lines(path, [format_region(region) for region in written])


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

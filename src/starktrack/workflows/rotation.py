"""Outputs that never end, in parts: a new set of files after so much time or so many bytes."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from starktrack.data.frames import FrameStream
from starktrack.data.track_output import TrackedFrame
from starktrack.errors import ConfigError
from starktrack.workflows.track_outputs import TrackOutputs, format_to_save

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_BYTES = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True)
class Rotation:
    """When a part ends, whichever comes first.

    Attributes:
        seconds: Time that it covers, on the clock of the source; None for any.
        num_bytes: Size of its files together; None for any.

    Example:
        >>> Rotation.parse("1h"), Rotation.parse("90s,500MB")
        (Rotation(seconds=3600.0, num_bytes=None), Rotation(seconds=90.0, num_bytes=500000000))
    """

    seconds: float | None = None
    num_bytes: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Rotation":
        """Return the rotation of a text: a time (`90s`, `10m`, `1h`, `1d`), a size (`500MB`, `2GiB`) or both.

        Raises:
            ConfigError: Neither a time nor a size, or nothing that ever fills.
        """
        seconds: float | None = None
        num_bytes: int | None = None
        for part in text.split(","):
            found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", part.lower())
            value, unit = (float(found[1]), found[2]) if found else (0.0, "")
            if value > 0 and unit in _SECONDS:
                seconds = value * _SECONDS[unit]
            elif value > 0 and unit in _BYTES:
                num_bytes = round(value * _BYTES[unit])
            else:
                raise ConfigError(
                    f"a rotation must be a time such as 90s, 10m, 1h or 1d, a size such as 500MB or 2GB, or both "
                    f"separated by a comma, got {text!r}"
                )
        return cls(seconds, num_bytes)


def part_path(path: Path | None, begun: datetime, number: int) -> Path | None:
    """Return the path of a part: `boxes.csv` becomes `boxes-20260131T120000Z-00001.csv`, in order of time.

    Example:
        >>> part_path(Path("boxes.csv"), datetime(2026, 1, 31, 12, tzinfo=UTC), 1).name
        'boxes-20260131T120000Z-00001.csv'
    """
    return None if path is None else path.with_stem(f"{path.stem}-{begun:%Y%m%dT%H%M%SZ}-{number:05d}")


class RotatingOutputs:
    """Writes like `TrackOutputs`, in parts. Every part is whole when it appears; all its files hold the same frames.

    A crash or an error loses the open part at most.

    Args:
        rotation: When a part ends.
        save, annotated, masks: Where parts go, before `part_path`.
        frames: What is tracked.
        save_format, labels: As `TrackOutputs`.

    Attributes:
        paths: All files and folders that were written.

    Raises:
        ConfigError: Nothing is written to a file, or only a size is given and no file grows frame by frame.
    """

    def __init__(
        self,
        rotation: Rotation,
        save: Path | None,
        annotated: Path | None,
        masks: Path | None,
        frames: FrameStream,
        *,
        save_format: str | None = None,
        labels: Mapping[int, str] | None = None,
    ) -> None:
        if save is None and annotated is None and masks is None:
            raise ConfigError("a rotation needs a file to rotate, got none; add --save, --video or --masks")
        grows = annotated is not None or (save is not None and format_to_save(save, save_format) is None)
        if rotation.seconds is None and not grows:
            raise ConfigError(
                "a rotation by size needs a video, or boxes in a file that grows row by row (.csv, .jsonl, ...); "
                "give a time"
            )
        self.paths: list[Path] = []
        self._rotation, self._places = rotation, (save, annotated, masks)
        self._frames, self._save_format, self._labels = frames, save_format, labels
        self._part: TrackOutputs | None = None
        self._begun_at = 0.0
        self._number = 0

    def __enter__(self) -> "RotatingOutputs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the open part as `TrackOutputs` does; earlier parts stay."""
        part, self._part = self._part, None
        if part is not None:
            try:
                part.__exit__(kind, error, trace)
            finally:
                self.paths += part.paths

    def write(self, tracked: TrackedFrame) -> None:
        """Write one frame, to a new part if the open one is full."""
        now = time.monotonic() if tracked.seconds is None else tracked.seconds
        if self._part is not None and self._is_full(now):
            self.__exit__(None, None, None)
        if self._part is None:
            self._part = self._next_part().__enter__()
            self._begun_at = now
        self._part.write(tracked)

    def _is_full(self, now: float) -> bool:
        assert self._part is not None, "asked only of an open part"
        seconds, num_bytes = self._rotation.seconds, self._rotation.num_bytes
        return (seconds is not None and now - self._begun_at >= seconds) or (
            num_bytes is not None and self._part.num_bytes >= num_bytes
        )

    def _next_part(self) -> TrackOutputs:
        self._number += 1
        begun = datetime.now(UTC)
        save, annotated, masks = (part_path(path, begun, self._number) for path in self._places)
        return TrackOutputs(
            save, annotated, masks, self._frames, save_format=self._save_format, labels=self._labels
        )

"""The exception tree: every error a user can cause has a class here and says what, rule, got and remedy.

```text
StarktrackError
├── ConfigError              an unknown preset, key or value
├── InputError               something the user passed
│   ├── BoxError             a box that cannot be tracked
│   ├── VideoError           a video or image folder that cannot be read or written
│   │   └── VideoBrokenError   a video that broke off after some good frames
│   ├── DatasetError         a data set that is missing, incomplete or malformed
│   │   └── NothingUsableError   a data set of which no sequence can be used
│   ├── ResultFileError      a result file that cannot be read
│   └── AnnotationError      an annotation file that cannot be read or written
├── CheckpointError          a weights file of another model, damaged or truncated
│   └── UnsafeCheckpointError   a pickle that asks for more than tensors and containers
├── MissingExtraError        an optional package that is not installed
├── DeviceError              a device that this machine does not have
└── TrainingError            a training run that cannot go on (NaN loss, too many corrupt images)
```

`SourceWarning` is no error: a source was read in another way than it says, and the warning says how.
"""

import difflib
from collections.abc import Iterable


class StarktrackError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(StarktrackError):
    """An unknown preset or key, or a value outside its range."""


class InputError(StarktrackError):
    """Something the user passed cannot be used."""


class BoxError(InputError):
    """A box that cannot be tracked: wrong count, NaN, empty, or outside the frame."""


class VideoError(InputError):
    """A video, image folder, camera or stream that cannot be read or written."""


class VideoBrokenError(VideoError):
    """A video that broke off, or changed its frame size, after `num_frames` good frames."""

    def __init__(self, message: str, num_frames: int) -> None:
        super().__init__(message)
        self.num_frames = num_frames


class SourceWarning(UserWarning):
    """A video or image folder was repaired or mapped while it was read; the message says what and how."""


class DatasetError(InputError):
    """A data set that is missing, incomplete or malformed; names the file."""


class NothingUsableError(DatasetError):
    """A data set in which nothing fits what is asked of it, so that trying again would not help."""


class ResultFileError(InputError):
    """A tracking result file that cannot be read."""


class AnnotationError(InputError):
    """An annotation file that cannot be read or written; names the file and the line or key."""


class CheckpointError(StarktrackError):
    """A weights file that is damaged, truncated or belongs to another model."""


class UnsafeCheckpointError(CheckpointError):
    """A pickle that asks for code beyond tensors and plain containers."""


class MissingExtraError(StarktrackError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed; "
            f'run: pip install "starktrack[{extra}]"'
        )


class DeviceError(StarktrackError):
    """A device that this machine does not have."""


class TrainingError(StarktrackError):
    """A training run that cannot go on."""


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the closest known name, or the list of all when none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"

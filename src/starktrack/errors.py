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
import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any


class StarktrackError(Exception):
    """Base of every error this package raises on purpose.

    Example:
        >>> import starktrack
        >>> try:
        ...     starktrack.load("stark_s5")
        ... except starktrack.StarktrackError as error:
        ...     print(error)
        a model must be one of the presets, got 'stark_s5'; did you mean 'stark_s50'?
    """

    def __str__(self) -> str:
        """Return the message without control characters, see `printable`."""
        return printable(super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what another process needs to raise the same, whatever arguments the class takes."""
        return _restored, (type(self), self.args), self.__dict__


def printable(text: str) -> str:
    r"""Return the text with control characters, but for line breaks and tabs, as escapes.

    The name of a file or a label may hold what moves the cursor of a terminal or changes its colours.

    Example:
        >>> printable("red" + chr(27) + "[31m.mp4")
        'red\\x1b[31m.mp4'
    """
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)


def _restored(kind: type[StarktrackError], arguments: tuple[Any, ...]) -> StarktrackError:
    return kind.__new__(kind, *arguments)


class ConfigError(StarktrackError):
    """An unknown preset or key, or a value outside its range.

    Example:
        >>> import starktrack
        >>> starktrack.load(settings={"lost_afte": 3})
        Traceback (most recent call last):
            ...
        starktrack.errors.ConfigError: unknown key 'lost_afte'; did you mean 'lost_after'?
    """


class InputError(StarktrackError):
    """Something the user passed cannot be used.

    Example:
        >>> import numpy, starktrack
        >>> starktrack.load().update(numpy.zeros((8, 8, 3), numpy.uint8))
        Traceback (most recent call last):
            ...
        starktrack.errors.InputError: update is for exactly one target, got 0; ...
    """


class BoxError(InputError):
    """A box that cannot be tracked: wrong count, NaN, empty, or outside the frame.

    Example:
        >>> import numpy, starktrack
        >>> starktrack.load().start(numpy.zeros((8, 8, 3), numpy.uint8), (20, 2, 4, 4))
        Traceback (most recent call last):
            ...
        starktrack.errors.BoxError: a box must overlap the frame of 8 x 8 pixels, got 20,2,4,4; ...
    """


class VideoError(InputError):
    """A video, image folder, camera or stream that cannot be read or written.

    Example:
        >>> import starktrack
        >>> starktrack.open_frames("nowhere.mp4")
        Traceback (most recent call last):
            ...
        starktrack.errors.VideoError: nowhere.mp4 must be ...
    """


class VideoBrokenError(VideoError):
    """A video that broke off, or changed its frame size, after `num_frames` good frames.

    Example:
        >>> VideoBrokenError("dog.mp4 broke off after 12 frames: the file is cut", 12).num_frames
        12
    """

    def __init__(self, message: str, num_frames: int) -> None:
        super().__init__(message)
        self.num_frames = num_frames


class SourceWarning(UserWarning):
    """An input was repaired or mapped while it was read, or looks like a mistake; the message says what.

    Example:
        >>> import starktrack, warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("error", starktrack.SourceWarning)  # refuse what would be repaired
        ...     frames = starktrack.open_frames("dog.mp4")
        >>> frames.close()
    """


class DatasetError(InputError):
    """A data set that is missing, incomplete or malformed; names the file.

    Example:
        >>> from pathlib import Path
        >>> from starktrack.data.sources import open_dataset
        >>> open_dataset("otb", Path("nowhere"), "test")
        Traceback (most recent call last):
            ...
        starktrack.errors.DatasetError: ...
    """


class NothingUsableError(DatasetError):
    """A data set in which nothing fits what is asked of it, so that trying again would not help.

    Example:
        >>> issubclass(NothingUsableError, DatasetError)
        True
    """


class ResultFileError(InputError):
    """A tracking result file that cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from starktrack.data.formats.result_files import read_boxes
        >>> read_boxes(Path("nowhere.txt"))
        Traceback (most recent call last):
            ...
        starktrack.errors.ResultFileError: nowhere.txt must be a file of boxes that can be read, got: ...
    """


class AnnotationError(InputError):
    """An annotation file that cannot be read or written; names the file and the line or key.

    Example:
        >>> from starktrack.interchange import read
        >>> read("nowhere.xml")
        Traceback (most recent call last):
            ...
        starktrack.errors.AnnotationError: ...nowhere.xml...
    """


class CheckpointError(StarktrackError):
    """A weights file that is damaged, truncated or belongs to another model.

    Example:
        >>> import starktrack
        >>> starktrack.load("stark_st50")
        Traceback (most recent call last):
            ...
        starktrack.errors.CheckpointError: stark_st50 needs weights, got none; ...
    """


class UnsafeCheckpointError(CheckpointError):
    """A pickle that asks for code beyond tensors and plain containers.

    Example:
        >>> issubclass(UnsafeCheckpointError, CheckpointError)
        True
    """


class MissingExtraError(StarktrackError):
    """An optional package is needed and not installed.

    Example:
        >>> print(MissingExtraError("onnx", "export", "exporting"))
        exporting needs the package onnx, which is not installed; run: pip install "starktrack[export]"
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed; "
            f'run: pip install "starktrack[{extra}]"'
        )


class DeviceError(StarktrackError):
    """A device that this machine does not have.

    Example:
        >>> import starktrack
        >>> starktrack.load(device="tpu", engine="onnx")
        Traceback (most recent call last):
            ...
        starktrack.errors.DeviceError: the onnx engine runs on cpu, cuda, ..., got device 'tpu'; ...
    """


class TrainingError(StarktrackError):
    """A training run that cannot go on.

    Example:
        >>> raise TrainingError("the loss is NaN at step 12")
        Traceback (most recent call last):
            ...
        starktrack.errors.TrainingError: the loss is NaN at step 12
    """


def require_extra(extra: str, purpose: str, *packages: str) -> None:
    """Check that packages of an extra are installed, without importing them.

    Raises:
        MissingExtraError: One of them is not.
    """
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, extra, purpose)


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the closest known name, or the list of all when none is close.

    Capitals do not count. A short word is far from a long name that it is a part of (`s50`, `mobile`), so that parts
    of names count as close.
    """
    names = sorted(known)
    by_word = {each.casefold(): each for each in names}
    word = name.casefold()
    close = difflib.get_close_matches(word, by_word, n=1, cutoff=0.5)
    if not close and len(word) > 1:
        close = [each for each in by_word if word in each]
    if not close or len(close) > 3:
        return f"; known: {', '.join(names)}"
    return f"; did you mean {' or '.join(repr(by_word[each]) for each in close)}?"

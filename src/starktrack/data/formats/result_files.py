"""Result files: boxes as text in the form of the benchmarks, tracks as CSV or JSON."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from types import TracebackType

from starktrack.arrays import Box, Boxes
from starktrack.data.formats.format_error import named_errors
from starktrack.data.formats.number_text import parse_boxes
from starktrack.data.track_output import TrackOutput
from starktrack.errors import InputError, ResultFileError, VideoBrokenError
from starktrack.files import OutputFile, atomic_write, check_output_path, named_write

COLUMNS = ("frame", "seconds", "target", "x", "y", "w", "h", "score", "template_updated", "state")
"""Columns of a CSV file and keys of a JSON entry, in order."""


class ResultWriter:
    """A result file being written, row by row; it appears under its name when it is whole.

    `.txt` holds one `x,y,w,h` line per frame from the first box on, and nothing else (GOT-10k form); several
    targets make one file each, `name_<target>.txt`. `.csv`, `.json` and `.jsonl` hold `COLUMNS` for all targets;
    JSON is a list of objects, one per line, with null for what is not known. JSON lines are the same without the
    list around them.

    Leaving the `with` block keeps the files when nothing was raised or the source broke off
    (`VideoBrokenError`), and removes them on any other error. Without rows there is no file.

    Attributes:
        paths: The files that were written; known after `close`.

    Raises:
        InputError: Unknown suffix, or a place that cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        check_result_path(path)
        self.paths: tuple[Path, ...] = ()
        self._path = path
        self._form = _FORMS[path.suffix.lower()]
        self._parts: dict[int | None, _Part] = {}

    def __enter__(self) -> "ResultWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep the files, or remove them on an error other than a source that broke off."""
        if error is None or isinstance(error, VideoBrokenError):
            self.close()
        else:
            self.discard()

    def write(self, output: TrackOutput) -> None:
        """Append what is known of one target in one frame; frames come in order."""
        target = output.target_id if self._form.one_file_per_target else None
        if target not in self._parts:
            self._parts[target] = _Part(self._path, target, self._form)
        self._parts[target].write(output)

    @property
    def num_bytes(self) -> int:
        """Size of what was written so far."""
        return sum(part.file.num_bytes for part in self._parts.values())

    def close(self) -> None:
        """Finish the files and move them to their places; a second call does nothing."""
        parts, self._parts = self._parts, {}
        for part in parts.values():
            if len(parts) == 1:
                part.file.path = self._path
            part.close()
        self.paths += tuple(part.file.path for part in parts.values())

    def discard(self) -> None:
        """Remove what was written; older files of these names stay."""
        parts, self._parts = self._parts, {}
        for part in parts.values():
            part.discard()


def check_result_path(path: Path) -> None:
    """Check that a result file can be written there, before the work that fills it.

    Raises:
        InputError: Not .txt, .csv, .json or .jsonl, or a place that cannot be written to.
    """
    check_output_path(path, _FORMS, "a result file")


def write_boxes(path: Path, boxes_xywh: Boxes) -> None:
    """Write one `x,y,w,h` line per box, with four decimals; rows without a target as NaN.

    Raises:
        InputError: Not .txt, or a place that cannot be written to.
    """
    check_output_path(path, (".txt",), "a box file")
    lines = "".join(_box_text(box) + "\n" for box in boxes_xywh)
    with atomic_write(path) as partial:
        partial.write_text(lines, encoding="utf-8")


def read_boxes(path: Path) -> Boxes:
    """Return the boxes of a text file: four numbers a line, separated by commas, tabs or spaces.

    Returns:
        One row per line; NaN rows stay NaN.

    Raises:
        ResultFileError: Missing, empty, not text, or a line without exactly four numbers; names it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ResultFileError(
            f"{path} must be a file of boxes that can be read, got: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise ResultFileError(f"{path} must be a text file of boxes, got bytes that are no text") from error
    with named_errors(str(path), ResultFileError):
        return parse_boxes(text)


def _box_text(box_xywh: Box) -> str:
    return ",".join(f"{value:.4f}" for value in box_xywh)


def csv_line(output: TrackOutput) -> str:
    """Return an output as CSV in the order of `COLUMNS`, without a line end; what is not known is empty."""
    return ",".join("" if value is None else json.dumps(value) for value in _values(output))


def json_line(output: TrackOutput) -> str:
    """Return an output as a JSON object with the keys of `COLUMNS`, without a line end."""
    return json.dumps(dict(zip(COLUMNS, _values(output), strict=True)))


def _values(output: TrackOutput) -> list[int | float | bool | str | None]:
    numbers = [output.seconds, *output.box_xywh.tolist(), output.score]
    seconds, *box, score = [
        None if number is None or isnan(number) else round(number, 4) for number in numbers
    ]
    return [output.frame_index, seconds, output.target_id, *box, score, output.template_updated, output.state]


@dataclass(frozen=True)
class _Form:
    """How rows become text, and what stands around and between them."""

    line: Callable[[TrackOutput], str]
    opening: str
    separator: str
    closing: str
    one_file_per_target: bool


_FORMS = {
    ".txt": _Form(lambda output: _box_text(output.box_xywh), "", "\n", "\n", one_file_per_target=True),
    ".csv": _Form(csv_line, ",".join(COLUMNS) + "\n", "\n", "\n", one_file_per_target=False),
    ".json": _Form(json_line, "[\n", ",\n", "\n]\n", one_file_per_target=False),
    ".jsonl": _Form(json_line, "", "\n", "\n", one_file_per_target=False),
}


class _Part:
    """One open file of a result."""

    def __init__(self, path: Path, target: int | None, form: _Form) -> None:
        self.file = OutputFile(path if target is None else path.with_stem(f"{path.stem}_{target}"))
        self._form = form
        self._before = form.opening
        try:
            self._text = self.file.partial.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise InputError(
                f"{self.file.path} must lie in a folder where files can be created, got: "
                f"{error.strerror or error}; choose another"
            ) from error

    def write(self, output: TrackOutput) -> None:
        with named_write(self.file.path):
            self._text.write(self._before + self._form.line(output))
        self._before = self._form.separator

    def close(self) -> None:
        try:
            with named_write(self.file.path):
                self._text.write(self._form.closing)
                self._text.close()
                self.file.keep()
        finally:
            self.discard()

    def discard(self) -> None:
        with contextlib.suppress(OSError):  # what could not be written is not wanted any more
            self._text.close()
        self.file.discard()

"""Writes tracked frames to a result file, an annotated video, or standard output."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from starktrack.data.formats.mask_files import MaskWriter, check_mask_folder
from starktrack.data.formats.result_files import COLUMNS, ResultWriter, check_result_path, csv_line, json_line
from starktrack.data.frames import FrameStream, local_path
from starktrack.data.track_output import TrackedFrame
from starktrack.data.video.writer import VideoWriter, check_video_path
from starktrack.errors import ConfigError, InputError
from starktrack.files import check_new_folder
from starktrack.interchange.cvat import CVAT
from starktrack.interchange.format import Format
from starktrack.interchange.recording import TrackRecorder
from starktrack.interchange.registry import check_place, format_named
from starktrack.tracking.overlay import draw_boxes, draw_masks

LINE_FORMATS = ("csv", "jsonl")
"""Formats whose rows can be written one by one to standard output."""


def format_to_save(save: Path, name: str | None) -> Format | None:
    """Return the annotation format of a file of boxes; None for formats that are written frame by frame.

    Raises:
        AnnotationError: There is no format of this name.
    """
    if name is None:
        return CVAT if save.suffix.lower() == ".xml" else None
    is_ours = name in ("csv", "json", "jsonl") and save.suffix.lower() == f".{name}"
    return None if is_ours else format_named(name)


def check_outputs(
    source: str,
    save: Path | None,
    annotated: Path | None,
    masks: Path | None,
    save_format: str | None = None,
    boxes_file: Path | None = None,
) -> None:
    """Refuse paths that cannot be written, before the work that fills them.

    Raises:
        InputError: Unknown suffix or format, a place that cannot be written to, or a file that is read.
    """
    if save_format is not None and save is None:
        if annotated is not None or masks is not None:
            raise ConfigError("--format is for the file that --save names, got none; add --save FILE")
        if save_format not in LINE_FORMATS:
            raise ConfigError(
                f"standard output has the formats {' and '.join(LINE_FORMATS)}, got {save_format}; add --save FILE"
            )
    if save is not None:
        target = format_to_save(save, save_format)
        if target is None:
            check_result_path(save)
        else:
            check_place(save, target)
            if "" in target.suffixes and not save.suffix:
                check_new_folder(save, "a folder of annotations")
    if annotated is not None:
        check_video_path(annotated)
    if masks is not None:
        check_mask_folder(masks)
    for read, what in ((local_path(source), "video that is tracked"), (boxes_file, "file of boxes")):
        for path in (save, annotated):
            if (
                path is not None
                and read is not None
                and path.exists()
                and read.exists()
                and path.samefile(read)
            ):
                raise InputError(f"an output must not replace the {what}, got {path}; name another")


class TrackOutputs:
    """Writes each frame to all requested outputs; an error leaves no incomplete file.

    Args:
        save: File of results.
        annotated: File of the annotated video.
        masks: Folder of outlines.
        frames: What is tracked.
        on_line: Takes the rows if no file is requested: CSV, or JSON lines if `save_format` is `jsonl`.
    """

    def __init__(
        self,
        save: Path | None,
        annotated: Path | None,
        masks: Path | None,
        frames: FrameStream,
        on_line: Callable[[str], object] | None = None,
        *,
        save_format: str | None = None,
        labels: Mapping[int, str] | None = None,
    ) -> None:
        self._results: ResultWriter | TrackRecorder | None = None
        if save is not None:
            target = format_to_save(save, save_format)
            self._results = (
                ResultWriter(save)
                if target is None
                else TrackRecorder(
                    save,
                    target,
                    labels=labels,
                    name=frames.name,
                    size_hw=frames.size_hw,
                    frame_rate=frames.frame_rate,
                )
            )
        self._video = (
            None
            if annotated is None
            else VideoWriter(annotated, frames.size_hw, frames.frame_rate, pixel_aspect=frames.pixel_aspect)
        )
        self._masks = None if masks is None else MaskWriter(masks)
        self._on_line = on_line if save is None and annotated is None and masks is None else None
        self._line = json_line if save_format == "jsonl" else csv_line
        self._stack = ExitStack()
        self.paths: list[Path] = []

    def __enter__(self) -> "TrackOutputs":
        """Open the requested outputs, and give the header of the CSV lines."""
        for writer in (self._results, self._video, self._masks):
            if writer is not None:
                self._stack.enter_context(writer)
        if self._on_line is not None and self._line is csv_line:
            self._on_line(",".join(COLUMNS) + "\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep the files, or remove them on an error."""
        try:
            self._stack.__exit__(kind, error, trace)
        finally:
            written = [
                *(self._results.paths if self._results else ()),
                *([self._video.path] if self._video else ()),
                *([self._masks.path] if self._masks else ()),
            ]
            self.paths = [path for path in written if path.exists()]

    @property
    def num_bytes(self) -> int:
        """Size of the files that grow row by row or frame by frame; other formats are written at the end."""
        growing = [writer for writer in (self._results, self._video) if not isinstance(writer, TrackRecorder)]
        return sum(writer.num_bytes for writer in growing if writer is not None)

    def write(self, tracked: TrackedFrame) -> None:
        """Write the outputs of one frame."""
        frame, outputs = tracked.frame, tracked.outputs
        for output in outputs.values():
            if self._results is not None:
                self._results.write(output)
            if self._on_line is not None:
                self._on_line(self._line(output) + "\n")
        masks = {target: output.mask for target, output in outputs.items() if output.mask is not None}
        if self._masks is not None and masks:
            self._masks.write(frame.index, masks)
        if self._video is not None:
            boxes = {target: output.box_xywh for target, output in outputs.items()}
            scores = {target: output.score for target, output in outputs.items()}
            states = {target: output.state for target, output in outputs.items()}
            image = draw_masks(frame.image, masks) if masks else frame.image
            self._video.write(draw_boxes(image, boxes, scores, states), frame.seconds)

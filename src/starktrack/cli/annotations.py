"""`starktrack annotations`: look at annotated tracks, and write them in another format."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starktrack.errors import ConfigError, printable

if TYPE_CHECKING:
    from starktrack.interchange import VideoTracks


def annotations(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A file or folder of annotations.")],
    target: Annotated[
        Path | None, typer.Argument(metavar="[DST]", help="Where to write them; without it they are shown.")
    ] = None,
    source_format: Annotated[
        str | None,
        typer.Option("--from", metavar="FORMAT", help="Format of SRC; default: its content tells."),
    ] = None,
    target_format: Annotated[
        str | None, typer.Option("--to", metavar="FORMAT", help="Format of DST; default: its suffix tells.")
    ] = None,
    video: Annotated[
        str | None,
        typer.Option(metavar="VIDEO", help="The video, for formats without the size of its frames."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="The size of the frames, instead of the video.")
    ] = None,
    first_frame: Annotated[
        int, typer.Option(metavar="N", min=0, help="Number of the first frame in the names of files.")
    ] = 0,
    name: Annotated[str, typer.Option(help="Which video, of a file that holds several.")] = "",
    thin: Annotated[
        float | None,
        typer.Option(
            metavar="PIXELS", min=0, help="Keep as key boxes only those that lines between them miss by more."
        ),
    ] = None,
) -> None:
    """Show annotated tracks, or write them in another format.

    Formats: csv, json, jsonl, got10k, otb, mot, coco, coco_video, yolo, cvat, label_studio, labelme, datumaro, voc,
    via. What each keeps is in docs/annotations.md; a notice names what is lost.
    """
    from starktrack.workflows.annotations import read_annotations, write_annotations

    size_hw = None if size is None else _size(size)
    tracks = read_annotations(
        source, source_format, video=video, size_hw=size_hw, first_frame=first_frame, name=name, thin=thin
    )
    if target is None:
        _show(tracks)
        return
    written = write_annotations(target, tracks, target_format)
    notice = f"; {written.format} does not keep: {', '.join(written.lost)}" if written.lost else ""
    sys.stderr.write(f"wrote {', '.join(map(str, written.paths))}{notice}\n")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ConfigError(f"--size must be WIDTHxHEIGHT such as 640x360, got {text!r}")
    return int(height), int(width)


def _show(tracks: "VideoTracks") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for column in ("target", "label"):
        table.add_column(column, overflow="fold")
    for column in ("boxes", "key boxes", "first frame", "last frame"):
        table.add_column(column, justify="right")
    for track in tracks.tracks:
        keys = sum(seen.key for seen in track.observations)
        first, last = track.observations[0].frame, track.observations[-1].frame
        table.add_row(
            str(track.id), escape(printable(track.label)), *map(str, (len(track), keys, first, last))
        )
    output = Console()
    output.print(table)
    size = "" if tracks.size_hw is None else f", {tracks.size_hw[1]} x {tracks.size_hw[0]} pixels"
    rate = "" if tracks.frame_rate is None else f", {tracks.frame_rate:g} frames/s"
    output.print(f"{tracks.length} frames{size}{rate}", highlight=False)

"""`starktrack studio`: the page to point, watch, correct and export."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from starktrack.cli.options import Device, DeviceOption, RefineOption


def studio(
    place: Annotated[
        Path,
        typer.Argument(metavar="VIDEO_OR_FOLDER", help="A video, a folder of frames, or a folder of both."),
    ] = Path(),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8765,
    host: Annotated[
        str,
        typer.Option(help="Another address than this machine's own needs the token in the printed address."),
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    store: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where projects are kept; default: beside each video."),
    ] = None,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="As in `starktrack track`.")] = None,
    refine: RefineOption = None,
    device: DeviceOption = Device.auto,
) -> None:
    """Open a page in the browser to draw boxes, watch them tracked, correct them and export the tracks.

    The page runs on this machine and needs no network. It opens the videos
    below VIDEO_OR_FOLDER and nothing outside it.

    Work is kept as it is done, in VIDEO.starktrack.json beside the video or in
    --store, and is there again at the next start.

    Stop it with Ctrl-C in this terminal; closing the page does not stop it.
    """
    from starktrack.studio.launch import serve

    serve(
        place,
        host=host,
        port=port,
        open_browser=browser,
        store=store,
        weights=weights,
        refine=refine,
        device=device.value,
        notify=lambda address: _say(f"studio: {address}\nstop it with Ctrl-C\n"),
    )


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

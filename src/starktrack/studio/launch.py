"""Start the studio: find a port, print the address, open the page, serve until Ctrl-C."""

import asyncio
import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

from starktrack.errors import InputError, require_extra

MOST_PIXELS = 64 * 2**20
"""Of a picture or a frame of a video: 8192 x 8192, 192 MiB decoded."""

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


def serve(
    place: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    open_browser: bool = True,
    store: Path | None = None,
    weights: str | Path | None = None,
    refine: str | Path | None = None,
    device: str = "auto",
    notify: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the studio for a video or the videos of a folder, until it is stopped.

    Args:
        place: A video file, or the folder that videos are opened from; nothing outside it can be reached.
        host: Address to listen on; one that is not this machine's own needs the token that `notify` is given.
        port: 0 takes a free one.
        open_browser: Open the page.
        store: Folder of the project files; None for beside each video.
        weights: As `starktrack.load`.
        refine: As `starktrack.load`.
        device: As `starktrack.load`.
        notify: Takes the address of the page, once it can be opened.

    Raises:
        MissingExtraError: The server's packages are not installed.
        InputError: There is no such place, or the port is taken.
    """
    # Read by OpenCV when it is loaded: larger pictures are refused before memory is taken for them.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))
    require_extra("studio", "the studio", "starlette", "uvicorn", "websockets")
    import uvicorn

    from starktrack.api import load
    from starktrack.data.video.image_files import is_image
    from starktrack.studio.guard import Guard
    from starktrack.studio.insight import Insight
    from starktrack.studio.library import VIDEO_SUFFIXES, Library
    from starktrack.studio.pages import MOST_MESSAGE_BYTES
    from starktrack.studio.server import Studio, make_app

    if not place.exists():
        raise InputError(f"the studio opens a video or a folder, got {place}, which is not there")
    if place.is_file() and place.suffix.lower() not in VIDEO_SUFFIXES:
        raise InputError(
            f"the studio opens a video or a folder, got the file {place.name!r}; "
            f"give one that ends in {', '.join(sorted(VIDEO_SUFFIXES))}, or its folder"
        )
    if store is not None and not store.is_dir():
        raise InputError(f"projects must be kept in a folder that exists, got {store}; create it")
    holds_frames = place.is_dir() and any(is_image(path) for path in place.iterdir())
    root = place.resolve().parent if place.is_file() or holds_frames else place
    first_video = place.resolve().name if root != place else ""
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    token = "" if host in LOCAL_HOSTS else secrets.token_urlsafe(24)
    reached = _own_address() if host in ("0.0.0.0", "::") else host
    shown = f"[{reached}]" if ":" in reached else reached
    names = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", shown)}
    if token:
        names |= {f"{name}:{port}" for name in _own_names()}
    studio = Studio(
        Library(root),
        store=store,
        make_tracker=lambda: load(weights=weights, device=device, refine=refine),
        first_video=first_video,
        insight=Insight(weights, device, refine),
    )
    app = Guard(make_app(studio), hosts=names, token=token)
    config = uvicorn.Config(
        app,
        log_level="warning",
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=MOST_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # costs more time than it saves on one machine
        limit_concurrency=256,
        timeout_graceful_shutdown=3,
    )
    address = f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
    notify(address)
    if open_browser:
        threading.Timer(0.5, webbrowser.open, (address,)).start()
    with listener:
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # from here on a browser waits for the server instead of being refused
    except OSError as error:
        listener.close()
        raise InputError(
            f"the studio must be able to listen on {host}:{port}, got: {error.strerror}; "
            "choose another with --port, or 0 for a free one"
        ) from error
    return listener


def _own_address() -> str:
    """Return the address by which other machines reach this one: that of the way out, or else its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for examples; nothing is sent
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def _own_names() -> set[str]:
    """Return the names and addresses under which this machine can be reached from others."""
    name = socket.gethostname()
    try:
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(name, None)}
    except OSError:
        addresses = set()
    return {name, socket.getfqdn(), *(f"[{each}]" if ":" in each else each for each in addresses)}

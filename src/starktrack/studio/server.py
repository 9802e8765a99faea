"""The studio's server: the page, and what it asks of the videos by request."""

import asyncio
import contextlib
import secrets
import tempfile
import time
import zipfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from starktrack.errors import InputError, StarktrackError
from starktrack.studio.exchange import EXPORTS, export_tracks, import_tracks
from starktrack.studio.insight import Insight, can_explain
from starktrack.studio.library import Library
from starktrack.studio.pages import serve_page
from starktrack.studio.run import Tracker
from starktrack.studio.session import Session

MOST_ANNOTATION_BYTES = 256 * 2**20
MOST_EXPORTS = 8
"""Exports that wait to be fetched; older ones are removed."""

MOST_OPEN = 4
"""Videos that stay open although no page shows them."""

MOST_WIDTH = 8192
EXPORTING_SECONDS = 0.5
"""Time between two messages that say how far an export is."""


class Studio:
    """All that the server holds: the folder, and the sessions of the videos that were opened.

    Args:
        library: The folder.
        store: Where project files go; None for beside each video.
        make_tracker: Makes the tracker of a session, in that session's thread.
        first_video: Opened by the page at its start; empty for the list.
        insight: The networks that explain and outline.
    """

    def __init__(
        self,
        library: Library,
        *,
        store: Path | None,
        make_tracker: Callable[[], Tracker],
        first_video: str = "",
        insight: Insight | None = None,
    ) -> None:
        self.library, self.store, self.make_tracker = library, store, make_tracker
        self.first_video = first_video
        self.insight = insight or Insight()
        self.thinking = ThreadPoolExecutor(1, "insight")
        """The networks of `insight` run one at a time."""
        self.exports: OrderedDict[str, tuple[tempfile.TemporaryDirectory[str], Path]] = OrderedDict()
        self.sessions: dict[str, Session] = {}
        self.num_sockets = 0
        self._opening: dict[str, asyncio.Lock] = {}

    async def session(self, path: str) -> Session:
        """Return the session of a video; it is opened when it is asked for first."""
        place = self.library.resolve(path)
        key = place.relative_to(self.library.root).as_posix()
        # One lock for each video: one that takes long to open keeps nobody from the others.
        async with self._opening.setdefault(key, asyncio.Lock()):
            if key not in self.sessions:
                store = self.store or place.parent
                self.sessions[key] = await asyncio.to_thread(Session, place, store, self.make_tracker)
            self.sessions[key] = self.sessions.pop(key)  # the latest one used comes last
        await self._close_idle()
        return self.sessions[key]

    async def _close_idle(self) -> None:
        """Close the videos that were used least lately and that nobody looks at, so that memory stays bounded."""
        idle = [key for key, each in self.sessions.items() if not each.listeners and each.run is None]
        for key in idle[: max(0, len(self.sessions) - MOST_OPEN)]:
            if key != next(reversed(self.sessions)):
                await self.sessions.pop(key).close()

    async def close(self) -> None:
        """Save and close every session, also where one of them cannot be saved.

        Raises:
            InputError: One of them was not saved.
        """
        self.thinking.shutdown(wait=False, cancel_futures=True)
        for folder, _ in self.exports.values():
            folder.cleanup()
        closed = [session.close() for session in self.sessions.values()]
        for result in await asyncio.gather(*closed, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result


def make_app(studio: Studio) -> Starlette:
    """Return the application, without its guard."""
    static = resources.files("starktrack.studio") / "static"

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await studio.close()

    def with_studio(handler: Callable[[Studio, Request], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                return await handler(studio, request)
            except StarktrackError as error:
                return JSONResponse({"error": str(error)}, status_code=400)
            except ClientDisconnect:
                return Response(status_code=400)

        return answer

    return Starlette(
        routes=[
            Route("/", lambda _: FileResponse(str(static / "index.html"))),
            Route("/api/folder", with_studio(_folder)),
            Route("/api/video", with_studio(_video)),
            Route("/api/frame", with_studio(_frame)),
            Route("/api/upload", with_studio(_upload), methods=["POST"]),
            Route("/api/insight", with_studio(_insight)),
            Route("/api/export", with_studio(_export), methods=["POST"]),
            Route("/api/export/{ticket}", with_studio(_fetch_export)),
            Route("/api/import", with_studio(_import), methods=["POST"]),
            WebSocketRoute("/api/socket", partial(serve_page, studio)),
            Mount("/static", StaticFiles(directory=str(static))),
        ],
        lifespan=lifespan,
    )


async def _folder(studio: Studio, request: Request) -> Response:
    folder = request.query_params.get("path", "")
    entries = await asyncio.to_thread(studio.library.entries, folder)
    return JSONResponse(
        {
            "folder": folder,
            "entries": [{"path": entry.path, "kind": entry.kind} for entry in entries],
            "first_video": studio.first_video,
            "most_upload_bytes": studio.library.most_upload_bytes,
            "exports": [{"name": name, "label": label} for name, label in EXPORTS.items()],
            "can_explain": can_explain(),
        }
    )


async def _video(studio: Studio, request: Request) -> Response:
    session = await studio.session(_required(request, "path"))
    return JSONResponse(session.description())


async def _frame(studio: Studio, request: Request) -> Response:
    session = await studio.session(_required(request, "path"))
    index = _whole(_required(request, "index"), "index", 0, session.project.num_frames - 1)
    width = _whole(request.query_params.get("width", "0"), "width", 0, MOST_WIDTH)
    picture = await asyncio.to_thread(session.pictures.jpeg, index, width)
    return Response(picture, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})


async def _upload(studio: Studio, request: Request) -> Response:
    declared = request.headers.get("content-length")
    size = _whole(declared, "content-length", 0, 1 << 62) if declared is not None else None
    place = await studio.library.upload(_required(request, "name"), size, request.stream())
    path = place.relative_to(studio.library.root).as_posix()
    try:
        session = await studio.session(path)
    except StarktrackError:
        place.unlink(missing_ok=True)  # it was no video: nothing of it stays
        raise
    return JSONResponse({"path": path, **session.description()})


async def _insight(studio: Studio, request: Request) -> Response:
    session = await studio.session(_required(request, "path"))
    index = _whole(_required(request, "index"), "index", 0, session.project.num_frames - 1)
    number = _whole(_required(request, "target"), "target", 0, 1 << 31)
    target = session.project.target(number)
    kind = _required(request, "kind")
    if kind not in ("maps", "outline"):
        raise InputError(f"kind must be maps or outline, got {kind[:40]!r}")
    ask = studio.insight.maps if kind == "maps" else studio.insight.outline
    loop = asyncio.get_running_loop()
    return JSONResponse(await loop.run_in_executor(studio.thinking, ask, session.frames, target, index))


async def _export(studio: Studio, request: Request) -> Response:
    """Make the files of an export; the page fetches them by their ticket, so that errors appear before."""
    session = await studio.session(_required(request, "path"))
    name = _required(request, "format")
    loop = asyncio.get_running_loop()
    said_at = 0.0

    def on_frame(frame: int) -> None:
        nonlocal said_at
        if time.monotonic() - said_at > EXPORTING_SECONDS:
            said_at = time.monotonic()
            message = {"type": "exporting", "share": round((frame + 1) / session.project.num_frames, 3)}
            loop.call_soon_threadsafe(session.notify, message)

    folder = tempfile.TemporaryDirectory(prefix="starktrack-export-")
    try:
        place = Path(folder.name)
        written = await asyncio.to_thread(export_tracks, session, name, place, studio.insight, on_frame)
        file = written[0]
        if len(written) > 1 or file.parent != place:
            file = place / f"{session.video.stem}.{name}.zip"
            await asyncio.to_thread(_zip, file, place, written)
    except BaseException:
        folder.cleanup()
        raise
    ticket = secrets.token_hex(16)
    studio.exports[ticket] = (folder, file)
    while len(studio.exports) > MOST_EXPORTS:
        studio.exports.popitem(last=False)[1][0].cleanup()
    return JSONResponse({"ticket": ticket, "name": file.name})


async def _fetch_export(studio: Studio, request: Request) -> Response:
    held = studio.exports.get(request.path_params["ticket"])
    if held is None:
        raise InputError("an export must be one of the latest, got one that is gone; export again")
    return FileResponse(held[1], media_type="application/octet-stream", filename=held[1].name)


def _zip(archive: Path, folder: Path, files: list[Path]) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for file in files:
            out.write(file, file.relative_to(folder))


async def _import(studio: Studio, request: Request) -> Response:
    session = await studio.session(_required(request, "path"))
    name = Path(_required(request, "name")).name
    parts: list[bytes] = []
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > MOST_ANNOTATION_BYTES:
            raise InputError(f"an annotation file may have {MOST_ANNOTATION_BYTES} bytes, got more")
        parts.append(chunk)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / (name or "annotations")
        await asyncio.to_thread(file.write_bytes, b"".join(parts))
        targets = await asyncio.to_thread(import_tracks, session, file)
    session.take(targets)
    return JSONResponse({"targets": len(targets)})


def _required(request: Request, name: str) -> str:
    if name not in request.query_params:
        raise InputError(f"the request needs {name}=")
    return request.query_params[name]


def _whole(text: str, name: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20) or not least <= int(text) <= most:
        raise InputError(f"{name} must be a whole number from {least} to {most}, got {text[:40]!r}")
    return int(text)

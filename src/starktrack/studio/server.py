"""The studio's server: the page, the frames of videos as pictures, and a socket for each page."""

import asyncio
import contextlib
import json
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from starktrack.errors import InputError, StarktrackError
from starktrack.studio.exchange import EXPORTS, export_tracks, import_tracks
from starktrack.studio.library import Library
from starktrack.studio.run import Tracker
from starktrack.studio.session import Session

MOST_SOCKETS = 32
MOST_MESSAGE_BYTES = 1 << 20
MOST_ANNOTATION_BYTES = 256 * 2**20
MOST_WAITING = 2000
"""Messages that may wait for one page; a page that reads slower than that is closed, and reloads."""

MOST_WIDTH = 8192


class Studio:
    """All that the server holds: the folder, and the sessions of the videos that were opened.

    Args:
        library: The folder.
        store: Where project files go; None for beside each video.
        make_tracker: Makes the tracker of a session, in that session's thread.
        first_video: Opened by the page at its start; empty for the list.
    """

    def __init__(
        self,
        library: Library,
        *,
        store: Path | None,
        make_tracker: Callable[[], Tracker],
        first_video: str = "",
    ) -> None:
        self.library, self.store, self.make_tracker = library, store, make_tracker
        self.first_video = first_video
        self.sessions: dict[str, Session] = {}
        self.num_sockets = 0
        self._opening = asyncio.Lock()

    async def session(self, path: str) -> Session:
        """Return the session of a video; it is opened when it is asked for first."""
        place = self.library.resolve(path)
        key = place.relative_to(self.library.root).as_posix()
        async with self._opening:
            if key not in self.sessions:
                store = self.store or place.parent
                self.sessions[key] = await asyncio.to_thread(Session, place, store, self.make_tracker)
            return self.sessions[key]

    async def close(self) -> None:
        """Save and close every session."""
        for session in self.sessions.values():
            await session.close()


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
            Route("/api/export", with_studio(_export)),
            Route("/api/import", with_studio(_import), methods=["POST"]),
            WebSocketRoute("/api/socket", partial(_socket, studio)),
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
        }
    )


async def _video(studio: Studio, request: Request) -> Response:
    session = await studio.session(_required(request, "path"))
    return JSONResponse(session.description())


async def _frame(studio: Studio, request: Request) -> Response:
    session = await studio.session(_required(request, "path"))
    index = _whole(_required(request, "index"), "index", 0, session.project.num_frames - 1)
    width = _whole(request.query_params.get("width", "0"), "width", 0, MOST_WIDTH)
    picture = await asyncio.to_thread(session.picture, index, width)
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


async def _export(studio: Studio, request: Request) -> Response:
    session = await studio.session(_required(request, "path"))
    name = _required(request, "format")
    with tempfile.TemporaryDirectory() as folder:
        written = await asyncio.to_thread(export_tracks, session, name, Path(folder))
        if len(written) == 1:
            content, file_name = await asyncio.to_thread(written[0].read_bytes), written[0].name
        else:
            archive = Path(folder) / f"{session.video.stem}.{name}.zip"
            await asyncio.to_thread(_zip, archive, Path(folder), written)
            content, file_name = await asyncio.to_thread(archive.read_bytes), archive.name
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in file_name)
    headers = {"content-disposition": f'attachment; filename="{safe}"'}
    return Response(content, media_type="application/octet-stream", headers=headers)


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


async def _socket(studio: Studio, socket: WebSocket) -> None:
    """Serve one page: send it every message of its video, and do what it asks."""
    await socket.accept()
    if studio.num_sockets >= MOST_SOCKETS:
        await socket.close(1013, f"at most {MOST_SOCKETS} pages at once; close some")
        return
    studio.num_sockets += 1
    queue: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()

    def listener(message: Mapping[str, Any]) -> None:
        queue.put_nowait(message if queue.qsize() < MOST_WAITING else None)

    session: Session | None = None
    sender: asyncio.Task[None] | None = None
    try:
        session = await studio.session(socket.query_params.get("path", ""))
        for message in (session.description(), *session.all_rows()):
            listener(message)
        session.listeners.add(listener)
        sender = asyncio.create_task(_send_all(socket, queue))
        while True:
            text = await socket.receive_text()
            answer = _do(session, text)
            if answer is not None:
                listener(answer)
    except StarktrackError as error:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.send_json({"type": "error", "message": str(error)})
            await socket.close(1008)
    except (WebSocketDisconnect, RuntimeError, KeyError):
        pass  # the page went away, or sent bytes where text is meant
    finally:
        studio.num_sockets -= 1
        if session is not None:
            session.listeners.discard(listener)
        if sender is not None:
            sender.cancel()


async def _send_all(socket: WebSocket, queue: "asyncio.Queue[Mapping[str, Any] | None]") -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (message := await queue.get()) is not None:
            await socket.send_text(json.dumps(message, separators=(",", ":")))
        await socket.close(1013, "this page reads too slowly; reload it")


def _do(session: Session, text: str) -> Mapping[str, Any] | None:
    """Do what a message of a page asks; return what to answer to it alone."""
    number: Any = None
    try:
        if len(text) > MOST_MESSAGE_BYTES:
            raise InputError(f"a message may have {MOST_MESSAGE_BYTES} characters, got {len(text)}")
        message = _object(text)
        number = message.pop("number", None)
        action = message.pop("action", None)
        if action == "track":
            wanted = {"targets": None, "frame": None, "direction": "forward", "to_next_key": False, **message}
            if set(wanted) != {"targets", "frame", "direction", "to_next_key"} or not isinstance(
                wanted["targets"], list
            ):
                raise InputError("track takes targets, frame, direction and to_next_key")
            if not isinstance(wanted["frame"], int) or not isinstance(wanted["to_next_key"], bool):
                raise InputError("track takes a frame's number, and true or false for to_next_key")
            session.track(
                wanted["targets"],
                wanted["frame"],
                direction=wanted["direction"],
                to_next_key=wanted["to_next_key"],
            )
            result = None
        elif action == "stop":
            result = session.stop()
        elif action in ("pause", "resume"):
            result = session.pause(is_paused=action == "pause")
        elif action == "next_doubtful":
            found = session.project.doubtful(int(message.get("after", -1)))
            result = None if found is None else {"target": found[0], "frame": found[1]}
        else:
            result = session.apply(str(action), message)
    except StarktrackError as error:
        return {"type": "error", "number": number, "message": str(error)}
    except (TypeError, ValueError) as error:
        return {
            "type": "error",
            "number": number,
            "message": f"a message must hold what its action takes: {error}",
        }
    return {"type": "done", "number": number, "result": result}


def _object(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"a message must be JSON, got: {error}") from error
    if not isinstance(message, dict):
        raise InputError(f"a message must be a JSON object, got {text[:40]!r}")
    return message


def _required(request: Request, name: str) -> str:
    if name not in request.query_params:
        raise InputError(f"the request needs {name}=")
    return request.query_params[name]


def _whole(text: str, name: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20) or not least <= int(text) <= most:
        raise InputError(f"{name} must be a whole number from {least} to {most}, got {text[:40]!r}")
    return int(text)

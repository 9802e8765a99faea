"""The socket of a page: it gets every change of its video, and its messages are done one by one."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from starktrack.errors import InputError, StarktrackError
from starktrack.studio.session import Session

if TYPE_CHECKING:
    from starktrack.studio.server import Studio

MOST_SOCKETS = 32
MOST_MESSAGE_BYTES = 1 << 20
MOST_WAITING = 2000
"""Messages that may wait for one page; a page that reads slower than that is closed, and reloads."""

TRACK_ARGUMENTS: dict[str, Any] = {
    "targets": None,
    "frame": None,
    "direction": "forward",
    "to_next_key": False,
}
"""What the action `track` takes, with what it means where it is left out."""


async def serve_page(studio: "Studio", socket: WebSocket) -> None:
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
        for message in (session.description(), *session.all_rows(), {"type": "whole"}):
            listener(message)
        session.listeners.add(listener)
        sender = asyncio.create_task(_send_all(session, socket, queue))
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


async def _send_all(
    session: Session, socket: WebSocket, queue: "asyncio.Queue[Mapping[str, Any] | None]"
) -> None:
    """Send messages in their order; rows are encoded only now, so that a waiting page costs no memory."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (message := await queue.get()) is not None:
            if message["type"] == "rows":
                await socket.send_bytes(session.encode(message))
            else:
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
            wanted = {**TRACK_ARGUMENTS, **message}
            if wanted.keys() != TRACK_ARGUMENTS.keys() or not isinstance(wanted["targets"], list):
                raise InputError(f"track takes {', '.join(TRACK_ARGUMENTS)}")
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
            after = message.get("after", -1)
            if not isinstance(after, int) or isinstance(after, bool) or after < -1:
                raise InputError(f"next_doubtful goes on after a frame's number, got {str(after)[:40]}")
            found = session.project.doubtful(after)
            result = None if found is None else {"target": found[0], "frame": found[1]}
        else:
            result = session.apply(str(action), message)
    except StarktrackError as error:
        return {"type": "error", "number": number, "message": str(error)}
    except (TypeError, ValueError, OverflowError) as error:  # the last of 1e999, which JSON may hold
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

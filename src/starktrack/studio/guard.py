"""Access control of the studio: only its own page may connect, from this machine or with the token.

A page of another site that the user visits can send requests to 127.0.0.1 as well, and a host name of that site can be
pointed here (DNS rebinding). Both are told apart by the `Host` and `Origin` headers, which pages cannot choose.
"""

import hmac
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "starktrack_token"

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""Headers of every response: the page loads nothing from other hosts, and no other page may frame it."""


class Guard:
    """Middleware that refuses foreign hosts, foreign pages, and requests without the token where one is set.

    Args:
        app: The protected application.
        hosts: Values of `Host` that are ours, with port.
        token: Needed in the address (`?token=`) or the cookie; empty for none.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], token: str = "") -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        reason = self._reason_to_refuse(scope, headers)
        if reason:
            await _refuse(scope, receive, send, reason)
            return
        await self._app(scope, receive, self._with_headers(scope, send))

    def _reason_to_refuse(self, scope: Scope, headers: dict[str, str]) -> str:
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            return "this address is not the studio's; open the one that it printed at its start"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host:
            return "requests of other pages are refused"
        if scope["type"] == "websocket" and origin is None and self._token == "":
            return "a socket must say which page it belongs to (Origin)"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return "requests of other pages are refused"
        if self._token and not self._has_token(scope, headers):
            return "the token is missing or wrong; open the address that the studio printed at its start"
        return ""

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        given += [] if cookie is None else [cookie.value]
        return any(hmac.compare_digest(each.encode(), self._token.encode()) for each in given)

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                if self._token:
                    cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                    added.append((b"set-cookie", cookie.encode()))
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        return send_with_headers if scope["type"] == "http" else send


async def _refuse(scope: Scope, receive: Receive, send: Send, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": reason[:100]})
        return
    body = reason.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})

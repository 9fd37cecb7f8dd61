"""Entity tags (RFC 9110): who has an answer already is told so, and gets no second copy over a slow line."""

import hashlib
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TAG_CHARACTERS: Final = 32
KEPT: Final = ("cache-control", "etag", "vary")
"""What an answer without a body repeats of the one that it stands for."""


class EntityTags:
    """Gives each whole answer a tag of its bytes, and answers 304 where ``If-None-Match`` has it.

    The tag is weak: the same answer goes out compressed or not. Answers of ``app`` are bounded, so they are collected first.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message | None = None
        body = bytearray()

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if start is not None and not message.get("more_body", False):
                await self._answer(scope, start, bytes(body), send)

        await self._app(scope, receive, collect)

    async def _answer(self, scope: Scope, start: Message, body: bytes, send: Send) -> None:
        if start["status"] == HTTPStatus.OK:
            headers = MutableHeaders(scope=start)
            tag = f'W/"{hashlib.sha256(body).hexdigest()[:TAG_CHARACTERS]}"'
            headers["etag"] = tag
            if _has(Headers(scope=scope).getlist("if-none-match"), tag):
                kept = [(name, value) for name, value in start["headers"] if name.decode() in KEPT]
                start, body = {**start, "status": HTTPStatus.NOT_MODIFIED.value, "headers": kept}, b""
        await send(start)
        await send({"type": "http.response.body", "body": body})


def _has(given: list[str], tag: str) -> bool:
    """Return whether a list of tags has this one, compared weakly; ``*`` is any."""
    tags = [each.strip() for text in given for each in text.split(",")]
    opaque = tag.removeprefix("W/")
    return "*" in tags or any(each.removeprefix("W/") == opaque for each in tags)

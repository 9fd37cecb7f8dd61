"""An answer that is sent while it is made."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Final

import anyio
import structlog
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from reefmesh.errors import TransientError
from reefmesh_dashboard.exports.downloads import DownloadTooLong
from reefmesh_dashboard.exports.html_form import HtmlForm
from reefmesh_dashboard.exports.rows import RowPages
from reefmesh_dashboard.exports.text_form import TextForm
from reefmesh_dashboard.exports.variable import CellRow

CHUNK_BYTES: Final = 1 << 18

log = structlog.get_logger()


class Download(StreamingResponse):
    """It ends what it holds (a slot, a folder, a query) when the answer is over, however it ends.

    An answer that has begun has no place for an error any more. It breaks off without its end, so that no client takes a part
    for the whole.
    """

    def __init__(
        self, body: AsyncGenerator[bytes, None], *, held: AsyncExitStack, media_type: str, file_name: str | None
    ) -> None:
        headers = {"content-disposition": f'attachment; filename="{file_name}"'} if file_name else None
        super().__init__(body, media_type=media_type, headers=headers)
        self._body = body
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            try:
                await super().__call__(scope, receive, send)
            except (DownloadTooLong, TransientError) as error:
                log.warning("a download broke off", reason=str(error))
            finally:
                await self._body.aclose()


async def text_of(form: TextForm, first: Sequence[CellRow], others: RowPages) -> AsyncGenerator[bytes, None]:
    """Yield a table in a form; ``first`` is its first page."""
    async with aclosing(others):
        yield (form.head() + form.page(first)).encode()
        if not _is_full(form):
            async for page in others:
                yield form.page(page).encode()
                if _is_full(form):
                    break
        yield form.tail().encode()


def _is_full(form: TextForm) -> bool:
    return isinstance(form, HtmlForm) and form.is_full


async def bytes_of(path: Path) -> AsyncGenerator[bytes, None]:
    async with await anyio.open_file(path, "rb") as file:
        while chunk := await file.read(CHUNK_BYTES):
            yield chunk

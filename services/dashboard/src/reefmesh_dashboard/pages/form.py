"""Reads a small form of plain fields. (Starlette's own reader wants a library for files, which nobody sends here.)"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

BYTES_LIMIT: Final = 8_192
FIELDS_LIMIT: Final = 20


class FormTooLong(Exception):
    """It has more bytes or more fields than any of ours."""


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of an ``application/x-www-form-urlencoded`` body; of two with one name the last. Raises FormTooLong."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BYTES_LIMIT:
            raise FormTooLong
    try:
        return dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=FIELDS_LIMIT))
    except ValueError:
        raise FormTooLong from None

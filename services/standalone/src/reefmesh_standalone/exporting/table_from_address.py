"""A table of the open data from a dashboard's address."""

import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx

from reefmesh.errors import ConfigurationError, TransientError
from reefmesh_standalone.exporting.table_format import TableFormat
from reefmesh_standalone.records.mistake import shown

SILENCE_SECONDS: Final = 60.0
"""For which nothing may come."""
ERROR_BYTES: Final = 10_000
_MESSAGE: Final = re.compile(r'message="(.*)";')


class AddressUnavailable(TransientError):
    """The dashboard cannot be reached, or broke off."""


async def table_from_address(
    address: str, dataset_id: str, question: str, table_format: TableFormat, *, folder: Path, moved: Callable[[int], None]
) -> Path | None:
    """Fetch a table into ``folder``; return None where it has no row. ``moved`` is told the number of bytes so far.

    Raises:
        ConfigurationError: there is no dashboard at the address, or it refuses the question.
        AddressUnavailable: later it may work.
    """
    url = f"{address.rstrip('/')}/erddap/tabledap/{dataset_id}{table_format.suffix}?{quote(question, safe='')}"
    path = folder / "table"
    try:
        async with (
            httpx.AsyncClient(timeout=httpx.Timeout(SILENCE_SECONDS), follow_redirects=True) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != HTTPStatus.OK:
                await _refuse_unless_empty(answer, address)
                return None
            count = 0
            with path.open("wb") as file:
                async for chunk in answer.aiter_bytes():
                    file.write(chunk)
                    count += len(chunk)
                    moved(count)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise ConfigurationError(f"--address {shown(address)} is none; write it like http://127.0.0.1:8080") from None
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise AddressUnavailable(f"{shown(address)} cannot be reached, or broke off ({reason}); no file was written") from None
    return path


async def _refuse_unless_empty(answer: httpx.Response, address: str) -> None:
    """Return if there is no row; raise what the dashboard says otherwise."""
    said = b""
    async for chunk in answer.aiter_bytes():
        said += chunk
        if len(said) > ERROR_BYTES:
            break
    text = said.decode(errors="replace")
    found = _MESSAGE.search(text)
    if found is None:
        raise ConfigurationError(f"{shown(address)} answers {answer.status_code}; there is no dashboard of reefmesh")
    if answer.status_code == HTTPStatus.NOT_FOUND and "nRows = 0" in text:
        return
    message = found[1].replace('\\"', '"')
    if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR and answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
        raise ConfigurationError(f"{shown(address)}: {message}")
    raise AddressUnavailable(f"{shown(address)}: {message}")

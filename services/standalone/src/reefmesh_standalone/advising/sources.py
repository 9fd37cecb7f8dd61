"""Where measurements come from: the pages of the services, Prometheus, a file."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

from reefmesh.errors import ConfigurationError, TransientError
from reefmesh.mistake_sentence import sentence_of
from reefmesh_standalone.advising.measurement import MeshMeasurement
from reefmesh_standalone.advising.measuring import CPU_SECONDS, NAMES, measurement_of
from reefmesh_standalone.advising.series import ObservedSeries, ScrapedSeries

ANSWER_SECONDS: Final = 10.0
BYTES_LIMIT: Final = 64 * 1024 * 1024
FILE_BYTES_LIMIT: Final = 4 * 1024 * 1024
_KEPT_LABELS: Final = frozenset({"service", "subscription", "outcome", "event", "le"})

Now = Callable[[], float]
"""Seconds since 1970."""
Pause = Callable[[float], Awaitable[None]]


def client() -> httpx.AsyncClient:
    """Return a client that follows no redirect and goes by no proxy: these addresses are inside."""
    return httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False)


def address_of(given: str, *, path: str = "") -> str:
    """Return a whole HTTP address, with ``path`` where none was given.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        url = httpx.URL(given if "://" in given else f"http://{given}")
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"'{given}' is no address of a page; give one as http://HOST:PORT")
    return str(url) if url.path.strip("/") or not path else str(url.copy_with(path=path))


async def from_pages(
    http: httpx.AsyncClient, urls: Sequence[str], *, seconds: float, now: Now, pause: Pause = asyncio.sleep
) -> MeshMeasurement:
    """Look twice at the metrics pages of all processes, ``seconds`` apart.

    Raises:
        ConfigurationError: an address is none, or has no metrics of reefmesh.
        TransientError: an address does not answer, or too few messages came by.
    """
    addresses = [address_of(each, path="/metrics") for each in dict.fromkeys(urls)]
    points: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[tuple[float, float]]] = {}
    for look in range(2):
        if look:
            await pause(seconds)
        for address, page in zip(addresses, await asyncio.gather(*(_text(http, each) for each in addresses)), strict=True):
            at = now()
            for name, labels, value in samples_of(page, address):
                points.setdefault((address, name, tuple(sorted(labels.items()))), []).append((at, value))
    series = [
        ScrapedSeries(name=name, process=process, labels=dict(labels), points=tuple(found))
        for (process, name, labels), found in points.items()
    ]
    return measurement_of(ObservedSeries(series), source=", ".join(addresses))


def samples_of(page: str, address: str) -> list[tuple[str, dict[str, str], float]]:
    """Return (name, labels, value) of what the model needs.

    Raises:
        ConfigurationError: the page is no metrics page, or none of reefmesh.
    """
    try:
        found = [
            (each.name, _kept(each.labels), each.value)
            for family in text_string_to_metric_families(page)
            for each in family.samples
            if each.name in NAMES
        ]
    except (ValueError, KeyError, IndexError):  # what the parser raises at a page that is none
        found = []
    if not any(name != CPU_SECONDS for name, _, _ in found):
        raise ConfigurationError(
            f"{address} is no metrics page of a reefmesh service; its port is the service's, its path /metrics"
        )
    return found


async def from_prometheus(http: httpx.AsyncClient, url: str, *, seconds: float) -> MeshMeasurement:
    """Ask Prometheus for what it scraped in the last ``seconds``: one query, raw samples with their own instants.

    Raises:
        ConfigurationError: the address is none, no Prometheus, or Prometheus knows no reefmesh.
        TransientError: it does not answer, or too few messages came by.
    """
    base = address_of(url).rstrip("/")
    query = f'{{__name__=~"{"|".join(NAMES)}"}}[{math.ceil(seconds)}s]'
    text = await _text(http, f"{base}/api/v1/query", query=query)
    try:
        document = json.loads(text)
        if document["status"] != "success":
            raise TransientError(f"Prometheus at {base} refused the query: {document.get('error', 'without a reason')}")
        series = [_scraped(each) for each in document["data"]["result"] if each.get("values")]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(
            f"{base} does not answer as Prometheus does; give the address that its own pages have"
        ) from None
    meshed = {each.process for each in series if each.name != CPU_SECONDS}
    return measurement_of(ObservedSeries(each for each in series if each.process in meshed), source=f"Prometheus at {base}")


def _scraped(found: Any) -> ScrapedSeries:
    metric = found["metric"]
    return ScrapedSeries(
        name=metric["__name__"],
        process=f"{metric.get('job', '')} {metric.get('instance', '')}",
        labels=_kept(metric),
        points=tuple((float(at), float(value)) for at, value in found["values"]),
    )


def from_file(path: Path) -> MeshMeasurement:
    """Read what ``--json`` wrote, or its ``measured`` alone, written by hand.

    Raises:
        ConfigurationError: there is no such file, or a number in it is missing or wrong.
    """
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_LIMIT + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(content) > FILE_BYTES_LIMIT:
        raise ConfigurationError(f"{path} is larger than {FILE_BYTES_LIMIT // 1024**2} MiB; no measurement is")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{path} is no JSON; 'reefmesh advise --json' writes such a file") from None
    measured = document.get("measured", document) if isinstance(document, dict) else document
    try:
        return MeshMeasurement.model_validate_json(json.dumps(measured))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise ConfigurationError(f"{path}: {where} {sentence_of(first)}") from None


def _kept(labels: Any) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name in _KEPT_LABELS}


async def _text(http: httpx.AsyncClient, address: str, **data: str) -> str:
    """Get a page, or post a form to it."""
    try:
        async with http.stream("POST" if data else "GET", address, data=data or None) as answer:
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > BYTES_LIMIT:
                    raise ConfigurationError(
                        f"{address} sends more than {BYTES_LIMIT // 1024**2} MiB; it is no page of metrics"
                    )
    except httpx.HTTPError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TransientError(f"{address} does not answer: {reason}") from None
    text = body.decode("utf-8", errors="replace")
    if answer.status_code != httpx.codes.OK and not (data and text.startswith("{")):  # Prometheus says why in a document
        raise ConfigurationError(f"{address} answers with status {answer.status_code}; it is not the page that is looked for")
    return text

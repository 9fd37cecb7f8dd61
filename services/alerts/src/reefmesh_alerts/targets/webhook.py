"""Alerts by HTTP POST: signed, time-stamped JSON."""

import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

import reefmesh
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_alerts.targets.entries import WebhookEntry
from reefmesh_alerts.targets.port import Notice, Rejected, SendResult, Sent, TryAgain
from reefmesh_alerts.targets.proxy import Proxy
from reefmesh_alerts.targets.public_addresses import PublicAddressTransport, Resolve, is_public, resolve
from reefmesh_alerts.targets.signing import KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from reefmesh_alerts.targets.trust import trusting

RESPONSE_BYTES_LIMIT: Final = 64 * 1024
"""At most this much of an answer is read; only its status matters."""

ANSWER_CHARACTERS: Final = 200

_REFUSED_STATUSES: Final = frozenset({400, 405, 406, 410, 411, 413, 414, 415, 422, 431})
"""The other side does not accept this request. For any other failure (a changed key, a moved path), an operator may remove the
cause while the attempts go on."""


class WebhookTarget:
    """Posts to one address. It follows no redirect: that would carry a signed alert to somebody else.

    ``resolver`` and ``permitted`` serve the check of addresses; an entry with ``allow_private`` is not checked. ``proxy``: the
    only way to the address; the check holds all the same.
    """

    def __init__(
        self,
        entry: WebhookEntry,
        *,
        resolver: Resolve = resolve,
        permitted: Callable[[str], bool] = is_public,
        proxy: Proxy | None = None,
    ) -> None:
        self._entry = entry
        self._proxy = proxy
        secrets = (entry.secret, entry.previous_secret)
        self._secrets = [secret.get_secret_value() for secret in secrets if secret is not None]
        tls = trusting(entry.ca_file)
        transport: httpx.AsyncBaseTransport = httpx.AsyncHTTPTransport(
            verify=tls,
            trust_env=False,
            limits=httpx.Limits(max_connections=entry.concurrency),
            proxy=None if proxy is None else _proxy(proxy, tls),
        )
        if not entry.allow_private:
            transport = PublicAddressTransport(
                transport, resolver=resolver, permitted=permitted, behind_proxy=proxy is not None
            )
        self._client = httpx.AsyncClient(
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            timeout=entry.timeout_seconds,
            headers={"User-Agent": f"reefmesh/{reefmesh.__version__}"},
        )

    async def send(self, notice: Notice, *, at: datetime) -> SendResult:
        body = compose(notice)
        timestamp = str(int(at.timestamp()))
        headers = {
            "Content-Type": "application/json",
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: sign(self._secrets, timestamp, body),
            KEY_HEADER: notice.idempotency_key,
        }
        try:
            async with self._client.stream("POST", self._entry.url, content=body, headers=headers) as response:
                answer = await _read(response)
        except httpx.HTTPError as error:
            way = "" if self._proxy is None else f"through the proxy {self._proxy.name}: "
            return TryAgain(reason=plain(f"{way}{type(error).__name__}: {error}")[:300])
        return _judge(response, answer, at=at)

    async def close(self) -> None:
        await self._client.aclose()


def _proxy(proxy: Proxy, tls: ssl.SSLContext) -> httpx.Proxy:
    url = proxy.url.get_secret_value()
    return httpx.Proxy(url, ssl_context=tls if url.startswith("https:") else None)


def compose(notice: Notice) -> bytes:
    """Return the request's body; every alert in it is a body of ``alert/1``."""
    return json.dumps(
        {
            "schema": "reefmesh-webhook/1",
            "idempotency_key": notice.idempotency_key,
            "subscription": notice.recipient,  # the field of reefmesh-webhook/1; receivers read it by this name
            "digest": notice.digest,
            "summary": notice.subject,
            "alerts": [alert.model_dump(mode="json") for alert in notice.alerts],
        },
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()


async def _read(response: httpx.Response) -> str:
    answer = b""
    # Raw: a small compressed answer could unpack to any size.
    async for chunk in response.aiter_raw():
        answer += chunk[: RESPONSE_BYTES_LIMIT - len(answer)]
        if len(answer) >= RESPONSE_BYTES_LIMIT:
            break
    return plain(answer[: ANSWER_CHARACTERS * 4].decode("utf-8", errors="replace"))[:ANSWER_CHARACTERS]


def _judge(response: httpx.Response, answer: str, *, at: datetime) -> SendResult:
    status = response.status_code
    if response.is_success:
        return Sent()
    reason = f"HTTP {status}: {answer}" if answer else f"HTTP {status}"
    if response.is_redirect:
        return Rejected(reason=f"HTTP {status}: redirects are not followed, set the final address")
    if status in _REFUSED_STATUSES:
        return Rejected(reason=reason)
    return TryAgain(reason=reason, after_seconds=_retry_after_seconds(response.headers.get("Retry-After"), at))


def _retry_after_seconds(value: str | None, at: datetime) -> float | None:
    """Read the header's seconds or date (RFC 9110, 10.2.3); None when it is missing or malformed."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value[:9])
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(0.0, (until - at).total_seconds())

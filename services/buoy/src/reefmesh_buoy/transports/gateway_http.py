"""HTTP to the gateway: the one module that knows the shape of ``POST /v1/telemetry``.

One report is one request, as JSON, with its event id as idempotency key: a repeat gets the first answer again.
"""

import http.client
import json
import ssl
from typing import Final
from urllib.parse import urlsplit

from reefmesh_buoy.failures import NeverTaken, NotSent, WrongSetting
from reefmesh_buoy.report import SealedReport

PROBLEM: Final = "application/problem+json"
REFUSED_FOR_GOOD: Final = frozenset({400, 413, 422})
"""Only as a problem document: a captive portal or a wrong address answers anything."""
ANSWER_BYTES_LIMIT: Final = 64 * 1024
RETRY_AFTER_SECONDS_LIMIT: Final = 3600


class GatewayTransport:
    """``url`` is the gateway's, without a path, or the whole address of the door. Raises WrongSetting."""

    def __init__(self, url: str, token: str, *, timeout_seconds: float, ca_file: str | None = None) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise WrongSetting(f"url: {error}") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise WrongSetting(f"url must be https://host[:port], not {url!r}")
        if not token or not token.isascii() or not token.isprintable():
            raise WrongSetting("the token is empty or has signs that no token has")
        self._path = parts.path.rstrip("/") or "/v1/telemetry"
        self._token = token
        if parts.scheme == "https":
            tls = tls_context(ca_file)
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, port, timeout=timeout_seconds, context=tls
            )
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, port, timeout=timeout_seconds)

    def send(self, report: SealedReport) -> None:
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "Idempotency-Key": report.event_id,
        }
        try:
            self._connection.request("POST", self._path, report.body, headers)
            response = self._connection.getresponse()
            answer = response.read(ANSWER_BYTES_LIMIT)
        except (OSError, http.client.HTTPException) as error:
            raise NotSent(f"{type(error).__name__}: {error}") from error
        finally:
            self._connection.close()  # the next report is minutes away
        media = (response.getheader("content-type") or "").partition(";")[0].strip().lower()
        if response.status == 202 and _is_accepted(answer):
            return
        detail = f"{response.status} {answer[:200].decode('utf-8', 'replace')}"
        if response.status in REFUSED_FOR_GOOD and media == PROBLEM:
            raise NeverTaken(detail)
        raise NotSent(detail, after_seconds=_retry_after(response.getheader("retry-after")))

    def close(self) -> None:
        self._connection.close()


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Raises WrongSetting."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise WrongSetting(f"ca_file {ca_file}: {error}") from None


def _is_accepted(answer: bytes) -> bool:
    """Whether the answer says of the report that it was accepted: a page of somebody between may answer 202 too."""
    try:
        document = json.loads(answer)
    except ValueError:
        return False
    reports = document.get("reports") if isinstance(document, dict) else None
    if not isinstance(reports, list) or len(reports) != 1:  # a request holds one report
        return False
    return isinstance(reports[0], dict) and reports[0].get("outcome") == "accepted"


def _retry_after(text: str | None) -> float:
    return min(float(text), RETRY_AFTER_SECONDS_LIMIT) if text is not None and text.isdecimal() else 0.0

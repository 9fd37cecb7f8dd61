"""Webhooks against a real HTTP server, and the receiver's example of the documentation."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from reefmesh.contracts.alerts import Alert
from reefmesh_alerts.domain.buoy import expire_buoy, judge_buoy
from reefmesh_alerts.domain.transition import microseconds
from reefmesh_alerts.recording import make_alert
from reefmesh_alerts.targets.entries import WebhookEntry
from reefmesh_alerts.targets.port import Notice, Rejected, SendResult, Sent, TryAgain
from reefmesh_alerts.targets.webhook import RESPONSE_BYTES_LIMIT, WebhookTarget

if TYPE_CHECKING:
    from services.alerts.tests.conftest import Samples

SECRET = "a shared secret of both"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Receiver:
    """A server that keeps what it got and answers as it is told."""

    def __init__(self) -> None:
        self.requests: list[tuple[Mapping[str, str], bytes]] = []
        self.answer: Answer = self._take
        application = web.Application()
        application.router.add_post("/hook", self._handle)
        application.router.add_route("*", "/elsewhere", self._handle)
        self.server = TestServer(application)

    @property
    def url(self) -> str:
        return str(self.server.make_url("/hook"))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((headers, await request.read()))
        return await self.answer(request)

    async def _take(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=204)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.server.start_server()
    yield receiver
    await receiver.server.close()


@pytest.fixture
def alert(samples: type[Samples]) -> Alert:
    watch, _ = judge_buoy(None, samples.buoy(), heard_us=microseconds(samples.START))
    _, (transition,) = expire_buoy(watch, "b1", now_us=microseconds(samples.START + timedelta(hours=2)))
    return make_alert("north-wall", "Nördliche Wand", transition, number=1, raised_at=samples.START + timedelta(hours=2))


@pytest.fixture
def notice(alert: Alert) -> Notice:
    return Notice(
        idempotency_key="key-1",
        recipient="harbour",
        who="",
        to=[],
        digest=False,
        alerts=[alert],
        subject=alert.summary,
    )


async def send(url: str, notice: Notice, *, timeout_seconds: float = 5.0, previous: str | None = None) -> SendResult:
    entry = WebhookEntry(
        type="webhook",
        name="hook",
        url=url,
        secret=SecretStr(SECRET),
        previous_secret=None if previous is None else SecretStr(previous),
        timeout_seconds=timeout_seconds,
        allow_private=True,
    )
    target = WebhookTarget(entry)
    try:
        return await target.send(notice, at=notice.alerts[0].raised_at)
    finally:
        await target.close()


def answering(status: int, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status, text="because\nI say so", headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return answer


async def test_body_is_the_alert_and_headers_are_signed(receiver: Receiver, notice: Notice) -> None:
    assert Sent() == await send(receiver.url, notice)

    ((headers, body),) = receiver.requests
    document = json.loads(body)
    assert [notice.alerts[0]] == [Alert.model_validate(each) for each in document["alerts"]]
    assert ("harbour", False, "key-1") == (document["subscription"], document["digest"], document["idempotency_key"])
    assert "key-1" == headers["idempotency-key"]
    assert str(int(notice.alerts[0].raised_at.timestamp())) == headers["x-reefmesh-timestamp"]
    assert headers["x-reefmesh-signature"].startswith("v1=")


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 429, 500, 503])
async def test_failure_that_may_pass_is_tried_again(receiver: Receiver, notice: Notice, status: int) -> None:
    receiver.answer = answering(status)

    assert TryAgain(reason=f"HTTP {status}: because I say so") == await send(receiver.url, notice)


@pytest.mark.parametrize("status", [400, 410, 413, 422])
async def test_refused_request_is_not_tried_again(receiver: Receiver, notice: Notice, status: int) -> None:
    receiver.answer = answering(status)

    assert Rejected(reason=f"HTTP {status}: because I say so") == await send(receiver.url, notice)


@pytest.mark.parametrize(
    ("value", "seconds"), [("120", 120.0), ("Fri, 01 Mar 2024 14:10:00 GMT", 600.0), ("soon", None), ("-5", None)]
)
async def test_receivers_wish_to_wait_is_read(receiver: Receiver, notice: Notice, value: str, seconds: float | None) -> None:
    receiver.answer = answering(503, Retry_After=value)

    result = await send(receiver.url, notice)

    assert isinstance(result, TryAgain)
    assert seconds == result.after_seconds


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirect_is_not_followed(receiver: Receiver, notice: Notice, status: int) -> None:
    receiver.answer = answering(status, Location="/elsewhere")

    result = await send(receiver.url, notice)

    assert isinstance(result, Rejected)
    assert "redirects are not followed" in result.reason
    assert 1 == len(receiver.requests)


async def test_endless_answer_is_read_to_its_limit_only(receiver: Receiver, notice: Notice) -> None:
    written = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        while written < 1000 * RESPONSE_BYTES_LIMIT:
            await response.write(b"x" * RESPONSE_BYTES_LIMIT)
            written += RESPONSE_BYTES_LIMIT
        return response

    receiver.answer = flood

    assert Sent() == await send(receiver.url, notice)
    assert written < 900 * RESPONSE_BYTES_LIMIT


async def test_receiver_that_never_answers_is_left_after_the_time_out(receiver: Receiver, notice: Notice) -> None:
    over = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    receiver.answer = hang

    result = await send(receiver.url, notice, timeout_seconds=0.1)

    over.set()
    assert isinstance(result, TryAgain)
    assert "ReadTimeout" in result.reason


async def test_closed_port_is_tried_again(receiver: Receiver, notice: Notice) -> None:
    url = receiver.url
    await receiver.server.close()

    result = await send(url, notice)

    assert isinstance(result, TryAgain)
    assert SECRET not in repr(result)


class TestTheDocumentedReceiver:
    """The example of ``docs/webhooks.md`` is run as it stands there."""

    @pytest.fixture
    def verify(self) -> Callable[..., bool]:
        page = Path(__file__).parents[3] / "docs" / "webhooks.md"
        (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        names: dict[str, Any] = {}
        exec(compile(code, str(page), "exec"), names)  # noqa: S102  # our own page
        function: Callable[..., bool] = names["verify"]
        return function

    @pytest.fixture
    async def request_and_now(self, receiver: Receiver, notice: Notice) -> tuple[dict[str, str], bytes, float]:
        await send(receiver.url, notice)
        headers, body = receiver.requests[0]
        return dict(headers), body, notice.alerts[0].raised_at.timestamp()

    async def test_takes_a_request_once(
        self, verify: Callable[..., bool], request_and_now: tuple[dict[str, str], bytes, float]
    ) -> None:
        headers, body, now = request_and_now
        seen: set[str] = set()

        assert verify(headers, body, SECRET, now=now + 5, seen=seen)
        assert not verify(headers, body, SECRET, now=now + 6, seen=seen)

    async def test_takes_either_secret_while_one_replaces_the_other(
        self, verify: Callable[..., bool], receiver: Receiver, notice: Notice
    ) -> None:
        old = "the secret of last year"
        await send(receiver.url, notice, previous=old)
        headers, body = receiver.requests[0]
        now = notice.alerts[0].raised_at.timestamp()

        assert verify(headers, body, SECRET, now=now, seen=set())
        assert verify(headers, body, old, now=now, seen=set())
        with pytest.raises(ValueError, match="signature"):
            verify(headers, body, "the secret of somebody else", now=now, seen=set())

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ("body", "signature"),
            ("secret", "signature"),
            ("timestamp", "signature"),
            ("signature", "signature"),
            ("late", "too old"),
            ("early", "too old"),
            ("bare", "no time stamp"),
        ],
    )
    async def test_refuses_what_is_forged_or_old(
        self, verify: Callable[..., bool], request_and_now: tuple[dict[str, str], bytes, float], change: str, reason: str
    ) -> None:
        headers, body, now = request_and_now
        secret = SECRET
        match change:
            case "body":
                body = body.replace(b"silent", b"lively")
            case "secret":
                secret = "another secret altogether"
            case "timestamp":
                headers["x-reefmesh-timestamp"] = str(int(now) + 1)
            case "signature":
                headers["x-reefmesh-signature"] = "v1=é"
            case "late":
                now += 301
            case "early":
                now -= 301
            case _:
                headers = {}

        with pytest.raises(ValueError, match=reason):
            verify(headers, body, secret, now=now, seen=set())

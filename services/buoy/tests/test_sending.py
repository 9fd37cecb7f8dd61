"""Sending: confirmed only by 202, never given up for an answer that somebody else may have given, later and later."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from reefmesh_buoy.failures import NeverTaken, NotSent, WrongSetting
from reefmesh_buoy.health import health_of
from reefmesh_buoy.sender import LONGEST_WAIT_SECONDS, SpoolSender, wait_seconds
from reefmesh_buoy.transports.gateway_http import GatewayTransport

PROBLEM = {"content-type": "application/problem+json"}
ACCEPTED = b'{"device": "agent-1", "reports": [{"index": 0, "outcome": "accepted"}]}'


def sender_of(gateway: Any, spool: Any, clock: Any) -> SpoolSender:
    transport = GatewayTransport(gateway.url, "rmt_secret", timeout_seconds=5)
    return SpoolSender(spool, transport, clock, interval_seconds=60, luck=random.Random(1))


def test_report_is_one_request_with_token_and_key(
    gateway: Any, make_spool: Callable[..., Any], measure: Any, values_of: Any, clock: Any
) -> None:
    spool = make_spool()
    spool.put([measure(28.4)], clock.read())
    gateway.answers = [(202, {}, ACCEPTED)]
    sender = sender_of(gateway, spool, clock)
    assert sender.send_one() == 0
    assert sender.send_one() == 60
    ((headers, body),) = gateway.requests
    assert headers["path"] == "/v1/telemetry"
    assert headers["authorization"] == "Bearer rmt_secret"
    assert headers["content-type"] == "application/json"
    assert len(headers["idempotency-key"]) == 36
    assert list(values_of(body)) == [28.4]
    assert health_of(spool, clock.read())["last_contact_at"] is not None


@pytest.mark.parametrize(
    ("status", "headers", "answer", "refused"),
    [
        (200, {}, b"<html>welcome to the harbour's network</html>", False),
        (202, {}, b"<html>", False),
        (202, {}, b"{}", False),
        (202, {}, b'{"reports": []}', False),
        (202, {}, b'{"reports": [{"outcome": "spoofed"}]}', False),
        (302, {"location": "http://127.0.0.1/"}, b"", False),
        (400, {"content-type": "text/html"}, b"bad gateway of a proxy", False),
        (401, PROBLEM, b"{}", False),
        (403, PROBLEM, b"{}", False),
        (404, PROBLEM, b"{}", False),
        (429, PROBLEM, b"{}", False),
        (503, PROBLEM, b"{}", False),
        (400, PROBLEM, b"{}", True),
        (413, PROBLEM, b"{}", True),
        (422, PROBLEM, b"{}", True),
    ],
)
def test_answer_decides_what_becomes_of_the_report(
    gateway: Any,
    make_spool: Callable[..., Any],
    measure: Any,
    clock: Any,
    *,
    status: int,
    headers: dict[str, str],
    answer: bytes,
    refused: bool,
) -> None:  # fmt: skip
    spool = make_spool()
    spool.put([measure(28.4)], clock.read())
    gateway.answers = [(status, headers, answer)]
    transport = GatewayTransport(gateway.url, "rmt_secret", timeout_seconds=5)
    with pytest.raises(NeverTaken if refused else NotSent, match=str(status)):
        transport.send(spool.report_in_hand(clock.read()))
    sender_of(gateway, spool, clock).send_one()
    health = health_of(spool, clock.read())
    assert (health["waiting_readings"], health["refused_readings"]) == ((0, 1) if refused else (1, 0))


def test_gateway_says_when_to_come_again(gateway: Any, make_spool: Callable[..., Any], measure: Any, clock: Any) -> None:
    spool = make_spool()
    spool.put([measure(28.4)], clock.read())
    gateway.answers = [(429, {"retry-after": "120", **PROBLEM}, b"{}"), (202, {}, ACCEPTED)]
    sender = sender_of(gateway, spool, clock)
    assert sender.send_one() == 120
    assert sender.send_one() == 0
    assert gateway.requests[0] == gateway.requests[1]


def test_gateway_that_is_away_is_waited_for(gateway: Any, make_spool: Callable[..., Any], measure: Any, clock: Any) -> None:
    spool = make_spool()
    spool.put([measure(28.4)], clock.read())
    sender = SpoolSender(
        spool, GatewayTransport("http://127.0.0.1:1", "rmt_secret", timeout_seconds=1), clock, interval_seconds=60
    )
    waits = [sender.send_one() for _ in range(12)]
    assert waits[-1] > waits[0] > 0


def test_waits_grow_to_a_limit_and_are_spread() -> None:
    assert [wait_seconds(n, 1.0) for n in (1, 2, 3)] == [2, 4, 8]
    assert wait_seconds(1000, 1.0) == LONGEST_WAIT_SECONDS
    assert wait_seconds(3, 0.0) == 4


@pytest.mark.parametrize(("url", "token"), [("ftp://a", "x"), ("http://", "x"), ("http://a:b", "x"), ("http://a", "x\ny")])
def test_address_or_token_that_cannot_be_right_is_a_wrong_setting(url: str, token: str) -> None:
    with pytest.raises(WrongSetting):
        GatewayTransport(url, token, timeout_seconds=1)

"""Webhooks reach public addresses alone, whatever their names resolve to at the moment of the connection."""

import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from reefmesh_alerts.targets.entries import WebhookEntry
from reefmesh_alerts.targets.port import Notice, SendResult, Sent, TryAgain
from reefmesh_alerts.targets.public_addresses import is_public, resolve
from reefmesh_alerts.targets.webhook import WebhookTarget
from reefmesh_components.certificates import ServerCertificate, make_server_certificate

AT = datetime(2024, 3, 1, tzinfo=UTC)
NOTICE = Notice(idempotency_key="key-1", recipient="harbour", who="", to=[], digest=False, alerts=[], subject="hello")
HOST = "hooks.example"


class Names:
    """A resolver that answers the next of its answers, and the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        assert (host, port > 0) == (HOST, True)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class Receiver:
    def __init__(self) -> None:
        self.hosts: list[str] = []
        application = web.Application()
        application.router.add_post("/hook", self._take)
        self.server = TestServer(application, scheme="https")

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.hosts.append(request.host)
        return web.Response(status=204)


@pytest.fixture
def certificate(tmp_path: Path) -> ServerCertificate:
    return make_server_certificate(tmp_path, names=(HOST,))


@pytest.fixture
async def receiver(certificate: ServerCertificate) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    await receiver.server.start_server(ssl=context)
    yield receiver
    await receiver.server.close()


def target_at(receiver: Receiver, names: Names, ca_file: Path, *, host: str = HOST) -> WebhookTarget:
    """A target for which 127.0.0.1, where the receiver is, counts as public and everything else does not."""
    entry = WebhookEntry(
        type="webhook",
        name="hook",
        url=f"https://{host}:{receiver.server.port}/hook",
        secret=SecretStr("a shared secret of both"),
        ca_file=str(ca_file),
        timeout_seconds=10.0,
    )
    return WebhookTarget(entry, resolver=names.resolve, permitted=lambda address: address == "127.0.0.1")


async def sent_by(target: WebhookTarget, times: int = 1) -> list[SendResult]:
    try:
        return [await target.send(NOTICE, at=AT) for _ in range(times)]
    finally:
        await target.close()


async def test_checked_address_is_connected_to_under_the_name(receiver: Receiver, certificate: ServerCertificate) -> None:
    """Host header and certificate are those of the name."""
    names = Names(["127.0.0.1"])
    assert [Sent(), Sent()] == await sent_by(target_at(receiver, names, certificate.ca_file), times=2)
    assert [f"{HOST}:{receiver.server.port}"] * 2 == receiver.hosts


async def test_certificate_of_another_name_is_refused(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_server_certificate(tmp_path / "other", names=("other.example",))
    (result,) = await sent_by(target_at(receiver, Names(["127.0.0.1"]), other.ca_file))
    assert isinstance(result, TryAgain)
    assert "CERTIFICATE_VERIFY_FAILED" in result.reason
    assert [] == receiver.hosts


async def test_name_that_resolves_to_something_else_later_is_refused_then(
    receiver: Receiver, certificate: ServerCertificate
) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    first, second = await sent_by(target_at(receiver, names, certificate.ca_file), times=2)
    assert Sent() == first
    assert isinstance(second, TryAgain)
    assert f"{HOST} resolves to 127.0.0.2, which is no public address; set allow_private = true" in second.reason
    assert 1 == len(receiver.hosts)


async def test_name_with_one_forbidden_address_among_others_is_refused(
    receiver: Receiver, certificate: ServerCertificate
) -> None:
    (result,) = await sent_by(target_at(receiver, Names(["127.0.0.1", "10.0.0.1"]), certificate.ca_file))
    assert isinstance(result, TryAgain)
    assert "10.0.0.1" in result.reason
    assert [] == receiver.hosts


async def test_name_without_an_address_is_tried_again(receiver: Receiver, certificate: ServerCertificate) -> None:
    (result,) = await sent_by(target_at(receiver, Names([]), certificate.ca_file))
    assert isinstance(result, TryAgain)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1"])
async def test_loopback_in_another_spelling_is_refused(host: str) -> None:
    """The C library reads these as 127.0.0.1."""
    entry = WebhookEntry(type="webhook", name="hook", url=f"https://{host}/", secret=SecretStr("a shared secret of both"))
    (result,) = await sent_by(WebhookTarget(entry, resolver=resolve))
    assert isinstance(result, TryAgain)
    assert "resolves to 127.0.0.1, which is no public address" in result.reason


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("loopback", "127.0.0.1"),
        ("loopback", "::1"),
        ("private", "10.1.2.3"),
        ("private", "172.16.0.1"),
        ("private", "192.168.1.1"),
        ("private", "fd00:ec2::254"),
        ("site-local", "fec0::1"),
        ("carrier's", "100.64.0.1"),
        ("link-local", "169.254.169.254"),
        ("link-local", "fe80::1"),
        ("link-local", "fe80::1%eth0"),
        ("multicast", "224.0.0.1"),
        ("multicast", "ff02::1"),
        ("unspecified", "0.0.0.0"),  # noqa: S104 - nobody listens
        ("unspecified", "::"),
        ("broadcast", "255.255.255.255"),
        ("mapped", "::ffff:127.0.0.1"),
        ("compatible", "::7f00:1"),
        ("6to4", "2002:7f00:1::"),
        ("teredo", "2001:0:1::1"),
        ("NAT64", "64:ff9b::a9fe:a9fe"),
        ("none", "localhost"),
    ],
)
def test_address_that_is_not_public_is_known(kind: str, address: str) -> None:
    assert not is_public(address), kind


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_address_is_known(address: str) -> None:
    assert is_public(address)

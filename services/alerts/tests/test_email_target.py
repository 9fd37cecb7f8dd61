"""E-mail against a real SMTP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr

from reefmesh_alerts.domain.buoy import expire_buoy, judge_buoy
from reefmesh_alerts.domain.transition import microseconds
from reefmesh_alerts.recording import make_alert
from reefmesh_alerts.targets.email import EmailTarget
from reefmesh_alerts.targets.entries import EmailEntry
from reefmesh_alerts.targets.port import Notice, Rejected, SendResult, Sent, TryAgain

if TYPE_CHECKING:
    from services.alerts.tests.conftest import Samples

PASSWORD = "open sesame"


class Postmaster:
    """Keeps the mails; answers as it is told."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.answers: dict[str, str] = {}
        self.on_data = "250 OK"
        self.hang: asyncio.Event | None = None

    async def handle_RCPT(  # noqa: N802 - the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        if self.hang is not None:
            await self.hang.wait()
        assert isinstance(envelope.content, bytes)
        if self.on_data.startswith("250"):
            self.mails.append(message_from_bytes(envelope.content, policy=default))
            self.recipients.append(list(envelope.rcpt_tos))
        return self.on_data


def check_password(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
    good = isinstance(data, LoginPassword) and PASSWORD.encode() == data.password
    return AuthResult(success=good, handled=good)


@pytest.fixture
def postmaster() -> Postmaster:
    return Postmaster()


@pytest.fixture
async def port(postmaster: Postmaster) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(
            postmaster,
            hostname="mail.test",
            authenticator=check_password,
            auth_require_tls=False,
            enable_SMTPUTF8=True,
            loop=loop,
        )

    server = await loop.create_server(session, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest.fixture
def notice(samples: type[Samples]) -> Notice:
    watch, _ = judge_buoy(None, samples.buoy(), heard_us=microseconds(samples.START))
    _, (transition,) = expire_buoy(watch, "b1", now_us=microseconds(samples.START + timedelta(hours=2)))
    raised_at = samples.START + timedelta(hours=2)
    alert = make_alert("north-wall", "Nördliche Wand", transition, number=1, raised_at=raised_at)
    return Notice(
        idempotency_key="0a6d-key",
        recipient="harbour",
        who="",
        to=["a@example.org", "b@example.org"],
        digest=False,
        alerts=[alert],
        subject=alert.summary,
    )


async def send(port: int, notice: Notice, **changes: Any) -> SendResult:
    facts: dict[str, Any] = {"host": "127.0.0.1", "port": port, "tls": "none", "sender": "reefs@example.org"}
    entry = EmailEntry(type="email", name="mail", **(facts | changes))
    return await EmailTarget(entry).send(notice, at=notice.alerts[0].raised_at)


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


async def test_mail_has_the_text_and_an_id_made_of_the_key(port: int, postmaster: Postmaster, notice: Notice) -> None:
    assert Sent() == await send(port, notice)
    assert Sent() == await send(port, notice)

    first, again = postmaster.mails
    assert "<0a6d-key@example.org>" == first["Message-ID"] == again["Message-ID"]
    assert notice.subject == first["Subject"]
    assert "Nördliche Wand" in first["Subject"]
    assert notice.text.splitlines() == part(first, "plain").splitlines()
    assert "reefmesh <reefs@example.org>" == first["From"]
    assert "auto-generated" == first["Auto-Submitted"]
    assert ["a@example.org", "b@example.org"] == postmaster.recipients[0]


async def test_line_ends_in_names_make_no_headers(port: int, postmaster: Postmaster, notice: Notice) -> None:
    await send(port, replace(notice, subject="x\r\nBcc: everybody@example.org"))

    (mail,) = postmaster.mails
    assert mail["Bcc"] is None
    assert "x Bcc: everybody@example.org" == mail["Subject"]


async def test_password_is_used_and_a_wrong_one_is_tried_again_without_being_shown(
    port: int, postmaster: Postmaster, notice: Notice
) -> None:
    assert Sent() == await send(port, notice, username="reefs", password=SecretStr(PASSWORD))

    result = await send(port, notice, username="reefs", password=SecretStr("wrong password"))

    assert isinstance(result, TryAgain)
    assert "535" in result.reason
    assert "wrong password" not in repr(result)
    assert 1 == len(postmaster.mails)


@pytest.mark.parametrize(("answer", "kind"), [("451 later", TryAgain), ("554 never", Rejected)])
async def test_server_that_refuses_the_mail_decides_whether_to_try_again(
    port: int, postmaster: Postmaster, notice: Notice, answer: str, kind: type
) -> None:
    postmaster.on_data = answer

    result = await send(port, notice)

    assert isinstance(result, kind)
    assert answer in getattr(result, "reason", "")


async def test_one_wrong_address_is_noted_and_the_others_are_told(port: int, postmaster: Postmaster, notice: Notice) -> None:
    postmaster.answers = {"b@example.org": "550 nobody here"}

    assert Sent(note="refused for b@example.org") == await send(port, notice)
    assert [["a@example.org"]] == postmaster.recipients


@pytest.mark.parametrize(("answer", "kind"), [("550 nobody", Rejected), ("450 busy", TryAgain)])
async def test_no_address_taken_is_a_failure(
    port: int, postmaster: Postmaster, notice: Notice, answer: str, kind: type
) -> None:
    postmaster.answers = {"a@example.org": answer, "b@example.org": answer}

    assert isinstance(await send(port, notice), kind)


async def test_server_without_tls_is_not_trusted_with_starttls(port: int, postmaster: Postmaster, notice: Notice) -> None:
    result = await send(port, notice, tls="starttls")

    assert isinstance(result, TryAgain)
    assert [] == postmaster.mails


async def test_server_that_hangs_is_left_after_the_time_out(port: int, postmaster: Postmaster, notice: Notice) -> None:
    postmaster.hang = asyncio.Event()

    result = await send(port, notice, timeout_seconds=0.1)

    postmaster.hang.set()
    assert isinstance(result, TryAgain)


async def test_closed_port_is_tried_again(port: int, notice: Notice, unused_tcp_port: int) -> None:
    assert isinstance(await send(unused_tcp_port, notice), TryAgain)

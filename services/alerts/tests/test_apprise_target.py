"""Services that Apprise speaks to, against a real HTTP server: ntfy is the one that can be pointed there."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr, ValidationError

from reefmesh.errors import ConfigurationError
from reefmesh_alerts.recipients.file import parse_subscriptions
from reefmesh_alerts.targets.apprise import AppriseTarget
from reefmesh_alerts.targets.entries import AppriseEntry
from reefmesh_alerts.targets.port import Notice, SendResult, Sent, TryAgain
from reefmesh_alerts.targets.trial import SUBJECT, trial_alert

if TYPE_CHECKING:
    from services.alerts.tests.conftest import Samples

TOKEN = "tk_abcdefghijklmnopqrstuvwxyz012345"
SAMPLES = {
    "tgram": "tgram://123456789:abcdefghijklmnopqrstuvwxyz123456789/12315544",
    "whatsapp": "whatsapp://abcdefghijklmnop@123456789012345/15551234567?template=reef_alert",
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "discord": "discord://123456789012345678/abcdefghijklmnopqrstuvwxyz",
    "pover": "pover://abcdefghijklmnopqrstuvwxyz0123@abcdefghijklmnopqrstuvwxyz0123",
    "twilio": "twilio://AC0123456789abcdef0123456789abcdef:0123456789abcdef0123456789abcdef@15551234567/15551234568",
    "ntfy": "ntfy://reefs",
    "ntfy with a dot": "ntfy://reefs.of.amed",
}
OWN = {
    "signals": "signals://signal.example.org/15551234567/15551234568",
    "matrixs": "matrixs://user:password@matrix.example.org/!room",
    "ntfys": "ntfys://ntfy.example.org/reefs",
    "ntfys that only looks like a topic": "ntfys://ntfy.example.org:8443",
    "ntfys by its mode": "ntfys://ntfy.example.org?mode=private",
    "mmosts": "mmosts://chat.example.org/abcdefghijklmnopqrstuvwxyz",
    "gotifys": "gotifys://push.example.org/abcdefghijklmno",
}


def entry(url: str, **changes: Any) -> AppriseEntry:
    return AppriseEntry(type="apprise", name="phone", url=SecretStr(url), **changes)


class Receiver:
    """A server like ntfy's that keeps what it got and answers as it is told."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.status = 200
        self.gate = asyncio.Event()
        self.gate.set()
        self.reached = asyncio.Event()
        self.at_once = self.most_at_once = 0
        application = web.Application()
        application.router.add_route("*", "/{rest:.*}", self._handle)
        self.server = TestServer(application)

    @property
    def url(self) -> str:
        return f"ntfy://{TOKEN}@127.0.0.1:{self.server.port}/reefs"

    async def _handle(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        self.reached.set()
        self.messages.append((dict(request.headers), await request.text()))
        await self.gate.wait()
        self.at_once -= 1
        return web.json_response({"error": "no"}, status=self.status, headers={"Location": f"/{TOKEN}/elsewhere"})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.server.start_server()
    yield receiver
    receiver.gate.set()
    await receiver.server.close()


class Log(logging.Handler):
    """Stands where the handler of our log stands, and takes everything."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def our_log() -> Iterator[Log]:
    log, root = Log(), logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    yield log
    root.removeHandler(log)
    root.setLevel(level)


@pytest.fixture
def notice(samples: type[Samples]) -> Notice:
    alert = trial_alert(samples.START + timedelta(hours=1))
    return Notice(idempotency_key="k", recipient="harbour", who="", to=[], digest=False, alerts=[alert], subject=SUBJECT)


async def send(url: str, notice: Notice, **changes: Any) -> SendResult:
    target = AppriseTarget(entry(url, allow_private=True, **changes))
    try:
        return await target.send(notice, at=notice.alerts[0].raised_at)
    finally:
        await target.close()


async def test_message_arrives_with_its_subject_and_its_text(receiver: Receiver, notice: Notice) -> None:
    assert Sent() == await send(receiver.url, notice)

    ((headers, body),) = receiver.messages
    assert SUBJECT in f"{headers}{body}"
    assert "Buoy test-buoy reports again" in body
    assert TOKEN in headers["Authorization"]


@pytest.mark.parametrize("status", [302, 403, 429, 500])
async def test_failure_is_tried_again_and_its_reason_and_the_log_have_no_secret(
    receiver: Receiver, notice: Notice, status: int, our_log: Log
) -> None:
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # as configure_logging does
    receiver.status = status

    result = await send(receiver.url, notice)

    assert isinstance(result, TryAgain)
    assert str(status) in result.reason
    assert 1 == len(receiver.messages)  # no redirect is followed, and the ledger alone repeats
    assert TOKEN not in f"{result.reason}{[record.getMessage() for record in our_log.records]}"
    assert [] == [record for record in our_log.records if record.name == "apprise"]  # all that it says is the reason


async def test_service_that_is_away_is_tried_again_and_what_the_library_says_of_the_address_is_hidden(
    receiver: Receiver, notice: Notice
) -> None:
    port = receiver.server.port
    await receiver.server.close()

    result = await send(f"rocket://somebody:password@127.0.0.1:{port}/#reefs", notice)

    assert isinstance(result, TryAgain)
    assert "authenticating *** on Rocket.Chat" in result.reason


async def test_hanging_service_holds_no_more_threads_than_its_concurrency_and_what_waited_is_not_sent_later(
    receiver: Receiver, notice: Notice
) -> None:
    receiver.gate.clear()
    target = AppriseTarget(entry(receiver.url, allow_private=True, timeout_seconds=60))
    first = asyncio.create_task(target.send(notice, at=notice.alerts[0].raised_at))
    await receiver.reached.wait()
    others = [asyncio.create_task(target.send(notice, at=notice.alerts[0].raised_at)) for _ in range(3)]
    await asyncio.sleep(0)
    for task in (first, *others):
        task.cancel()
    await asyncio.gather(first, *others, return_exceptions=True)

    receiver.gate.set()
    assert Sent() == await target.send(notice, at=notice.alerts[0].raised_at)
    await target.close()

    assert 1 == receiver.most_at_once
    assert 2 == len(receiver.messages)


async def test_text_that_does_not_fit_is_the_line_of_each_alert(receiver: Receiver, notice: Notice) -> None:
    many = [notice.alerts[0].model_copy(update={"reef_name": f"Reef {number:03}" * 20}) for number in range(50)]

    assert Sent() == await send(receiver.url, replace_alerts(notice, many))

    ((_, body),) = receiver.messages
    assert "Evidence:" not in body
    assert notice.alerts[0].summary in body


def replace_alerts(notice: Notice, alerts: list[Any]) -> Notice:
    return Notice(idempotency_key="k", recipient="harbour", who="", to=[], digest=True, alerts=alerts, subject=notice.subject)


@pytest.mark.parametrize("url", SAMPLES.values(), ids=SAMPLES)
async def test_public_services_are_taken_and_understood(url: str) -> None:
    await AppriseTarget(entry(url)).close()


@pytest.mark.parametrize("url", OWN.values(), ids=OWN)
async def test_own_servers_are_taken_only_if_they_are_meant(url: str) -> None:
    with pytest.raises(ValidationError, match="set allow_private = true"):
        entry(url)

    await AppriseTarget(entry(url, allow_private=True)).close()


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("json://169.254.169.254/latest", 'json:// posts to any address; write a target of type = "webhook"'),
        ("XMLS://example.org/secretkey", 'xmls:// posts to any address; write a target of type = "webhook"'),
        ("form://localhost/secretkey", 'form:// posts to any address; write a target of type = "webhook"'),
        ("apprise://localhost/secretkey", 'apprise:// posts to any address; write a target of type = "webhook"'),
        ("https://hooks.slack.com/services/secretkey", 'https:// posts to any address; write a target of type = "webhook"'),
        ("workflow://internal:80/secretkey", "workflow is not among the services that are taken: bulksms, "),
        ("syslog://secretkey", "syslog is not among the services that are taken: "),
        ("secretkey", "no scheme is not among the services that are taken: "),
        ("tgram://secretkey/1?verify=no", "the option verify is not taken"),
        ("tgram://secretkey/1?%76erify=no", "the option verify is not taken"),
        ("discord://secretkey/1?template=http://169.254.169.254", "the option template is not taken"),
        ("tgram://secretkey/1?redirect=yes", "the option redirect is not taken"),
        ("tgram://secretkey/1?optional=yes", "the option optional is not taken"),
        ("tgram://sécretkey/1", "write it in ASCII and without blanks"),
        ("signal://secretkey.example.org/1", "write signals:// for HTTPS (or set allow_plain_http = true)"),
    ],
)
def test_what_posts_anywhere_is_refused_at_the_reading_of_the_file_in_one_line(url: str, line: str) -> None:
    text = '[[target]]\nname = "phone"\ntype = "apprise"\nurl = "env:PHONE"\n'
    text += "allow_private = true\n" if "secretkey.example" in url else ""

    with pytest.raises(ConfigurationError) as error:
        parse_subscriptions(text, name="s.toml", environment={"PHONE": url})

    assert str(error.value).startswith("s.toml: target 1 (phone): url: ")
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert "secretkey" not in str(error.value)


def test_address_in_the_file_itself_is_refused_and_not_shown() -> None:
    text = f'[[target]]\nname = "phone"\ntype = "apprise"\nurl = "ntfys://{TOKEN}@ntfy.sh/reefs"\n'

    with pytest.raises(ConfigurationError, match="no secrets in files") as error:
        parse_subscriptions(text, name="s.toml", environment={})

    assert TOKEN not in str(error.value)


async def test_address_that_the_library_does_not_understand_is_one_line() -> None:
    with pytest.raises(ConfigurationError, match="Apprise does not understand this address"):
        AppriseTarget(entry("tgram://secretkey"))


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(ValidationError, match=r"install reefmesh-alerts\[apprise\]"):
        entry("ntfy://reefs")


def test_secret_is_hidden_in_what_is_shown_of_an_entry() -> None:
    assert "reefs" not in repr(entry("ntfy://reefs"))

"""Passwords of the broker: with signs that its protocol knows as escapes, and changed while a service runs."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import pytest

from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.errors import ConfigurationError
from reefmesh.observability.health import REFUSED_SECONDS
from reefmesh.service.exit import EXIT_CONFIGURATION
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess, password_of
from reefmesh_components.ports import HOST
from reefmesh_components.reefmesh_command import ReefmeshCommand
from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_incidents.lone_ingest import LoneIngest

SIGNS = (
    "back\\slash",
    "a\\nb",
    "a\\cb",
    "a\\rb",
    "a\\\\b",
    "\\",
    "\\n",
    "end\\",
    "co:lon:",
    "per%cent%41",
    "quo\"te'`",
    "in side",
    "ünïcødé",
    "日本😀",
    "\u00a0no-break\u00a0",
    "a=b#c!d&e<f>,/?@$x{y}",
    "x" * 4096,
    "\\" * 4096,
)
NAMES = ("back\\nuser", "col:user", "üser", "sp user")
BACK_WITHIN_SECONDS = 20.0
"""The longest wait after a refusal (10 s), an attempt, and a slow machine's twice as much."""


def with_users(broker_xml: str) -> str:
    users = [*((f"signs-{number}", sign) for number, sign in enumerate(SIGNS)), *((name, "x") for name in NAMES)]
    lines = (
        f"<authenticationUser username={quoteattr(user)} password={quoteattr(word)} groups='operators'/>"
        for user, word in users
    )
    return broker_xml.replace("</users>", f"{''.join(lines)}</users>")


@pytest.fixture(scope="module")
def broker() -> Iterator[ActivemqProcess]:
    """Has a user for each password, beside the usual ones."""
    try:
        with local_activemq(edited=with_users) as process:
            yield process
    except ComponentMissing as missing:
        give_up(missing)


async def log_in(broker: ActivemqProcess, user: str, password: str, *, tls: bool) -> None:
    scheme, port = ("stomp+ssl", broker.ports.stomp_tls) if tls else ("stomp", broker.ports.stomp)
    query = f"?ca={quote(str(broker.certificate.ca_file))}" if tls else ""
    url = f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{HOST}:{port}{query}"
    address = ActiveMQAddress.parse(url)
    session = await Session.open(address, address.endpoints[0], address.ssl_context())
    await session.close()


@pytest.mark.row(12)
async def test_password_with_any_sign_logs_in(broker: ActivemqProcess, measured: Callable[[str], None]) -> None:
    for tls in (False, True):
        for number, sign in enumerate(SIGNS):
            await log_in(broker, f"signs-{number}", sign, tls=tls)
        for name in NAMES:
            await log_in(broker, name, "x", tls=tls)
    measured(
        f"{len(SIGNS)} passwords (backslashes before every letter that is an escape, colons, quotes, percent signs, blanks"
        f" inside, other scripts, 4096 bytes) and {len(NAMES)} such user names log in at ActiveMQ {broker.version}, with and"
        " without TLS"
    )


async def test_wrong_password_with_signs_is_said_to_be_wrong(broker: ActivemqProcess) -> None:
    """It is escaped as a right one is: the broker's answer is about the password, not about the frame."""
    for sign in SIGNS:
        with pytest.raises(ConfigurationError, match="wrong user name or password"):
            await log_in(broker, "operator", sign, tls=False)


@pytest.mark.row(12)
def test_password_that_the_broker_would_cut_ends_the_start_with_one_line(
    broker: ActivemqProcess, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    url = f"stomp://ingest@{HOST}:{broker.ports.stomp}"
    ingest = LoneIngest(broker_url=url, folder=tmp_path, REEFMESH_BROKER_PASSWORD="trail ")
    ingest.process.start()
    try:
        assert EXIT_CONFIGURATION == ingest.process.wait_until_ended(60.0)
    finally:
        ingest.process.kill()
    (line,) = [line for line in ingest.process.log.read_text().splitlines() if line.startswith("reefmesh: ")]
    assert "which ActiveMQ cuts off" in line
    assert "trail" not in line
    measured("a blank at its end, which the broker cuts off, is named in one line (78)")


def change_password(broker: ActivemqProcess, user: str, before: str, after: str) -> None:
    """As an operator does: in the file, and with a restart, for the broker reads it once."""
    file = broker.folder / "conf" / "reefmesh.properties"
    text = file.read_text(encoding="utf-8")
    line = f"reefmesh.password.{user} = "
    assert f"{line}{before}\n" in text
    file.write_text(text.replace(f"{line}{before}\n", f"{line}{after}\n"), encoding="utf-8")
    broker.restart()


@pytest.mark.incidents
@pytest.mark.row(5)
@pytest.mark.timeout(300)
async def test_password_is_changed_and_put_back(
    broker: ActivemqProcess, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """Not ready at once, not live after the patience; heals without a restart when the old password is back."""
    old, new = password_of("ingest"), "n3w"
    ingest = LoneIngest(broker_url=broker.url("ingest"), folder=tmp_path)
    ingest.process.start()
    try:
        ingest.process.wait_until_healthy()
        await ingest.handle_one(broker.url())
        change_password(broker, "ingest", old, new)
        changed = time.monotonic()
        refused = ingest.until(lambda seen: "refused" in seen.reason)
        told = time.monotonic() - changed
        dead = ingest.until(lambda seen: not seen.live)
        gave_up = time.monotonic() - changed
        ended = ReefmeshCommand(home=tmp_path / "home")("doctor", "--broker", broker.url("ingest"))
        restarted = LoneIngest(broker_url=broker.url("ingest"), folder=tmp_path)
        restarted.process.start()
        assert EXIT_CONFIGURATION == restarted.process.wait_until_ended(60.0)
        change_password(broker, "ingest", new, old)
        restored = time.monotonic()
        well = ingest.until(lambda seen: seen.status == "ok")
        healed = time.monotonic() - restored
        await ingest.handle_one(broker.url())
    finally:
        ingest.process.kill()
    assert refused.live
    assert "wrong user name or password" in refused.reason
    assert "a restart reads user and password again" in dead.reason
    assert gave_up > REFUSED_SECONDS
    assert well.live
    assert healed < BACK_WITHIN_SECONDS
    assert "refused the login of ingest: wrong user name or password" in ended.out
    measured(
        f"broker: not ready with the reason after {told:.1f} s, not live after {gave_up:.0f} s (a start with the old password"
        f" ends with 78, doctor says it is wrong); put back, connected {healed:.1f} s later without a restart"
    )


@pytest.mark.incidents
@pytest.mark.row(5)
async def test_password_of_a_file_is_read_again_when_it_was_changed_everywhere(
    broker: ActivemqProcess, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    old, new = password_of("ingest"), "n3w"
    secret = tmp_path / "broker-password"
    secret.write_text(old, encoding="utf-8")
    nobody = broker.url("ingest").replace(f":{quote(old, safe='')}@", "@")
    assert nobody != broker.url("ingest")
    ingest = LoneIngest(broker_url=nobody, folder=tmp_path, REEFMESH_BROKER_PASSWORD_FILE=str(secret))
    ingest.process.start()
    try:
        ingest.process.wait_until_healthy()
        await ingest.handle_one(broker.url())
        secret.write_text(new, encoding="utf-8")
        change_password(broker, "ingest", old, new)
        restored = time.monotonic()
        well = ingest.until(lambda seen: seen.status == "ok")
        healed = time.monotonic() - restored
        await ingest.handle_one(broker.url())
    finally:
        ingest.process.kill()
        change_password(broker, "ingest", new, old)
    assert well.live
    assert healed < BACK_WITHIN_SECONDS
    measured(f"broker: changed there and in the secret's file, connected {healed:.1f} s later")

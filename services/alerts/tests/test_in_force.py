"""What is in force is told once to a recipient who does not know it, on every database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reefmesh_alerts import queries
from reefmesh_alerts.delivery.dispatcher import DeliveryDispatcher
from reefmesh_alerts.recipients.entries import Digest, QuietHours, RecipientEntry, SubscriptionsFile
from reefmesh_alerts.recipients.in_force import InForce
from reefmesh_alerts.targets.email import compose
from reefmesh_alerts.targets.entries import ConsoleEntry, EmailEntry
from reefmesh_alerts.targets.port import Notice, SendResult, Sent

if TYPE_CHECKING:
    from services.alerts.tests.conftest import AlertsBench, Samples

MAIL = EmailEntry(type="email", name="mail", host="127.0.0.1", sender="reefs@example.org")
HARBOUR = RecipientEntry(name="harbour", targets=["pager"])


def file(*recipients: RecipientEntry) -> SubscriptionsFile:
    names = ("pager", "paper")
    return SubscriptionsFile(target=[ConsoleEntry(type="console", name=name) for name in names], subscription=list(recipients))


class Told:
    """A bench whose targets keep what they are given, and three open episodes of heat."""

    def __init__(self, bench: AlertsBench) -> None:
        self.bench = bench
        self.notices: list[tuple[str, Notice]] = []
        self.dispatcher = DeliveryDispatcher(
            store=bench.store,
            clock=bench.clock,
            recipients=bench.recipients,
            metrics=bench.metrics,
            opener=lambda entry: _Tray(entry.name, self.notices),
        )

    async def reload(self, *recipients: RecipientEntry) -> list[tuple[str, str, list[str]]]:
        """Put these recipients in force in three processes; return (target, recipient, states) of each message."""
        self.bench.recipients.replace(file(*recipients))
        processes = [
            InForce(store=self.bench.store, clock=self.bench.clock, recipients=self.bench.recipients) for _ in range(3)
        ]
        await asyncio.gather(*(each.tell(self.bench.recipients.entries) for each in processes))
        return await self.messages()

    async def messages(self) -> list[tuple[str, str, list[str]]]:
        await self.dispatcher.deliver_due()
        told = [
            (target, notice.recipient, sorted(f"{alert.reef_id} {alert.to_state}" for alert in notice.alerts))
            for target, notice in self.notices
        ]
        self.notices.clear()
        return told


class _Tray:
    def __init__(self, name: str, notices: list[tuple[str, Notice]]) -> None:
        self._name = name
        self._notices = notices

    async def send(self, notice: Notice, *, at: datetime) -> SendResult:
        self._notices.append((self._name, notice))
        return Sent()

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture(params=["sqlite://", "postgresql"])
async def told(request: pytest.FixtureRequest, benches: Callable[..., Any], samples: type[Samples]) -> AsyncIterator[Told]:
    url = request.param if request.param != "postgresql" else request.getfixturevalue("postgresql_schema_url")
    async with AsyncExitStack() as stack:
        told = Told(await stack.enter_async_context(benches(file(HARBOUR), url)))
        for reef, level in (("bommie", 4), ("wall", 2), ("wreck", 3)):
            days = [samples.day(-1, 0), samples.day(0, level)]
            await told.bench.send(samples.score(reef_id=reef, days=days))
        await told.bench.send(samples.score(reef_id="garden", days=[samples.day(-1, 0), samples.day(0, 3)]))
        await told.bench.send(samples.score(reef_id="garden", days=[samples.day(1, 0)]))  # it is over
        assert 5 == len(await told.messages())
        yield told


async def test_new_recipient_gets_one_message_with_what_is_open_and_nobody_else_anything(told: Told) -> None:
    everything = ["bommie Alert Level 2", "wall Bleaching Warning", "wreck Alert Level 1"]
    new = RecipientEntry(name="scientist", targets=["pager", "paper"])

    first = await told.reload(HARBOUR, new)
    again = await told.reload(HARBOUR, new)

    assert [("pager", "scientist", everything), ("paper", "scientist", everything)] == sorted(first)
    assert [] == again
    purposes = [row.purpose for row in await queries.list_deliveries(told.bench.store) if row.recipient == "scientist"]
    assert ["in_force"] * 6 == purposes


async def test_mail_says_that_it_is_in_force_and_why_it_comes(told: Told) -> None:
    told.bench.recipients.replace(file(HARBOUR, RecipientEntry(name="scientist", targets=["pager"])))
    in_force = InForce(store=told.bench.store, clock=told.bench.clock, recipients=told.bench.recipients)
    await in_force.tell(told.bench.recipients.entries)
    await told.dispatcher.deliver_due()

    ((_, notice),) = told.notices
    mail = compose(notice, MAIL, at=told.bench.clock.now())
    assert "In force now: 3 alerts at 3 reefs" == mail["Subject"]
    for part in ("plain", "html"):
        body = mail.get_body((part,))
        assert body is not None
        said = body.get_content()
        assert "These episodes are open, and you were not told of them before." in said
        assert [3] == list({said.count(label) for label in ("Data age", "How sure")})
        assert all(alert.summary in said for alert in notice.alerts)
        assert not re.search("digest|[Cc]hanges|Nothing changed", said)


async def test_restart_with_the_file_of_before_tells_nothing(told: Told) -> None:
    assert [] == await told.reload(HARBOUR)


async def test_recipient_who_sees_more_reefs_or_lower_severities_gets_only_what_is_new(told: Told) -> None:
    small = RecipientEntry(name="small", targets=["paper"], reefs=["bommie"], minimum={"heat": 3})
    assert [("paper", "small", ["bommie Alert Level 2"])] == await told.reload(HARBOUR, small)

    wider = small.model_copy(update={"reefs": ["bommie", "w*"]})
    assert [("paper", "small", ["wreck Alert Level 1"])] == await told.reload(HARBOUR, wider)

    lower = wider.model_copy(update={"minimum": {}})
    assert [("paper", "small", ["wall Bleaching Warning"])] == await told.reload(HARBOUR, lower)


async def test_another_target_of_a_known_recipient_is_told_too(told: Told) -> None:
    both = HARBOUR.model_copy(update={"targets": ["pager", "paper"]})

    (message,) = await told.reload(both)

    assert ("paper", "harbour", 3) == (message[0], message[1], len(message[2]))


async def test_new_recipient_with_a_digest_or_quiet_hours_is_told_when_it_wants_to_be(told: Told) -> None:
    digest = RecipientEntry(name="daily", targets=["paper"], digest=Digest(at="07:00", timezone="UTC"))
    quiet = QuietHours(begins="11:00", ends="15:00", timezone="UTC", break_through={"heat": 4})
    sleeper = RecipientEntry(name="sleeper", targets=["pager"], quiet_hours=quiet)

    assert [("pager", "sleeper", ["bommie Alert Level 2"])] == await told.reload(HARBOUR, digest, sleeper)
    told.bench.clock.advance(timedelta(hours=3))
    assert [("pager", "sleeper", ["wall Bleaching Warning", "wreck Alert Level 1"])] == await told.messages()
    told.bench.clock.advance(timedelta(hours=16))
    ((target, recipient, states),) = await told.messages()
    assert ("paper", "daily", 3) == (target, recipient, len(states))


async def test_old_data_are_noted_and_not_told(told: Told, samples: type[Samples]) -> None:
    told.bench.clock.advance(timedelta(days=300))
    days = [samples.day(1, 0), samples.day(2, 3)]
    await told.bench.send(samples.score(reef_id="replayed", days=days), produced_at=samples.START)
    await told.messages()

    new = RecipientEntry(name="scientist", targets=["pager"], reefs=["replayed"])

    assert [] == await told.reload(HARBOUR, new)
    assert ["expired"] == [
        row.status for row in await queries.list_deliveries(told.bench.store) if row.recipient == "scientist"
    ]


async def test_comparison_follows_the_recipients_in_force(told: Told) -> None:
    in_force = InForce(store=told.bench.store, clock=told.bench.clock, recipients=told.bench.recipients)
    stop = asyncio.Event()
    task = asyncio.create_task(in_force.run(stop))
    told.bench.recipients.replace(file(HARBOUR, RecipientEntry(name="scientist", targets=["paper"])))
    async with asyncio.timeout(60):
        while not (counted := await queries.count_deliveries(told.bench.store)).get("paper"):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
    stop.set()
    await task

    assert {"pending": 3} == counted["paper"]

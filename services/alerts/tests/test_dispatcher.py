"""From the ledger to people: leases, retries, crashes, quiet hours, digests, and targets that do not hold up one another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from reefmesh.backoff import Backoff
from reefmesh.observability import table
from reefmesh.store.port import StoreUnavailable, Write
from reefmesh_alerts import queries
from reefmesh_alerts.delivery.dispatcher import DeliveryDispatcher
from reefmesh_alerts.delivery.lane import BEGIN_WITHIN, LEASE_MARGIN, DeliveryLimits
from reefmesh_alerts.delivery.surveyor import Surveyor
from reefmesh_alerts.recipients.entries import Digest, QuietHours, RecipientEntry, SubscriptionsFile
from reefmesh_alerts.targets.entries import ConsoleEntry, EmailEntry, TargetEntry, WebhookEntry
from reefmesh_alerts.targets.opening import open_target
from reefmesh_alerts.targets.port import Notice, Rejected, SendResult, Sent, TryAgain

if TYPE_CHECKING:
    from services.alerts.tests.conftest import AlertsBench, Samples

LIMITS = DeliveryLimits(attempts=3, backoff=Backoff(first_seconds=10, max_seconds=100), expires_after=timedelta(hours=72))


class Recorder:
    """A target that keeps what it is given and answers from a list; then it takes everything."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.answers: list[SendResult | Exception] = []
        self.gate: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.at_once = 0
        self.most_at_once = 0
        self.closed = 0

    async def send(self, notice: Notice, *, at: datetime) -> SendResult:
        self.notices.append(notice)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.reached.set()
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.at_once -= 1
        answer = self.answers.pop(0) if self.answers else Sent()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        self.closed += 1


def file(*names: str, **subscription: Any) -> SubscriptionsFile:
    """One recipient of everything, over targets of these names."""
    names = names or ("pager",)
    targets: list[TargetEntry] = [ConsoleEntry(type="console", name=name, concurrency=4) for name in names]
    facts: dict[str, Any] = {"name": "harbour", "targets": list(names)}
    return SubscriptionsFile(target=targets, subscription=[RecipientEntry(**(facts | subscription))])


class Post:
    """A bench with a dispatcher, and the recorders behind its targets."""

    def __init__(self, bench: AlertsBench) -> None:
        self.bench = bench
        self.targets: dict[str, Recorder] = {}
        self.opened: list[TargetEntry] = []
        self.dispatcher = self.another()

    def another(self, **changes: Any) -> DeliveryDispatcher:
        """A dispatcher as in another process."""
        parts: dict[str, Any] = {
            "store": self.bench.store,
            "clock": self.bench.clock,
            "recipients": self.bench.recipients,
            "metrics": self.bench.metrics,
            "random": Random(1),
            "opener": self._open,
            "limits": LIMITS,
            "poll_seconds": 0.001,
        }
        return DeliveryDispatcher(**(parts | changes))

    def __getitem__(self, name: str) -> Recorder:
        return self.targets.setdefault(name, Recorder())

    def _open(self, entry: TargetEntry) -> Recorder:
        self.opened.append(entry)
        return self[entry.name]

    async def rows(self) -> list[tuple[str, str, int]]:
        return sorted((row.target, row.status, row.attempts) for row in await queries.list_deliveries(self.bench.store))

    async def raise_alerts(self, samples: type[Samples], count: int = 1, level: int = 3) -> None:
        """One alert each at so many reefs."""
        for number in range(count):
            day = [samples.day(-1, 0), samples.day(0, level)]
            await self.bench.send(samples.score(days=day, reef_id=f"reef-{number:03}"))

    def counted(self, outcome: str, target: str = "pager") -> float:
        return self.bench.metrics.value(table.DELIVERIES, target, outcome)


@pytest.fixture
async def posts(benches: Callable[..., Any]) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def open_post(subscriptions: SubscriptionsFile | None = None) -> Post:
            return Post(await stack.enter_async_context(benches(subscriptions or file())))

        yield open_post


async def test_alert_is_delivered_once_and_noted(posts: Callable[..., Any], samples: type[Samples]) -> None:
    post: Post = await posts()
    await post.raise_alerts(samples)

    assert 1 == await post.dispatcher.deliver_due()
    assert 0 == await post.dispatcher.deliver_due()

    (notice,) = post["pager"].notices
    (row,) = await queries.list_deliveries(post.bench.store)
    assert ("sent", 1, notice.idempotency_key) == (row.status, row.attempts, row.idempotency_key)
    assert notice.subject == "Alert Level 1 at North Wall, was No Stress (DHW 4.50)"
    assert 1 == post.counted("delivered")


async def test_failures_are_retried_later_and_later_under_one_key_then_given_up(
    posts: Callable[..., Any], samples: type[Samples]
) -> None:
    post: Post = await posts()
    post["pager"].answers = [TryAgain(reason="busy"), RuntimeError("a bug"), TryAgain(reason="still busy")]
    await post.raise_alerts(samples)
    waits = []

    for _ in range(3):
        assert 1 == await post.dispatcher.deliver_due()
        assert 0 == await post.dispatcher.deliver_due()
        (row,) = await queries.list_deliveries(post.bench.store)
        waits.append((row.next_attempt_at - post.bench.clock.now()).total_seconds())
        post.bench.clock.set(max(row.next_attempt_at, post.bench.clock.now()))

    assert 5 <= waits[0] < 10 <= waits[1] < 20
    assert ("failed", 3, "still busy") == (row.status, row.attempts, row.last_error)
    assert 1 == len({notice.idempotency_key for notice in post["pager"].notices})
    assert (2, 1, 0) == (post.counted("retrying"), post.counted("failed"), post.counted("delivered"))


async def test_refusal_is_final(posts: Callable[..., Any], samples: type[Samples]) -> None:
    post: Post = await posts()
    post["pager"].answers = [Rejected(reason="no such number")]
    await post.raise_alerts(samples)

    await post.dispatcher.deliver_due()

    (row,) = await queries.list_deliveries(post.bench.store, status="failed")
    assert ("no such number", 1) == (row.last_error, row.attempts)


async def test_receivers_wish_to_wait_is_respected_up_to_the_longest_pause(
    posts: Callable[..., Any], samples: type[Samples]
) -> None:
    post: Post = await posts()
    post["pager"].answers = [TryAgain(reason="busy", after_seconds=60), TryAgain(reason="busy", after_seconds=1e9)]
    await post.raise_alerts(samples)

    waits = []
    for _ in range(2):
        await post.dispatcher.deliver_due()
        (row,) = await queries.list_deliveries(post.bench.store)
        waits.append((row.next_attempt_at - post.bench.clock.now()).total_seconds())
        post.bench.clock.set(row.next_attempt_at)

    assert [60, 100] == waits


class ForgetfulStore:
    """A store whose writes fail from some moment on: the process dies between sending and noting."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.dead = False

    async def write(self, writes: Any) -> None:
        if self.dead:
            raise StoreUnavailable("gone")
        await self._store.write(writes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_crash_between_sending_and_noting_repeats_the_same_key_after_the_lease(
    posts: Callable[..., Any], samples: type[Samples]
) -> None:
    """At least once to people, with one idempotency key and one ledger row."""
    post: Post = await posts()
    await post.raise_alerts(samples)
    store = ForgetfulStore(post.bench.store)
    post["pager"].gate = asyncio.Event()
    dying = asyncio.create_task(post.another(store=store).deliver_due())
    await post["pager"].reached.wait()
    store.dead = True
    post["pager"].gate.set()
    with pytest.raises(StoreUnavailable):
        await dying

    assert 0 == await post.dispatcher.deliver_due()
    post.bench.clock.advance(LEASE_MARGIN + timedelta(seconds=5))
    assert 1 == await post.dispatcher.deliver_due()

    first, again = post["pager"].notices
    assert first == again
    assert [("pager", "sent", 1)] == await post.rows()


async def test_holder_that_overslept_its_lease_cannot_undo_what_the_next_one_noted(
    posts: Callable[..., Any], samples: type[Samples]
) -> None:
    post: Post = await posts()
    await post.raise_alerts(samples)
    sleeper = Recorder()
    sleeper.gate = asyncio.Event()
    sleeper.answers = [TryAgain(reason="I overslept")]
    slow = asyncio.create_task(post.another(opener=lambda _: sleeper).deliver_due())
    await sleeper.reached.wait()
    post.bench.clock.advance(timedelta(hours=1))

    assert 1 == await post.dispatcher.deliver_due()
    sleeper.gate.set()
    await slow

    assert [("pager", "sent", 1)] == await post.rows()


async def test_two_processes_share_the_work_and_nothing_goes_out_twice(
    posts: Callable[..., Any], samples: type[Samples]
) -> None:
    post: Post = await posts()
    await post.raise_alerts(samples, count=40)

    await asyncio.gather(*(post.another().deliver_due() for _ in range(4)))
    await post.dispatcher.deliver_due()

    keys = [notice.idempotency_key for notice in post["pager"].notices]
    assert 40 == len(keys) == len(set(keys))
    assert [("pager", "sent", 1)] * 40 == await post.rows()


async def test_concurrency_of_a_target_is_bounded(posts: Callable[..., Any], samples: type[Samples]) -> None:
    post: Post = await posts()
    post["pager"].gate = asyncio.Event()
    await post.raise_alerts(samples, count=9)
    working = asyncio.create_task(post.dispatcher.deliver_due())
    while post["pager"].at_once < 4:
        post["pager"].reached.clear()
        await post["pager"].reached.wait()
    post["pager"].gate.set()
    await working

    assert 4 == post["pager"].most_at_once
    assert 9 == len(post["pager"].notices)


async def test_deliveries_of_a_storm_share_commits(posts: Callable[..., Any], samples: type[Samples]) -> None:
    post: Post = await posts()
    await post.raise_alerts(samples, count=60)
    before = post.bench.store.statistics().commits

    assert 60 == await post.dispatcher.deliver_due()

    assert post.bench.store.statistics().commits - before < 60
    assert [("pager", "sent", 1)] * 60 == await post.rows()


async def test_stop_gives_back_what_was_taken_and_not_begun(posts: Callable[..., Any], samples: type[Samples]) -> None:
    post: Post = await posts()
    post["pager"].gate = asyncio.Event()
    await post.raise_alerts(samples, count=9)
    stop = asyncio.Event()
    running = asyncio.create_task(post.dispatcher.run(stop))
    while post["pager"].at_once < 4:
        post["pager"].reached.clear()
        await post["pager"].reached.wait()
    stop.set()
    post["pager"].gate.set()
    await running

    assert [("pager", "pending", 0)] * 5 + [("pager", "sent", 1)] * 4 == await post.rows()
    assert 5 == await post.another().deliver_due()


async def test_slow_target_begins_nothing_that_might_outlast_its_lease(
    posts: Callable[..., Any], samples: type[Samples]
) -> None:
    """What waits behind slow attempts is given back and taken anew, so that nobody else may hold it when it is sent."""
    post: Post = await posts()
    post["pager"].gate = asyncio.Event()
    await post.raise_alerts(samples, count=9)
    working = asyncio.create_task(post.dispatcher.deliver_due())
    while post["pager"].at_once < 4:
        post["pager"].reached.clear()
        await post["pager"].reached.wait()
    post.bench.clock.advance(BEGIN_WITHIN)
    post["pager"].gate.set()

    assert 9 + 5 == await working
    assert [("pager", "sent", 1)] * 9 == await post.rows()


async def test_dead_target_holds_up_itself_alone(posts: Callable[..., Any], samples: type[Samples]) -> None:
    post: Post = await posts(file("dead", "alive"))
    post["dead"].gate = asyncio.Event()
    stop = asyncio.Event()
    running = asyncio.create_task(post.dispatcher.run(stop))
    for number in range(20):
        await post.bench.send(samples.score(days=[samples.day(-1, 0), samples.day(0, 3)], reef_id=f"reef-{number:03}"))

    while len(post["alive"].notices) < 20:
        post["alive"].reached.clear()
        await post["alive"].reached.wait()

    assert len(post["dead"].notices) <= 4
    post["dead"].gate.set()
    stop.set()
    await running


async def test_stop_sees_through_what_is_being_sent_and_closes_the_targets(
    posts: Callable[..., Any], samples: type[Samples]
) -> None:
    post: Post = await posts()
    post["pager"].gate = asyncio.Event()
    await post.raise_alerts(samples, count=9)
    stop = asyncio.Event()
    running = asyncio.create_task(post.dispatcher.run(stop))
    await post["pager"].reached.wait()
    stop.set()
    post["pager"].gate.set()
    await running

    sent = [row for row in await post.rows() if row[1] == "sent"]
    assert len(sent) == len(post["pager"].notices) < 9
    assert 1 == post["pager"].closed


async def test_target_that_does_not_end_is_cut_off(posts: Callable[..., Any], samples: type[Samples]) -> None:
    subscriptions = file()
    entry = ConsoleEntry(type="console", name="pager", timeout_seconds=0.05)
    post: Post = await posts(subscriptions.model_copy(update={"target": [entry]}))
    post["pager"].gate = asyncio.Event()
    await post.raise_alerts(samples)

    await post.dispatcher.deliver_due()

    (row,) = await queries.list_deliveries(post.bench.store)
    assert ("pending", "no answer within 0.05 s") == (row.status, row.last_error)


class TestWho:
    async def test_minimum_keeps_small_alerts_away_but_tells_the_end(
        self, posts: Callable[..., Any], samples: type[Samples]
    ) -> None:
        post: Post = await posts(file(minimum={"heat": "Alert Level 1"}))
        for number, level in enumerate([0, 2, 3, 0, 1]):
            await post.bench.send(samples.score(days=[samples.day(number - 5, level)]))
        await post.bench.send(samples.score(days=[samples.day(0, 1)]))

        await post.dispatcher.deliver_due()

        assert [("worsened", 3), ("closed", 0)] == [
            (notice.alerts[0].change, notice.alerts[0].severity)
            for notice in sorted(post["pager"].notices, key=lambda notice: notice.alerts[0].occurred_at)
        ]

    async def test_reefs_and_kinds_are_chosen(self, posts: Callable[..., Any], samples: type[Samples]) -> None:
        post: Post = await posts(file(reefs=["gili-*"], kinds=["dive"]))
        until = samples.START + timedelta(hours=1)
        for reef_id in ("gili-air", "tulamben"):
            await post.bench.send(
                samples.score(
                    reef_id=reef_id,
                    days=[samples.day(-1, 0), samples.day(0, 4)],
                    dive=samples.dive("no_go", valid_until=until),
                )
            )

        await post.dispatcher.deliver_due()

        assert [("gili-air", "dive")] == [(each.alerts[0].reef_id, each.alerts[0].kind) for each in post["pager"].notices]


class TestQuietHours:
    QUIET = QuietHours(begins="22:00", ends="07:00", timezone="Europe/Berlin", break_through={"heat": 4})

    async def test_hold_back_until_they_end(self, posts: Callable[..., Any], samples: type[Samples]) -> None:
        """Over the night in which the clocks jump forward: the end comes an hour earlier."""
        post: Post = await posts(file(quiet_hours=self.QUIET, data_age_limit_hours=0))
        post.bench.clock.set(datetime(2024, 3, 30, 22, 0, tzinfo=UTC))
        await post.raise_alerts(samples)

        assert 0 == await post.dispatcher.deliver_due()
        post.bench.clock.set(datetime(2024, 3, 31, 4, 59, 59, tzinfo=UTC))
        assert 0 == await post.dispatcher.deliver_due()
        post.bench.clock.set(datetime(2024, 3, 31, 5, 0, tzinfo=UTC))
        assert 1 == await post.dispatcher.deliver_due()

    async def test_are_broken_by_what_is_severe(self, posts: Callable[..., Any], samples: type[Samples]) -> None:
        post: Post = await posts(file(quiet_hours=self.QUIET, data_age_limit_hours=0))
        post.bench.clock.set(datetime(2024, 3, 30, 22, 0, tzinfo=UTC))
        await post.raise_alerts(samples, level=4)

        assert 1 == await post.dispatcher.deliver_due()

    async def test_hold_back_retries_too(self, posts: Callable[..., Any], samples: type[Samples]) -> None:
        post: Post = await posts(file(quiet_hours=self.QUIET, data_age_limit_hours=0))
        post["pager"].answers = [TryAgain(reason="busy")]
        post.bench.clock.set(datetime(2024, 1, 10, 20, 59, 55, tzinfo=UTC))
        await post.raise_alerts(samples)
        await post.dispatcher.deliver_due()
        post.bench.clock.set(datetime(2024, 1, 10, 21, 10, tzinfo=UTC))

        await post.dispatcher.deliver_due()

        (row,) = await queries.list_deliveries(post.bench.store)
        assert 1 == len(post["pager"].notices) == row.attempts
        assert datetime(2024, 1, 11, 6, 0, tzinfo=UTC) == row.next_attempt_at


class TestDigest:
    DAILY = Digest(at="07:00", timezone="UTC")

    async def test_gathers_a_day_into_one_message(self, posts: Callable[..., Any], samples: type[Samples]) -> None:
        post: Post = await posts(file(digest=self.DAILY))
        await post.raise_alerts(samples, count=3)
        assert 0 == await post.dispatcher.deliver_due()
        post.bench.clock.set(samples.START + timedelta(hours=19))

        await post.dispatcher.deliver_due()

        (notice,) = post["pager"].notices
        assert (True, 3) == (notice.digest, len(notice.alerts))
        assert "3 alerts at 3 reefs: reefmesh digest for harbour" == notice.subject
        assert 3 == notice.text.count("Evidence:")
        assert [("pager", "sent", 1)] * 3 == await post.rows()

    async def test_that_fails_is_repeated_whole_under_the_same_key(
        self, posts: Callable[..., Any], samples: type[Samples]
    ) -> None:
        post: Post = await posts(file(digest=self.DAILY))
        post["pager"].answers = [TryAgain(reason="busy")]
        await post.raise_alerts(samples, count=2)
        post.bench.clock.set(samples.START + timedelta(hours=19))
        await post.dispatcher.deliver_due()
        post.bench.clock.advance(timedelta(minutes=1))
        await post.dispatcher.deliver_due()

        first, again = post["pager"].notices
        assert replace(first, background=again.background) == again

    async def test_of_tomorrow_is_another_message(self, posts: Callable[..., Any], samples: type[Samples]) -> None:
        post: Post = await posts(file(digest=self.DAILY))
        await post.raise_alerts(samples)
        post.bench.clock.advance(timedelta(days=1))
        await post.bench.send(samples.score(days=[samples.day(0, 0), samples.day(1, 2)]))
        await post.dispatcher.deliver_due()
        post.bench.clock.advance(timedelta(days=1))
        await post.dispatcher.deliver_due()

        assert [1, 1] == [len(notice.alerts) for notice in post["pager"].notices]


class TestDailyDigest:
    ALWAYS = Digest(at="07:00", timezone="UTC", always=True)

    async def test_of_a_day_without_an_alert_goes_out_once_and_says_that_nothing_changed(
        self, posts: Callable[..., Any], samples: type[Samples]
    ) -> None:
        post: Post = await posts(file(digest=self.ALWAYS))
        other = post.another()
        for dispatcher in (post.dispatcher, other):
            assert 0 == await dispatcher.deliver_due()
        post.bench.clock.set(samples.START + timedelta(hours=19))

        sent = [await dispatcher.deliver_due() for dispatcher in (post.dispatcher, other, post.dispatcher)]

        assert [1, 0, 0] == sent
        (notice,) = post["pager"].notices
        assert (True, []) == (notice.digest, notice.alerts)
        assert "Nothing changed: reefmesh digest for harbour" == notice.subject
        assert "Nothing changed." in notice.text

    async def test_of_a_day_with_alerts_is_one_message(self, posts: Callable[..., Any], samples: type[Samples]) -> None:
        post: Post = await posts(file(digest=self.ALWAYS))
        await post.dispatcher.deliver_due()
        await post.raise_alerts(samples, count=2)
        post.bench.clock.set(samples.START + timedelta(hours=19))
        await post.dispatcher.deliver_due()

        (notice,) = post["pager"].notices
        assert 2 == len(notice.alerts)

    async def test_goes_out_each_day_and_its_rows_do_not_grow_for_ever(
        self, posts: Callable[..., Any], samples: type[Samples]
    ) -> None:
        post: Post = await posts(file(digest=self.ALWAYS))
        for day in range(40):
            post.bench.clock.set(samples.START + timedelta(days=day))
            await post.dispatcher.deliver_due()
        assert 39 == len(post["pager"].notices)
        assert 39 == len({notice.idempotency_key for notice in post["pager"].notices})
        ((rows,),) = await post.bench.store.fetch("SELECT COUNT(*) FROM deliveries")
        assert rows < 35

    async def test_is_late_rather_than_left_out_when_no_process_ran_at_its_time(
        self, posts: Callable[..., Any], samples: type[Samples]
    ) -> None:
        post: Post = await posts(file(digest=self.ALWAYS))
        await post.dispatcher.deliver_due()
        post.bench.clock.set(samples.START + timedelta(hours=30))
        assert 1 == await post.another().deliver_due()

    @pytest.mark.parametrize(
        "digest", [None, Digest(at="07:00", timezone="UTC"), Digest(at="09:00", timezone="UTC", always=True)]
    )
    async def test_that_is_not_wanted_any_more_is_not_sent(
        self, posts: Callable[..., Any], samples: type[Samples], digest: Digest | None
    ) -> None:
        post: Post = await posts(file(digest=self.ALWAYS))
        await post.dispatcher.deliver_due()
        post.bench.recipients.replace(file(digest=digest))
        post.bench.clock.set(samples.START + timedelta(hours=19))
        await post.dispatcher.deliver_due()
        assert [] == post["pager"].notices
        assert 1 == post.counted("suppressed")

    async def test_tells_the_state_of_every_site_that_the_recipient_watches(
        self, posts: Callable[..., Any], samples: type[Samples]
    ) -> None:
        mail = EmailEntry(type="email", name="pager", host="mail.example.org", sender="reefs@example.org")
        recipient = RecipientEntry(
            name="harbour", targets=["pager"], reefs=["reef-*"], to=["a@example.org"], digest=self.ALWAYS
        )
        post: Post = await posts(SubscriptionsFile(target=[mail], subscription=[recipient]))
        await post.dispatcher.deliver_due()
        until = samples.START + timedelta(hours=20)
        for reef_id, level in (("reef-a", 1), ("reef-b", 3), ("elsewhere", 4)):
            dive = samples.dive("poor", valid_until=until)
            days = [samples.day(-1, 0), samples.day(0, level)]
            await post.bench.send(samples.score(days=days, dive=dive, reef_id=reef_id, reef_name=f"The {reef_id}"))
        stale = samples.score(
            as_of=samples.START - timedelta(days=30),
            days=[samples.day(-31, 2), samples.day(-30, 2)],
            reef_id="reef-c",
            reef_name="The reef-c",
        )
        await post.bench.send(stale)
        post.bench.clock.set(samples.START + timedelta(hours=19))
        await post.dispatcher.deliver_due()

        (notice,) = post["pager"].notices
        table = notice.text.partition("All sites at 2024-03-02T07:00:00Z:\n")[2].partition("\n\n")[0]
        assert [
            ["Reef", "Heat stress", "DHW", "Status", "Diving", "Data age"],
            ["The reef-b", "Alert Level 1", "4.5", "ok", "poor", "19 h"],
            ["The reef-c", "unknown (last Bleaching Warning, 2024-01-31)", "unknown", "unknown", "unknown", "31 days"],
            ["The reef-a", "Bleaching Watch", "4.5", "ok", "poor", "19 h"],
        ] == [re.split(r" {2,}", line) for line in table.splitlines()]

    async def test_of_a_reef_in_a_state_that_cannot_be_read_tells_the_others(
        self, posts: Callable[..., Any], samples: type[Samples]
    ) -> None:
        post: Post = await posts(file(digest=self.ALWAYS))
        await post.raise_alerts(samples, count=2)
        surveyor = Surveyor(UnreadableStore(post.bench.store, "reef-000"))
        mail = EmailEntry(type="email", name="pager", host="mail.example.org", sender="reefs@example.org")
        (recipient,) = post.bench.recipients.entries
        background = await surveyor.background([], recipient, mail, digest=True, now=samples.START)
        assert ["reef-001"] == [state.reef_id for state in background.states]


class UnreadableStore:
    """A store in which one reef's state is of a version that is still to come."""

    def __init__(self, store: Any, reef_id: str) -> None:
        self._store = store
        self._reef_id = reef_id

    async def load(self, reef_id: str) -> Any:
        row = await self._store.load(reef_id)
        return replace(row, state=b'{"as_of": []}') if reef_id == self._reef_id else row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class TestChangedFile:
    async def test_target_that_changed_is_opened_anew_and_the_old_closed(
        self, posts: Callable[..., Any], samples: type[Samples]
    ) -> None:
        post: Post = await posts()
        await post.dispatcher.deliver_due()
        changed = file().model_copy(update={"target": [ConsoleEntry(type="console", name="pager", output="stdout")]})
        post.bench.recipients.replace(changed)

        await post.raise_alerts(samples)
        await post.dispatcher.deliver_due()

        assert ["log", "stdout"] == [entry.output for entry in post.opened if isinstance(entry, ConsoleEntry)]
        assert 1 == post["pager"].closed
        assert 1 == len(post["pager"].notices)

    @pytest.mark.parametrize("gone", ["recipient", "target"])
    async def test_what_nobody_wants_any_more_expires_after_an_hour(
        self, posts: Callable[..., Any], samples: type[Samples], gone: str
    ) -> None:
        """Not at once: another process may have a newer file than this one."""
        post: Post = await posts()
        await post.raise_alerts(samples)
        other = file("other") if gone == "target" else file(name="pier")
        post.bench.recipients.replace(other)

        await post.dispatcher.deliver_due()
        before = await post.rows()
        post.bench.clock.advance(timedelta(hours=1))
        await post.dispatcher.deliver_due()

        assert [("pager", "pending", 0)] == before
        assert [("pager", "expired", 0)] == await post.rows()
        assert [] == post["pager"].notices
        assert 1 == post.counted("suppressed")

    async def test_target_that_cannot_be_opened_leaves_the_others_alone(
        self, posts: Callable[..., Any], samples: type[Samples]
    ) -> None:
        subscriptions = file("good")
        broken = WebhookEntry(
            type="webhook", name="bad", url="https://example.org", secret=SecretStr("x" * 20), ca_file="/nowhere/ca.pem"
        )
        post: Post = await posts(subscriptions.model_copy(update={"target": [broken, *subscriptions.target]}))
        await post.raise_alerts(samples)
        from reefmesh_alerts.targets.opening import open_target

        def opener(entry: TargetEntry) -> Any:
            return open_target(entry) if entry.name == "bad" else post["good"]

        assert 1 == await post.another(opener=opener).deliver_due()


async def test_alert_that_could_not_be_told_in_time_expires(posts: Callable[..., Any], samples: type[Samples]) -> None:
    post: Post = await posts()
    await post.raise_alerts(samples)
    post.bench.clock.advance(timedelta(hours=73))

    await post.dispatcher.deliver_due()

    (row,) = await queries.list_deliveries(post.bench.store, status="expired")
    assert "it could not be sent in time" == row.last_error
    assert [] == post["pager"].notices
    assert (1, 0) == (post.counted("expired"), post.counted("suppressed"))


class TestLatency:
    """The objective: 99.9 % of alerts are with their target within 120 s after they are due."""

    def latency(self, post: Post, le: str) -> float | None:
        labels = {"service": post.bench.metrics.service, "channel": "pager"}
        row = f"{table.ALERT_LATENCY_SECONDS.name}_{'bucket' if le else 'sum'}"
        return post.bench.metrics.registry.get_sample_value(row, labels | ({"le": le} if le else {}))

    async def test_is_measured_from_the_alert_to_its_delivery(self, posts: Callable[..., Any], samples: type[Samples]) -> None:
        post: Post = await posts()
        await post.raise_alerts(samples)
        post.bench.clock.advance(timedelta(seconds=121))
        await post.dispatcher.deliver_due()

        assert [0, 1, 121] == [self.latency(post, le) for le in ("120.0", "300.0", "")]

    async def test_of_a_digest_begins_at_its_hour(self, posts: Callable[..., Any], samples: type[Samples]) -> None:
        post: Post = await posts(file(digest=Digest(at="07:00", timezone="UTC")))
        await post.raise_alerts(samples, count=2)
        post.bench.clock.set(samples.START + timedelta(hours=19, seconds=3))
        await post.dispatcher.deliver_due()

        assert [2, 6] == [self.latency(post, le) for le in ("120.0", "")]

    async def test_of_an_alert_in_quiet_hours_begins_at_their_end(
        self, posts: Callable[..., Any], samples: type[Samples]
    ) -> None:
        post: Post = await posts(file(quiet_hours=TestQuietHours.QUIET, data_age_limit_hours=0))
        post.bench.clock.set(datetime(2024, 1, 10, 22, 0, tzinfo=UTC))
        await post.raise_alerts(samples)
        post.bench.clock.set(datetime(2024, 1, 11, 6, 0, 4, tzinfo=UTC))
        await post.dispatcher.deliver_due()

        assert [1, 4] == [self.latency(post, le) for le in ("120.0", "")]

    async def test_what_is_overdue_is_shown_until_it_is_delivered(
        self, posts: Callable[..., Any], samples: type[Samples]
    ) -> None:
        """An outage is seen while it lasts, not only in what it did to the latency afterwards."""
        post: Post = await posts()
        post["pager"].answers = [TryAgain(reason="busy", after_seconds=3600)]
        await post.raise_alerts(samples)
        await post.dispatcher.deliver_due()
        seen = []
        for seconds in (60, 61, 3600):
            post.bench.clock.advance(timedelta(seconds=seconds))
            await post.dispatcher.sample()
            seen.append(post.bench.metrics.value(table.DELIVERIES_OVERDUE, "pager"))
        await post.dispatcher.deliver_due()
        await post.dispatcher.sample()

        assert [0, 1, 1, 0] == [*seen, post.bench.metrics.value(table.DELIVERIES_OVERDUE, "pager")]


async def test_database_that_is_away_only_delays(posts: Callable[..., Any], samples: type[Samples]) -> None:
    post: Post = await posts()
    await post.raise_alerts(samples)
    store = ForgetfulStore(post.bench.store)
    store.dead = True
    stop = asyncio.Event()
    tried = asyncio.Event()

    class Watched(ForgetfulStore):
        async def write(self, writes: list[Write]) -> None:
            tried.set()
            await store.write(writes)

    running = asyncio.create_task(post.another(store=Watched(post.bench.store)).run(stop))
    await tried.wait()
    assert [] == post["pager"].notices
    store.dead = False
    await post["pager"].reached.wait()
    stop.set()
    await running

    assert [("pager", "sent", 1)] == await post.rows()


async def test_target_that_takes_nothing_degrades_health_until_it_or_another_process_delivers(
    posts: Callable[..., Any], samples: type[Samples]
) -> None:
    post: Post = await posts(file("pager", "paper"))
    post["pager"].answers = [TryAgain(reason="HTTP 502")] * 3
    await post.raise_alerts(samples)
    for _ in range(2):
        await post.dispatcher.deliver_due()
        assert "ok" == (await post.dispatcher.check()).status
        post.bench.clock.advance(timedelta(seconds=100))

    await post.dispatcher.deliver_due()

    check = await post.dispatcher.check()
    assert ("degraded", 1) == (check.status, check.facts["dead"])
    assert check.reason == "pager: 3 attempts in a row failed, since 2024-03-01 12:00 UTC: HTTP 502"
    await post.dispatcher.sample()
    assert 200 == post.bench.metrics.value(table.TARGET_FAILING_SECONDS, "pager")
    assert 0 == post.bench.metrics.value(table.TARGET_FAILING_SECONDS, "paper")

    post.bench.clock.advance(timedelta(seconds=100))
    await post.bench.send(samples.score(days=[samples.day(1, 5)], reef_id="reef-000"))  # another process has more luck
    assert 1 <= await post.another().deliver_due()
    assert "ok" == (await post.dispatcher.check()).status
    await post.dispatcher.sample()
    assert 0 == post.bench.metrics.value(table.TARGET_FAILING_SECONDS, "pager")


async def test_target_that_refuses_everything_is_dead_too_and_a_short_failure_is_not(
    posts: Callable[..., Any], samples: type[Samples]
) -> None:
    post: Post = await posts()
    post["pager"].answers = [Rejected(reason="HTTP 410")] * 4
    await post.raise_alerts(samples, count=3)
    await post.dispatcher.deliver_due()
    assert "ok" == (await post.dispatcher.check()).status  # three at once, in one bad moment

    post.bench.clock.advance(timedelta(minutes=2))

    assert "degraded" == (await post.dispatcher.check()).status
    post["pager"].answers = []
    await post.bench.send(samples.score(days=[samples.day(1, 5)], reef_id="reef-000"))
    await post.dispatcher.deliver_due()
    assert "ok" == (await post.dispatcher.check()).status


async def test_attempts_of_a_process_before_this_one_count(posts: Callable[..., Any], samples: type[Samples]) -> None:
    post: Post = await posts()
    post["pager"].answers = [TryAgain(reason="HTTP 502")] * 3
    await post.raise_alerts(samples)
    for _ in range(3):
        await (restarted := post.another(limits=DeliveryLimits(attempts=9, backoff=LIMITS.backoff))).deliver_due()
        post.bench.clock.advance(timedelta(seconds=100))

    assert "degraded" == (await restarted.check()).status


async def test_target_that_cannot_be_opened_degrades_health(posts: Callable[..., Any]) -> None:
    entry = WebhookEntry(
        type="webhook",
        name="hook",
        url="https://example.org/hook",
        secret=SecretStr("0123456789abcdef"),
        ca_file="nowhere.pem",
    )
    recipient = RecipientEntry(name="harbour", targets=["hook"])
    post: Post = await posts(SubscriptionsFile(target=[entry], subscription=[recipient]))
    dispatcher = post.another(opener=open_target)
    await dispatcher.deliver_due()

    check = await dispatcher.check()

    assert "degraded" == check.status
    assert check.reason.startswith("hook: nowhere.pem: no certificates can be read from it")
    post.bench.recipients.replace(file())
    assert "ok" == (await dispatcher.check()).status

"""What a process knows of a parking, without a broker."""

import asyncio
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from reefmesh.broker import parking_stock
from reefmesh.broker.activemq.message_headers import USER_ID
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.parked_copy import ParkedCopy
from reefmesh.broker.parking_quota import ParkedPart, ParkingQuota, ParkingUsage, ScopeUsage
from reefmesh.broker.parking_stock import CopyToPark, ParkingStock
from reefmesh.broker.port import BrokerUnavailable

QUOTA = ParkingQuota(messages_limit=8, bytes_limit=1 << 20)
COPY = ParkedCopy(
    headers={USER_ID: "buoy"},
    body=b"{}",
    reason="unreadable",
    detail="",
    attempts=0,
    parked_at=datetime(2026, 3, 1, tzinfo=UTC),
)
LIES_THERE = ParkedPart(user_id="buoy", device=None, reason="unreadable", stored_bytes=100)


class Looks:
    """Stands for the broker: ``messages`` lie in the parking, or it does not answer. ``may_answer``: it waits for that."""

    def __init__(self, messages: int = 0) -> None:
        self.messages = messages
        self.answers = True
        self.times = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def look(self, quota: ParkingQuota) -> ParkingUsage:
        self.times += 1
        await self.may_answer.wait()
        if not self.answers:
            raise BrokerUnavailable("away")
        usage = ParkingUsage(quota)
        for _ in range(self.messages):
            usage.add(LIES_THERE)
        return usage


@pytest.fixture
def always_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known is asked anew each time."""
    monkeypatch.setattr(parking_stock, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(parking_stock, "PAUSE_PER_LOOK", 0)


async def looked(stock: ParkingStock[OutboundMessage]) -> ScopeUsage | None:
    """Return the usage after one more look."""
    stock.usage()
    looking = [task for task in asyncio.all_tasks() if task.get_name() == parking_stock.LOOK]
    await asyncio.wait_for(asyncio.gather(*looking), 60)
    return stock.usage()


def stock_of(
    looks: Looks, *, quota: ParkingQuota | None = QUOTA
) -> tuple[ParkingStock[OutboundMessage], list[CopyToPark[OutboundMessage]]]:
    counted: list[CopyToPark[OutboundMessage]] = []
    return ParkingStock(quota, look=looks.look, on_counted=counted.append), counted


async def placed(stock: ParkingStock[OutboundMessage], times: int) -> int:
    """Park so often; return how many copies were sent."""
    sent = 0
    for _ in range(times):
        async with stock.place(COPY, queue="q") as copies:
            sent += len(copies)
    return sent


async def test_what_lay_there_before_this_process_counts() -> None:
    stock, counted = stock_of(Looks(3))
    assert 1 == await placed(stock, 4)
    assert [COPY] * 3 == counted


async def test_without_a_quota_everything_is_kept_and_nobody_is_asked() -> None:
    looks = Looks(100)
    stock, counted = stock_of(looks, quota=None)
    assert 20 == await placed(stock, 20)
    assert (0, [], None) == (looks.times, counted, stock.usage())


@pytest.mark.usefixtures("always_old")
async def test_broker_that_does_not_answer_leaves_the_own_count_and_is_reported_once() -> None:
    looks = Looks()
    looks.answers = False
    stock, counted = stock_of(looks)
    with capture_logs() as lines:
        for _ in range(10):
            await placed(stock, 1)
            await looked(stock)
    assert looks.times > 1
    assert 6 == len(counted)
    assert 1 == len(lines)
    await stock.close()


@pytest.mark.usefixtures("always_old")
async def test_what_is_parked_while_the_broker_is_asked_is_added_to_its_answer() -> None:
    looks = Looks()
    stock, _ = stock_of(looks)
    await placed(stock, 1)
    looks.may_answer.clear()
    assert 1 == await placed(stock, 1)  # asks in the background, and parks before the answer
    looks.may_answer.set()
    usage = await looked(stock)
    assert (1, 2) == (usage and usage.messages, looks.times)
    await stock.close()


@pytest.mark.usefixtures("always_old")
async def test_room_that_an_operator_made_is_seen_at_the_next_look() -> None:
    looks = Looks(4)
    stock, counted = stock_of(looks)
    assert 0 == await placed(stock, 1)
    looks.messages = 0
    await looked(stock)
    assert 1 == await placed(stock, 1)
    assert [COPY] == counted
    await stock.close()


async def test_message_that_was_not_parked_takes_no_place() -> None:
    stock, counted = stock_of(Looks())
    for _ in range(20):
        with pytest.raises(BrokerUnavailable):
            async with stock.place(COPY, queue="q"):
                raise BrokerUnavailable("the store is full")
    assert 4 == await placed(stock, 5)
    assert 1 == len(counted)

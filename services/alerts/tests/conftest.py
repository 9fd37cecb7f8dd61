"""Scores by hand, and the alerts service on a real store in memory."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts.alerts import READERS as ALERT_READERS
from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.channels import ALERTING, ALERTS
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.schema import SCORES_1, SCORES_2
from reefmesh.contracts.scores import (
    BuoyHealth,
    Carbonate,
    DayScore,
    DiveConditions,
    DiveFactor,
    HeatStatus,
    HeatStress,
    LatestValue,
    Level,
    ReefScore,
)
from reefmesh.observability.metrics import Metrics
from reefmesh.store.connect import open_store
from reefmesh.store.port import Committed, Store, Unit
from reefmesh_alerts.bootstrap import MIGRATIONS
from reefmesh_alerts.handler import AlertsHandler
from reefmesh_alerts.recipients.entries import SubscriptionsFile
from reefmesh_alerts.recipients.watching import Recipients
from reefmesh_alerts.ticker import Ticker

START = datetime(2024, 3, 1, 12, tzinfo=UTC)
START_DATE = START.date()
REEF = "north-wall"


class Samples:
    """Makes scores; whatever is not said is quiet and healthy."""

    START = START
    REEF = REEF

    @staticmethod
    def day(number: int, level: int | None, **changes: Any) -> DayScore:
        """A day so many days after ``START`` whose 7-day maximum is ``level``."""
        facts: dict[str, Any] = {
            "date": START.date() + timedelta(days=number),
            "source": "night",
            "readings": 1,
            "suspect_share": 0.0,
            "day_status": "ok",
            "sst_celsius": 30.0,
            "hotspot_celsius": 1.5,
            "dhw_celsius_weeks": 4.5,
            "dhw_low_celsius_weeks": 4.0,
            "dhw_high_celsius_weeks": 5.0,
            "level": None if level is None else Level(level),
            "level_7day_max": None if level is None else Level(level),
            "coverage_days": 84,
            "whole_days": 0,
            "filled_days": 0,
            "missing_days": 0,
            "suspect_days": 0,
            "status": HeatStatus.OK,
        }
        return DayScore(**(facts | changes))

    @staticmethod
    def dive(verdict: str = "unknown", *, valid_until: datetime | None = None) -> DiveConditions:
        factor = DiveFactor(
            quantity="sea_water_speed",
            value=0.8,
            unit="m/s",
            verdict=verdict,
            observed_at=START,
            age_seconds=0.0,
            reason="current 1.6 kn",
        )
        return DiveConditions(
            verdict=verdict,
            reasons=[f"it is {verdict}"],
            factors=[factor],
            valid_until=valid_until,
        )

    @staticmethod
    def carbonate(band: str | None, on: date = START_DATE, *, status: str = "ok") -> Carbonate:
        omega = None if band is None else 3.2
        return Carbonate(status=status, date=on, omega_aragonite=omega, band=band)

    @staticmethod
    def buoy(buoy_id: str = "b1", *, seen: datetime = START, facts: dict[str, Any] | None = None, **changes: Any) -> BuoyHealth:
        return BuoyHealth(facts=BuoyFacts(buoy_id=buoy_id, **(facts or {})), last_seen_at=seen, **changes)

    @staticmethod
    def latest(
        flag: Flag, *, at: datetime = START, buoy_id: str = "b1", quantity: str = "sea_water_temperature"
    ) -> LatestValue:
        return LatestValue(
            quantity=quantity, unit="degC", value=29.0, flag=flag, observed_at=at, age_seconds=0.0, buoy_id=buoy_id, window=None
        )

    @staticmethod
    def score(
        *,
        as_of: datetime = START,
        days: Sequence[DayScore] = (),
        dive: DiveConditions | None = None,
        carbonate: Carbonate | None = None,
        buoys: Sequence[BuoyHealth] = (),
        latest: dict[str, LatestValue] | None = None,
        reef_id: str = REEF,
        reef_name: str = "North Wall",
    ) -> ReefScore:
        heat = HeatStress(
            mmm_celsius=29.0,
            mmm_source="adjusted",
            latest=days[-1] if days else None,
            highest_dhw_celsius_weeks=None,
            highest_dhw_date=None,
            changed=list(days),
        )
        return ReefScore(
            reef_id=reef_id,
            reef_name=reef_name,
            as_of=as_of,
            heat=heat,
            carbonate=carbonate or Carbonate(status="unknown"),
            dive=dive or Samples.dive(),
            latest=latest or {},
            buoys=list(buoys),
        )


class AlertsBench:
    """Drives the handler as a worker does, on a real store; the clock moves when a test moves it."""

    def __init__(self, store: Store, broker: Broker, file: SubscriptionsFile | None = None) -> None:
        self.store = store
        self.broker = broker
        self.clock = ManualClock(START)
        self.metrics = Metrics("alerts")
        self.recipients = Recipients(None) if file is None else Recipients.fixed(file)
        self.handler = AlertsHandler(clock=self.clock, recipients=self.recipients)
        self.ticker = Ticker(store=store, broker=broker, clock=self.clock, handler=self.handler, recipients=self.recipients)
        self.sent = 0

    async def send(
        self,
        score: ReefScore,
        *,
        produced_at: datetime | None = None,
        event_id: str | None = None,
        body: dict[str, Any] | None = None,
    ) -> list[Alert]:
        """Handle one score and commit what comes of it; returns its alerts. ``body``: the same score as ``scores/1``."""
        self.sent += 1
        message = Envelope(
            event_id=event_id or f"score-{self.sent}",
            reef_id=score.reef_id,
            schema_id=SCORES_2 if body is None else SCORES_1,
            produced_at=produced_at or self.clock.now(),
            seq=self.sent,
            body=score.model_dump_json().encode() if body is None else json.dumps(body).encode(),
        )
        row = await self.store.load(score.reef_id)
        state = await self.handler.load(score.reef_id, row.state)
        change = await self.handler.handle(message, state)
        cursor, seqs = row.cursor.next_seqs(ALERTS.name, len(change.outputs))
        outputs = [
            Publication(
                channel=output.channel.name,
                message=Envelope(
                    event_id=event_id_of(message.event_id, output.step),
                    reef_id=score.reef_id,
                    schema_id=output.schema_id,
                    produced_at=self.clock.now(),
                    seq=seq,
                    body=output.body,
                ),
            )
            for output, seq in zip(change.outputs, seqs, strict=True)
        ]
        unit = Unit(
            reef_id=score.reef_id,
            inbox=str(ALERTING),
            event_id=message.event_id,
            expected_version=row.version,
            cursor=cursor,
            state=self.handler.dump(change.state),
            writes=change.writes,
            outputs=outputs,
        )
        assert isinstance(await self.store.commit(unit), Committed)
        await self.store.outputs_sent([message.event_id])
        for output in change.outputs:
            ALERT_READERS[output.schema_id].validate_json(output.body)
        return [Alert.model_validate_json(output.body) for output in change.outputs]


@asynccontextmanager
async def open_bench(file: SubscriptionsFile | None = None, url: str = "sqlite://") -> AsyncIterator[AlertsBench]:
    store = open_store(url, migrations=MIGRATIONS)
    broker = open_broker("embedded://", clock=ManualClock(START))
    await store.open()
    await broker.connect()
    try:
        yield AlertsBench(store, broker, file)
    finally:
        await broker.close()
        await store.close()


@pytest.fixture(scope="session")
def samples() -> type[Samples]:
    return Samples


@pytest.fixture
async def bench() -> AsyncIterator[AlertsBench]:
    async with open_bench() as opened:
        yield opened


@pytest.fixture
def benches() -> Callable[..., Any]:
    """For tests with a subscriptions file of their own, or with several benches."""
    return open_bench

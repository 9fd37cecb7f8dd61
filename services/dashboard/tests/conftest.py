"""The dashboard's handlers on a real store, driven as a worker drives them; readings, scores and alerts by hand."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from reefmesh.clock import ManualClock
from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.channels import ALERTS, READINGS, SCORES
from reefmesh.contracts.contract import Contract
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import SEA_WATER_SPEED, SEA_WATER_TEMPERATURE, UNITS, VISIBILITY
from reefmesh.contracts.readings import ChannelReading, Reading, Readings
from reefmesh.contracts.register import BuoyFacts, ReefFacts
from reefmesh.contracts.schema import ALERT_2, READINGS_1, SCORES_2
from reefmesh.contracts.scores import (
    BuoyHealth,
    Carbonate,
    CarbonateDay,
    DayScore,
    DiveConditions,
    DiveFactor,
    HeatStatus,
    HeatStress,
    LatestValue,
    Level,
    ReefScore,
)
from reefmesh.observability import table
from reefmesh.observability.http import PageRoute, serve
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.page_connections import ConnectionLimits
from reefmesh.store.connect import open_store
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Committed, Store, Unit
from reefmesh_dashboard.api.app import make_api
from reefmesh_dashboard.bootstrap import MIGRATIONS
from reefmesh_dashboard.domain.reef import ShownReef
from reefmesh_dashboard.erddap.app import make_erddap
from reefmesh_dashboard.exports.downloads import DownloadLimits, Downloads
from reefmesh_dashboard.exports.publisher import DataPublisher
from reefmesh_dashboard.handler import PublishedAlertsHandler, ReadingsHandler, ScoresHandler
from reefmesh_dashboard.live.changes import Changes
from reefmesh_dashboard.live.listeners import ListenerLimits, Listeners
from reefmesh_dashboard.live.stream import Stream
from reefmesh_dashboard.months import Months
from reefmesh_dashboard.pages.language import read_languages
from reefmesh_dashboard.pages.renderer import Renderer
from reefmesh_dashboard.pages.routes import page_routes, rows_of
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.web.clients import networks
from reefmesh_dashboard.web.rate_rule import RateRule
from reefmesh_dashboard.web.site import routes_of

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
REEF = "north-wall"
LANGUAGES = read_languages()


class Samples:
    """Whatever is not said is quiet and healthy."""

    START = START
    REEF = REEF

    @staticmethod
    def reef(reef_id: str = REEF, **changes: Any) -> ReefFacts:
        facts: dict[str, Any] = {"name": "North Wall", "latitude_degrees": -8.5, "longitude_degrees": 116.0}
        return ReefFacts(reef_id=reef_id, **(facts | changes))

    @staticmethod
    def reading(
        minutes: float | datetime = 0,
        *,
        buoy: str = "b1",
        revision: int = 1,
        withdrawn: bool = False,
        flag: Flag = Flag.PASS,
        **values: float | None,
    ) -> Reading:
        """A reading so many minutes after ``START``; ``t`` is the temperature."""
        at = minutes if isinstance(minutes, datetime) else START + timedelta(minutes=minutes)
        channels = {}
        for short, value in values.items():
            quantity = SEA_WATER_TEMPERATURE if short == "t" else short
            judged = Flag.MISSING if value is None or withdrawn else flag
            kept = None if withdrawn else value
            channels[quantity] = ChannelReading(value=kept, raw=kept, flag=judged)
        return Reading(buoy_id=buoy, observed_at=at, received_at=at, revision=revision, withdrawn=withdrawn, channels=channels)

    @staticmethod
    def day(on: date, level: int | None = 0, **changes: Any) -> DayScore:
        known = None if level is None else Level(level)
        facts: dict[str, Any] = {
            "date": on,
            "source": "night",
            "readings": 10,
            "suspect_share": 0.0,
            "day_status": "ok",
            "sst_celsius": 29.5,
            "hotspot_celsius": 0.5,
            "dhw_celsius_weeks": None if level is None else 2.5,
            "dhw_low_celsius_weeks": 2.0,
            "dhw_high_celsius_weeks": 3.0,
            "level": known,
            "level_7day_max": known,
            "coverage_days": 84,
            "whole_days": 0,
            "filled_days": 0,
            "missing_days": 0,
            "suspect_days": 0,
            "status": HeatStatus.OK,
        }
        return DayScore(**(facts | changes))

    @staticmethod
    def heat(*days: DayScore, mmm: float | None = 29.0) -> HeatStress:
        return HeatStress(
            mmm_celsius=mmm,
            mmm_source="adjusted",
            latest=days[-1] if days else None,
            highest_dhw_celsius_weeks=None,
            highest_dhw_date=None,
            changed=list(days),
        )

    @staticmethod
    def carbonate(*days: tuple[date, float]) -> Carbonate:
        judged = [
            CarbonateDay(date=on, status="ok", band="low", omega_aragonite=omega, omega_low=omega, omega_high=omega)
            for on, omega in days
        ]
        if not judged:
            return Carbonate(status="unknown", reason="no pH")
        last = judged[-1]
        return Carbonate(status="ok", date=last.date, omega_aragonite=last.omega_aragonite, band="low", days=judged)

    @staticmethod
    def dive(verdict: str = "good", *, until: datetime | None = START + timedelta(hours=2)) -> DiveConditions:
        factors = [
            DiveFactor(
                quantity=quantity,
                value=value,
                unit=UNITS[quantity],
                verdict=verdict,
                observed_at=START,
                age_seconds=0.0,
                reason=reason,
            )
            for quantity, value, reason in (
                (SEA_WATER_SPEED, 0.2, "current 0.4 kn (0.20 m/s): at most 0.5 kn"),
                (VISIBILITY, 12.0, "visibility 12.0 m: at least 10 m"),
            )
        ]
        return DiveConditions(
            verdict=verdict, reasons=[factor.reason for factor in factors], factors=factors, valid_until=until
        )

    @staticmethod
    def latest(quantity: str = SEA_WATER_TEMPERATURE, value: float = 29.5, *, at: datetime = START) -> LatestValue:
        return LatestValue(
            quantity=quantity,
            unit=UNITS[quantity],
            value=value,
            flag=Flag.PASS,
            observed_at=at,
            age_seconds=0.0,
            buoy_id="b1",
            window=None,
        )

    @staticmethod
    def score(*, reef_id: str = REEF, **changes: Any) -> ReefScore:
        facts: dict[str, Any] = {
            "reef_name": "North Wall",
            "as_of": START,
            "heat": Samples.heat(Samples.day(START.date())),
            "carbonate": Samples.carbonate(),
            "dive": Samples.dive(),
            "latest": {SEA_WATER_TEMPERATURE: Samples.latest()},
            "buoys": [BuoyHealth(facts=BuoyFacts(buoy_id="b1"), last_seen_at=START, battery_volts=3.9, sensors={})],
        }
        return ReefScore(reef_id=reef_id, **(facts | changes))

    @staticmethod
    def alert(alert_id: str, minutes: float = 0, *, reef_id: str = REEF, **changes: Any) -> Alert:
        at = START + timedelta(minutes=minutes)
        facts: dict[str, Any] = {
            "reef_name": "North Wall",
            "kind": "heat",
            "change": "opened",
            "from_state": "No Stress",
            "to_state": "Bleaching Watch",
            "severity": 1,
            "occurred_at": at,
            "raised_at": at,
            "data_age_seconds": 60.0,
            "summary": "heat stress is Bleaching Watch",
            "evidence": {"dhw_celsius_weeks": 2.5},
        }
        return Alert(alert_id=alert_id, reef_id=reef_id, **(facts | changes))


class Bench:
    """Handles messages one after the other, and keeps the reefs' states as a worker does; ``restart`` forgets them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock(START + timedelta(hours=1))
        self.sent = 0
        self.restart()

    def restart(self) -> None:
        self.states: dict[str, ShownReef] = {}
        self.handlers: dict[str, Any] = {
            READINGS.name: ReadingsHandler(self.store, months=Months(), clock=self.clock),
            SCORES.name: ScoresHandler(self.store),
            ALERTS.name: PublishedAlertsHandler(self.store),
        }

    async def readings(self, *readings: Reading, reef: ReefFacts | None = None, seq: int | None = None) -> None:
        facts = reef or Samples.reef()
        body = Readings(reef=facts, buoys=[], readings=list(readings))
        await self.handle(READINGS.name, READINGS_1, facts.reef_id, body, seq=seq)

    async def score(self, score: ReefScore, *, seq: int | None = None) -> None:
        await self.handle(SCORES.name, SCORES_2, score.reef_id, score, seq=seq)

    async def alert(self, alert: Alert, *, seq: int | None = None) -> None:
        await self.handle(ALERTS.name, ALERT_2, alert.reef_id, alert, seq=seq)

    async def handle(self, channel: str, schema_id: str, reef_id: str, body: Contract, *, seq: int | None = None) -> None:
        """Handle one message and commit what comes of it."""
        self.sent += 1
        message = Envelope(
            event_id=f"{reef_id}-{self.sent}",
            reef_id=reef_id,
            schema_id=schema_id,
            produced_at=START,
            seq=seq or self.sent,
            body=body.model_dump_json().encode(),
        )
        handler = self.handlers[channel]
        row = await self.store.load(reef_id)
        if reef_id not in self.states:
            self.states[reef_id] = await handler.load(reef_id, row.state)
        state = self.states.pop(reef_id)  # back when its change is committed
        change = await handler.handle(message, state)
        unit = Unit(
            reef_id=reef_id,
            inbox=channel,
            event_id=message.event_id,
            expected_version=row.version,
            cursor=Cursor(),
            state=handler.dump(change.state),
            writes=change.writes,
        )
        assert isinstance(await self.store.commit(unit), Committed)
        self.states[reef_id] = change.state
        if change.committed is not None:
            change.committed()

    def routes(
        self,
        *,
        requests_limit: int = 2000,
        trusted: str = "",
        timeout_seconds: float = 30.0,
        listeners: ListenerLimits | None = None,
        beat_seconds: float = 30.0,
        publisher: DataPublisher | None = None,
        downloads: DownloadLimits | None = None,
    ) -> Sequence[PageRoute]:
        """The routes as the service has them. ``changes`` looks when it is told to."""
        self.metrics = Metrics("dashboard")
        reader = Reader(self.store, timeout_seconds=timeout_seconds)
        rule = RateRule(
            requests_limit,
            trusted=networks(trusted),
            refused=lambda: self.metrics.count(table.REQUESTS_REFUSED),
        )
        self.listeners = Listeners(listeners or ListenerLimits())
        self.changes = Changes(reader, self.listeners, look_seconds=0.01)
        renderer = Renderer(LANGUAGES)
        stream = Stream(
            self.listeners,
            clock=self.clock,
            metrics=self.metrics,
            rows=rows_of(renderer, clock=self.clock),
            trusted=networks(trusted),
            beat_seconds=beat_seconds,
        )
        pages = page_routes(reader, renderer, clock=self.clock)
        self.downloads = Downloads(
            downloads or DownloadLimits(seconds=300),
            refused=lambda why: self.metrics.count(table.DOWNLOADS_REFUSED, why),
        )
        erddap = make_erddap(reader, clock=self.clock, publisher=publisher or DataPublisher(), downloads=self.downloads)
        return routes_of(pages, make_api(reader, clock=self.clock), stream, erddap, rule=rule)

    @asynccontextmanager
    async def served(
        self, *, connections: ConnectionLimits | None = None, port: int = 0, **settings: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        """A client of all routes over a real connection, which streams need."""
        app = Starlette(routes=list(self.routes(**settings)))
        async with (
            serve(app, port=port, metrics=self.metrics, limits=connections) as address,
            httpx.AsyncClient(base_url=address.url, timeout=10.0) as client,
        ):
            try:
                yield client
            finally:
                self.listeners.end()  # as the service does when it stops

    def visitor(self, *, address: str = "192.0.2.1", **settings: Any) -> httpx.AsyncClient:
        """A client of all routes, who comes from an address."""
        app = Starlette(routes=list(self.routes(**settings)))
        transport = httpx.ASGITransport(app=app, client=(address, 1234))
        return httpx.AsyncClient(transport=transport, base_url="http://dashboard.test")

    async def rows(self, table: str) -> Sequence[tuple[Any, ...]]:
        return [tuple(row) for row in await self.store.fetch(f"SELECT * FROM {table} ORDER BY 1, 2, 3")]  # noqa: S608  # constants


@asynccontextmanager
async def open_bench(url: str = "sqlite://") -> AsyncIterator[Bench]:
    store = open_store(url, migrations=MIGRATIONS)
    await store.open()
    try:
        yield Bench(store)
    finally:
        await store.close()


@pytest.fixture
def samples() -> type[Samples]:
    return Samples


@pytest.fixture
def benches() -> Callable[..., AbstractAsyncContextManager[Bench]]:
    """Benches for property tests, which open one for each example."""
    return open_bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench() as opened:
        yield opened


@pytest.fixture(params=["sqlite-memory", "sqlite-file", "postgresql"])
async def any_bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    match request.param:
        case "sqlite-memory":
            url = "sqlite://"
        case "sqlite-file":
            url = f"sqlite:///{tmp_path}/dashboard.db"
        case _:
            url = request.getfixturevalue("postgresql_schema_url")
    async with open_bench(url) as opened:
        yield opened

"""A home of its own: the ``reefmesh`` command on it, and a mesh in this process whose clock the record moves."""

import asyncio
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh.contracts.alerts import Alert
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import Parts
from reefmesh_alerts.bootstrap import lone_ticker
from reefmesh_alerts.queries import export_alerts
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_components.command_in_process import CommandInProcess, logs_of_errors
from reefmesh_components.reefmesh_command import Ended
from reefmesh_field.delivery import Delivery
from reefmesh_ingest.receipts import Receipt
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.following import Follower
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import addresses, open_stores
from reefmesh_standalone.sending import send_all
from reefmesh_standalone.session import MeshSession, mesh_session
from reefmesh_standalone.simulator.late_clock import LateClock

LOOK_EVERY_SECONDS: Final = 0.002
NO_OWN_TICKS: Final = {services.ALERTS: {"tick_grace_seconds": 86_400.0}}
"""Deadlines are looked at when the record says so, and once what came before is through."""

REEF: Final = {"latitude_degrees": -8.33, "longitude_degrees": 115.64, "mmm_celsius": 29.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldHome:
    """``path``: the folder of the mesh; ``reefs`` maps each registered buoy to its reef."""

    path: Path
    reefs: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path) -> Ended:
        """Run the command to its end, in this process."""
        return CommandInProcess(home=self.path, environment={"COLUMNS": "240"})(*arguments)

    def done(self, *arguments: str | Path) -> Ended:
        """Run a command that must succeed."""
        ended = self(*arguments)
        assert ended.code == 0, ended.err
        return ended

    def register(self, reef: str, *buoys: str, facts: Mapping[str, Any] | None = None, **of_buoys: Any) -> None:
        """Register a reef of 8.33 S, 115.64 E with an MMM of 29.0 degC and its buoys, all with the same facts."""
        lines = ["[[reef]]", f"id = {json.dumps(reef)}", f"name = {json.dumps(reef)}"]
        lines += [f"{name} = {json.dumps(value)}" for name, value in {**REEF, **(facts or {})}.items()]
        for buoy in buoys:
            self.reefs[buoy] = reef
            lines += ["[[buoy]]", f"id = {json.dumps(buoy)}", f"reef = {json.dumps(reef)}"]
            lines += [f"{name} = {json.dumps(value)}" for name, value in of_buoys.items()]
        file = self.path.with_name(f"{reef}.toml")
        file.write_text("\n".join(lines) + "\n")
        self.done("reefs", "load", file)

    def status(self, reef: str) -> dict[str, Any]:
        """Return one reef of ``reefmesh status --json``."""
        (shown,) = self("status", "--reef", reef, "--json").document["reefs"]
        return dict(shown)

    def days(self, reef: str) -> list[dict[str, str]]:
        """Return the days of ``reefmesh export heat``."""
        return list(csv.DictReader(io.StringIO(self.done("export", "heat", "--reef", reef).out)))

    def readings(self, reef: str) -> list[dict[str, str]]:
        """Return the readings of ``reefmesh export readings``."""
        return list(csv.DictReader(io.StringIO(self.done("export", "readings", "--reef", reef).out)))

    def quarantine(self) -> list[dict[str, Any]]:
        """Return the entries of ``reefmesh quarantine list --json``."""
        return list(self("quarantine", "list", "--limit", "1000", "--json").document)

    def alerts(self, reef: str, kind: str | None = None) -> list[Alert]:
        """Return the ledger of one reef, in event time."""

        async def read() -> list[Alert]:
            async with open_stores(Home(path=self.path), services=(services.ALERTS,)) as stores:
                return [each async for each in export_alerts(stores[services.ALERTS], reef_id=reef)]

        return [each for each in asyncio.run(read()) if kind in (None, each.kind)]

    def deliver(
        self, deliveries: Iterable[Delivery], *, looks: Iterable[datetime] = (), until: datetime | None = None
    ) -> list[Receipt]:
        """Let the broker take in these messages, each at its time, and the alerts service look at its deadlines after each, at
        ``looks``, and ``until``. Returns the receipts in the order of arrival."""
        arriving = sorted(deliveries, key=lambda each: each.received_at)
        with logs_of_errors():
            return asyncio.run(self._deliver(arriving, sorted([*looks, *([until] if until else [])])))

    async def _deliver(self, arriving: Sequence[Delivery], looks: Sequence[datetime]) -> list[Receipt]:
        clock = LateClock(SystemClock())
        place = Home(path=self.path)
        ahead = list(looks)
        clock.go_to(min([each.received_at for each in arriving] + ahead))
        receipts: list[Receipt] = []
        async with mesh_session(place, clock=clock, overrides=NO_OWN_TICKS) as session:
            settings = AlertsSettings.load(config=None, overrides=addresses(place, services.ALERTS))
            parts = Parts(store=session.stores[services.ALERTS], broker=session.broker, clock=clock, metrics=Metrics("alerts"))
            ticker = lone_ticker(settings, parts)
            await Register(session.stores[services.INGEST]).refresh()
            for received_at, together in groupby(arriving, key=lambda each: each.received_at):
                while ahead and ahead[0] < received_at:
                    clock.go_to(ahead.pop(0))
                    await ticker.look_once()
                clock.go_to(received_at)
                await ticker.look_once()
                receipts += await self._pass_through(session, list(together))
                await ticker.look_once()
            for instant in ahead:
                clock.go_to(instant)
                await ticker.look_once()
        return receipts

    async def _pass_through(self, session: MeshSession, together: Sequence[Delivery]) -> list[Receipt]:
        messages = [each.envelope(self.reefs[each.device], number) for number, each in enumerate(together)]
        follower = Follower(session.stores, [(message.event_id, message.reef_id) for message in messages])
        await send_all(session.broker, messages, report=lambda _: None, stop=asyncio.Event())
        done = await follower.until_done(
            lambda _: None, stop=asyncio.Event(), ended=session.ended, look_every_seconds=LOOK_EVERY_SECONDS
        )
        assert done, "the mesh ended by a fault"
        return [follower.receipts[message.event_id] for message in messages]


def instants(first: datetime, last: datetime, step: timedelta) -> Iterator[datetime]:
    """Yield the instants from ``first`` on, before ``last``."""
    while first < last:
        yield first
        first += step

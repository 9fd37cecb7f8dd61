"""All checks, in such an order that an earlier failure explains a later one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

from reefmesh.broker.connect import engine_of, open_broker, open_probe
from reefmesh.broker.embedded.errors import JournalOwned
from reefmesh.broker.port import Broker, BrokerUnavailable
from reefmesh.broker.probe import Probe
from reefmesh.clock import Clock
from reefmesh.contracts.services import ServiceEntry
from reefmesh.observability.logs import hide_url_secrets
from reefmesh.store.migrations import MigrationSet
from reefmesh_standalone.doctor.channel import OWN, sweep
from reefmesh_standalone.doctor.databases import examine_database
from reefmesh_standalone.doctor.durability import examine_durability
from reefmesh_standalone.doctor.finding import Finding, findings_of, ok
from reefmesh_standalone.doctor.groups import examine_groups
from reefmesh_standalone.doctor.latency import examine_latency
from reefmesh_standalone.doctor.names import examine_names
from reefmesh_standalone.doctor.obstacles import examine_obstacles
from reefmesh_standalone.doctor.queues import examine_queues
from reefmesh_standalone.doctor.rights import examine_broker_clock, examine_own_rights, examine_rights
from reefmesh_standalone.doctor.targets import examine_targets

Report = Callable[[Finding], None]

REACH: Final = "start the broker, or name the right one with --broker"
STAY: Final = "look at the broker's log"
REACH_STORE: Final = "start the database, or name the right one with --store"


class Examination:
    """Passes each finding to ``report`` as soon as it is known."""

    def __init__(self, report: Report, *, clock: Clock) -> None:
        self.findings: list[Finding] = []
        self._report = report
        self._clock = clock

    async def examine_broker(self, url: str, services: Sequence[ServiceEntry]) -> None:
        """Check the broker at this address, as the user that the address names."""
        probe = open_probe(url)
        if probe is None:
            await self._examine_embedded(url)
            return
        async with AsyncExitStack() as stack:
            if not await self._ask("broker", lambda: _log_in(probe, url, stack), mend=REACH):
                return
            await self._ask("broker names", lambda: examine_names(probe), mend=REACH)
            may = await self._ask("own channel", lambda: examine_own_rights(probe), mend=STAY)
            if may and not await self._ask("broker state", lambda: examine_obstacles(probe, services), mend=STAY):
                may = False  # what follows would only show the same in other words
            await self._ask("rights", lambda: examine_rights(probe, services), mend=STAY)
            await self._ask("queues", lambda: examine_queues(probe, services), mend=STAY)
            if may:
                await self._examine_behaviour(url, stack)
                await self._ask("broker clock", lambda: examine_broker_clock(probe), mend=STAY)

    async def examine_databases(self, addresses: Mapping[str, tuple[str, Sequence[MigrationSet]]]) -> None:
        """Check the database of each service: its address, and the migrations that this program knows."""
        for service, (url, migrations) in addresses.items():

            async def examine(
                service: str = service, url: str = url, sets: Sequence[MigrationSet] = migrations
            ) -> list[Finding]:
                return await examine_database(service, url, sets, self._clock)

            await self._ask(f"store: {service}", examine, mend=REACH_STORE)

    async def examine_targets(self, url: str, migrations: Sequence[MigrationSet]) -> None:
        """Check by the ledger in this database whether the targets of alerts take what they are given."""
        await self._ask("targets", lambda: examine_targets(url, migrations, self._clock), mend=REACH_STORE)

    async def _examine_behaviour(self, url: str, stack: AsyncExitStack) -> None:
        async def connect() -> Broker:
            broker = open_broker(url, clock=self._clock)
            stack.push_async_callback(broker.close)
            await broker.connect()
            await broker.declare([OWN])
            return broker

        async def groups() -> list[Finding]:
            brokers = (await connect(), await connect())
            await sweep(brokers[0], self._clock)
            try:
                return await examine_groups(brokers, self._clock, owned=engine_of(url).keeps_groups)
            finally:
                await sweep(brokers[0], self._clock)

        async def latency() -> list[Finding]:
            return await examine_latency(await connect(), self._clock)

        await self._ask("persistence", lambda: examine_durability(connect, self._clock), mend=STAY)
        await self._ask("groups", groups, mend=STAY)
        await self._ask("latency", latency, mend=STAY)

    async def _examine_embedded(self, url: str) -> None:
        """Check the journal of this machine's own mesh. While that mesh runs, only it may use the journal."""

        async def connect() -> Broker:
            broker = open_broker(url, clock=self._clock)
            await broker.connect()
            await broker.declare([OWN])
            return broker

        async def examine() -> list[Finding]:
            try:
                broker = await connect()
            except JournalOwned as owned:
                return [ok("broker", f"the mesh is up in this home (process {owned.pid}); its journal is its own to use")]
            try:
                await sweep(broker, self._clock)
                order = await examine_groups((broker, broker), self._clock, owned=False, apart=False)
                latency = await examine_latency(broker, self._clock)
            finally:
                await broker.close()
            durability = await examine_durability(connect, self._clock)
            return [ok("broker", f"the embedded journal of {url} opens"), *durability, *order, *latency]

        await self._ask("broker", examine, mend=STAY)

    async def _ask(self, check: str, examine: Callable[[], Awaitable[list[Finding]]], *, mend: str) -> bool:
        """Report the findings; False when one of them is a failure."""
        found = await findings_of(check, examine, mend=mend)
        for finding in found:
            self._report(finding)
        self.findings += found
        return all(finding.verdict != "fail" for finding in found)


async def _log_in(probe: Probe, url: str, stack: AsyncExitStack) -> list[Finding]:
    stack.push_async_callback(probe.close)
    try:
        await probe.connect()
    except BrokerUnavailable as error:
        raise BrokerUnavailable(str(error)) from None
    return [ok("broker", f"answers and lets us in: {hide_url_secrets(url).partition('?')[0]}")]

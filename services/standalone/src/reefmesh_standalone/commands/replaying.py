"""Shared by the commands that read quarantined telemetry, send it again and report the outcome."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from reefmesh.broker.port import Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh.store.connect import open_store
from reefmesh_ingest.bootstrap import MIGRATIONS
from reefmesh_ingest.quarantine.review import AFTER_REGISTRATION, Quarantine, Replayed
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.commands.context import refuse_unfinished, results
from reefmesh_standalone.following import Follower
from reefmesh_standalone.home import Home
from reefmesh_standalone.session import mesh_session


class _Unpublished:
    """In place of a broker, for commands that only read."""

    async def publish(self, publications: Sequence[Publication]) -> None:
        raise NotImplementedError(f"{len(publications)} messages to publish, and nothing to publish them to")


@asynccontextmanager
async def open_quarantine(place: Home) -> AsyncIterator[Quarantine]:
    """Open the quarantine of a home for reading, beside a mesh that is up or without one.

    Raises:
        ConfigurationError: no mesh has run there.
    """
    place.require()
    store = open_store(place.store_address("ingest"), migrations=MIGRATIONS)
    await store.open()
    try:
        yield Quarantine(store=store, broker=_Unpublished(), register=Register(store), clock=SystemClock())
    finally:
        await store.close()


async def send_again(
    place: Home, config: Path | None, choose: Callable[[Quarantine], Awaitable[Replayed]], stop: asyncio.Event
) -> Replayed:
    """Send again what ``choose`` replays, through the mesh that is up or one that runs for as long as it takes, and say what
    became of it.

    Raises:
        Outcome: it was stopped before the end.
    """
    async with mesh_session(place, clock=SystemClock(), run_services=place.embedded, config=config) as session:
        stores = session.stores
        store = stores[services.INGEST]
        quarantine = Quarantine(store=store, broker=session.broker, register=Register(store), clock=SystemClock())
        replayed = await choose(quarantine)
        follower = Follower(stores, [(event_id, reef_id) for reef_id, event_id in replayed.messages])
        complete = await follower.until_done(lambda _: None, stop=stop, ended=session.ended)
        refuse_unfinished(complete, session, kept="what was sent again is safe in the broker, its outcome was not awaited.")
    outcomes = Counter(receipt.outcome for receipt in follower.receipts.values())
    became = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    results().print(f"{counted(len(replayed.messages), 'message')} sent again: {became or 'none was open'}")
    return replayed


async def send_again_registered(place: Home, config: Path | None, devices: Sequence[str], stop: asyncio.Event) -> None:
    """Send again the telemetry of devices that the register did not know before; report their other open entries."""
    async with open_quarantine(place) as quarantine:
        mended = [
            entry.device
            for device in devices
            for reason in AFTER_REGISTRATION
            for entry in await quarantine.list(limit=1, device=device, reason=reason)
        ]
    if mended:

        async def choose(quarantine: Quarantine) -> Replayed:
            each = [await quarantine.replay_for_device(device) for device in dict.fromkeys(filter(None, mended))]
            messages = tuple(message for one in each for message in one.messages)
            return Replayed(entries=sum(one.entries for one in each), messages=messages)

        await send_again(place, config, choose, stop)
    async with open_quarantine(place) as quarantine:
        for device in devices:
            if await quarantine.list(limit=1, device=device):
                results().print(f"More of {device} is in quarantine: 'reefmesh quarantine list --device {device}' says why.")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return the number with its noun in the right form."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or f'{noun}s'}"

"""What databases and broker hold when a run is over, as the history has it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from reefmesh.broker.port import Broker
from reefmesh.contracts import services
from reefmesh.service.program import load_program
from reefmesh.store.connect import open_store
from reefmesh.store.port import Store
from reefmesh_faults.effects import EFFECTS, read_effects
from reefmesh_faults.history import Delivery, Effect, Receipt
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import Stores

PARKED_SHOWN_LIMIT: Final = 1000


@asynccontextmanager
async def open_stores(home: Home, *, records_effects: bool) -> AsyncIterator[Stores]:
    """As ``reefmesh_standalone.mesh.open_stores``, with the recorders' tables where the services have them."""
    more = (EFFECTS,) if records_effects else ()
    async with AsyncExitStack() as stack:
        stores = {}
        for entry in services.SERVICES:
            store = open_store(home.store_address(entry.name), migrations=(*load_program(entry).migrations, *more))
            stack.push_async_callback(store.close)
            await store.open()
            stores[entry] = store
        yield stores


async def read_receipts(store: Store) -> list[Receipt]:
    rows = await store.fetch("SELECT event_id, reef_id, outcome, readings_received FROM receipts")
    return [
        Receipt(event_id=event_id, reef_id=reef_id, outcome=outcome, readings=int(readings))
        for event_id, reef_id, outcome, readings in rows
    ]


async def read_all_effects(stores: Stores) -> list[Effect]:
    effects: list[Effect] = []
    for entry, store in stores.items():
        effects += await read_effects(store, entry.name)
    return effects


async def read_deliveries(store: Store) -> list[Delivery]:
    rows = await store.fetch("SELECT idempotency_key, alert_id, subscription, status FROM deliveries")
    return [
        Delivery(idempotency_key=key, alert_id=alert_id, subscription=subscription, status=status)
        for key, alert_id, subscription, status in rows
    ]


async def read_parked(broker: Broker) -> list[str]:
    found = []
    for subscription in services.subscriptions_of(services.SERVICES):
        parked = await broker.parking(subscription).list(limit=PARKED_SHOWN_LIMIT)
        found += [f"{each.message.event_id} of {subscription}: {each.reason}, {each.detail}" for each in parked]
    return found


async def read_ledger(store: Store) -> list[str]:
    return [row[0] for row in await store.fetch("SELECT alert_id FROM alerts")]

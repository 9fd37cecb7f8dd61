"""The same service on both databases: every statement of ingest is executed, and both come to the same end."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from reefmesh.contracts.quantities import NITRATE_AND_NITRITE
from reefmesh_ingest.accounting import accounting
from reefmesh_ingest.register.entries import EARLIEST, BuoyEntry, SensorEntry

Make = Callable[..., bytes]
IMEI, SERIAL, AGENT = "865000000000001", "ABCDEF0123456789", "agent-1"
BASE = EARLIEST + timedelta(days=3000)


async def test_story_of_a_fleet_ends_the_same_on_every_database(
    new_ingest: Any, telemetry: Make, mqtt_data: Make, report_2021: Make, url: str
) -> None:
    service = await new_ingest(url)
    try:
        wave = [28.0 + 0.1 * (place % 9) for place in range(300)]
        await service.take(telemetry(wave[200:], start=BASE + timedelta(hours=100)), "telemetry/1")
        service.forget()
        await service.take(telemetry(wave[:200], start=BASE), "telemetry/1")
        await service.take(telemetry(wave[:200], start=BASE), "telemetry/1")
        later, earlier = BASE + timedelta(seconds=20), BASE
        for at in (later, earlier, later + timedelta(seconds=15)):
            await service.take(mqtt_data(29.4, "na\x00ughty"), "nemopi-mqtt/1", device=IMEI, at=at)
        nox = report_2021(("SEN0xxx", "DISSOLVED_NOX", "C", "0.84"), ("KIT0021", "WATER_TEMPERATURE", "C", "26.2"))
        await service.take(nox, "nemopi-2021/1", device=SERIAL)
        await service.take(b"\x00\xff", "nemopi-mqtt/1", device="\x00odd")
        await service.take(b"{}", "no\x00such/1", device=IMEI)
        await service.take(telemetry([28.1, 28.2], buoy="newcomer"), "telemetry/1", reef="pemuteran")
        await service.assert_accounted()

        sensor = SensorEntry(source="SEN0xxx", quantity=NITRATE_AND_NITRITE, unit="umol/L")
        await service.register.upsert(
            buoys=[BuoyEntry(id=SERIAL, reef="menjangan", sensor=[sensor]), BuoyEntry(id="newcomer", reef="menjangan")]
        )
        (entry,) = await service.quarantine.list(reason="wrong-unit")
        assert (await service.quarantine.show(entry.quarantine_id)).payload == nox
        await service.quarantine.replay([entry.quarantine_id])
        await service.quarantine.replay_for_device("newcomer")
        assert [receipt.outcome for receipt in await service.replay_published()] == ["accepted", "accepted"]
        await service.assert_accounted()

        books = await accounting(service.store)
        assert (books.messages.received, books.messages.accepted) == (10, 5)
        assert (books.messages.duplicates, books.messages.quarantined) == (3, 2)
        assert (books.readings_new, books.replays, books.quarantine_entries_open) == (304, 2, 2)
        rows = await service.rows()
        assert len(rows) == 304
        assert rows[(SERIAL, min(at for buoy, at in rows if buoy == SERIAL))]["channels"][NITRATE_AND_NITRITE]["value"] == 0.84
        faults = json.dumps([row["channels"] for (buoy, _), row in rows.items() if buoy == IMEI])
        assert "\\u0000" not in faults
        await service.register.remove_buoy("newcomer")
        assert await service.register.remove_reef("pemuteran")
    finally:
        await service.store.close()

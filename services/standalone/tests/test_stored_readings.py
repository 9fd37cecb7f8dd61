"""The stored readings of a home on both databases: every condition, every page."""

import pytest

from reefmesh.contracts.quantities import PCO2, SALINITY, SEA_WATER_TEMPERATURE
from reefmesh.store.connect import open_store
from reefmesh_ingest.bootstrap import MIGRATIONS
from reefmesh_ingest.domain.quality import Series
from reefmesh_ingest.domain.quality.limits import DEFAULT_LIMITS
from reefmesh_ingest.domain.reading import Content, StoredReading
from reefmesh_ingest.domain.reading_json import instant_text, reading_text
from reefmesh_ingest.readings_table import write_of
from reefmesh_standalone.exporting.stored import PAGE_READINGS, Choice, quantities_in, stored_readings

SECOND_US = 1_000_000


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("postgresql_schema_url")) if request.param == "postgresql" else "sqlite://"


def reading(at: int, quantity: str, *, withdrawn: bool = False) -> StoredReading:
    ((_, _, verdict),) = Series(DEFAULT_LIMITS[quantity]).put(at * SECOND_US, 34.0)
    return StoredReading(
        observed_us=at * SECOND_US,
        received_us=at * SECOND_US,
        time_source="device",
        revision=1,
        withdrawn=withdrawn,
        origin="test",
        contents={quantity: Content(34.0, 34.0)},
        verdicts={quantity: verdict},
        place=None,
        status=None,
    )


async def test_stored_readings_are_those_of_the_choice_each_once_in_order(url: str) -> None:
    store = open_store(url, migrations=MIGRATIONS)
    await store.open()
    try:
        rows = [("b2", "amed", reading(at, SALINITY)) for at in range(2 * PAGE_READINGS + 1)]
        rows += [("b1", "amed", reading(at, SEA_WATER_TEMPERATURE)) for at in range(5)]
        rows += [("b3", "tulamben", reading(at, PCO2)) for at in range(3)]
        rows += [("b1", "amed", reading(9, PCO2, withdrawn=True))]
        await store.write([write_of(buoy, reef, each, reading_text(buoy, each, instant_text(0))) for buoy, reef, each in rows])

        async def found(choice: Choice) -> list[tuple[str, int]]:
            return [(each.buoy_id, each.reading.observed_us // SECOND_US) async for each in stored_readings(store, choice)]

        amed = [("b1", at) for at in range(5)] + [("b2", at) for at in range(2 * PAGE_READINGS + 1)]
        assert amed == await found(Choice(reef_id="amed"))
        assert [*amed, *(("b3", at) for at in range(3))] == await found(Choice())
        assert [("b1", 2), ("b1", 3)] == await found(Choice(buoy_id="b1", first_us=2 * SECOND_US, end_us=4 * SECOND_US))
        assert [] == await found(Choice(reef_id="tulamben", buoy_id="b1"))
        assert [SEA_WATER_TEMPERATURE, SALINITY] == await quantities_in(store, Choice(reef_id="amed"))
        assert [PCO2] == await quantities_in(store, Choice(reef_id="tulamben"))
        assert [] == await quantities_in(store, Choice(first_us=10**18))
    finally:
        await store.close()

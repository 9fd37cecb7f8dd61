"""The API over the read model, on every database; wrong parameters in every way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import PH_TOTAL_SCALE, SALINITY, SEA_WATER_TEMPERATURE
from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.scores import BuoyHealth
from reefmesh.store.port import Row, Store, StoreUnavailable, Value
from reefmesh_dashboard.bootstrap import blueprint
from reefmesh_dashboard.settings import DashboardSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.dashboard.tests.conftest import Bench, Samples

READINGS = "/api/v1/reefs/north-wall/readings"


async def everything(client: httpx.AsyncClient, path: str, rows: str, **parameters: Any) -> list[dict[str, Any]]:
    """Follow the cursors to the end."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        answer = await client.get(path, params={**parameters, **({"cursor": cursor} if cursor else {})})
        assert 200 == answer.status_code, answer.text
        found += answer.json()[rows]
        cursor = answer.json()["next"]
        if cursor is None:
            return found


async def test_series_are_whole_over_their_cursors_and_in_order(any_bench: Bench, samples: type[Samples]) -> None:
    bench = any_bench
    taken = [
        samples.reading(-minutes, buoy=buoy, t=20 + minutes / 100) for minutes in range(0, 600, 50) for buoy in ("b1", "b2")
    ]
    await bench.readings(*taken, samples.reading(-10, revision=2, withdrawn=True, t=30.0))
    async with bench.visitor() as client:
        readings = await everything(client, READINGS, "readings", limit=5)
        hours = await everything(client, "/api/v1/reefs/north-wall/hours", "hours", limit=3)
        days = await everything(client, "/api/v1/reefs/north-wall/days", "days", limit=1)
        part = await everything(
            client, READINGS, "readings", **{"from": "2026-11-29T10:00:00+00:00", "to": "2026-11-29T12:00:00Z", "limit": 1}
        )
    expected = sorted((each.observed_at, each.buoy_id) for each in taken)
    assert [(at.isoformat().replace("+00:00", "Z"), buoy) for at, buoy in expected] == [
        (each["observed_at"], each["buoy_id"]) for each in readings
    ]
    assert 24 == sum(each["quantities"][SEA_WATER_TEMPERATURE]["count"] for each in hours)
    assert [12, 12] == [each["quantities"][SEA_WATER_TEMPERATURE]["count"] for each in days]
    assert (20.0, 25.5) == (
        days[0]["quantities"][SEA_WATER_TEMPERATURE]["minimum"],
        days[0]["quantities"][SEA_WATER_TEMPERATURE]["maximum"],
    )
    assert 22.75 == days[0]["quantities"][SEA_WATER_TEMPERATURE]["mean"]
    assert 4 == len(part), "from 10:00 on, before 12:00"


async def test_quantity_leaves_the_others_out(bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(samples.reading(0, t=29.0, sea_water_practical_salinity=34.0))
    async with bench.visitor() as client:
        (reading,) = (await client.get(READINGS, params={"quantity": SALINITY})).json()["readings"]
    assert {SALINITY} == set(reading["channels"])
    assert not {"position", "status"} & set(reading), "where a buoy is and how it is, is its operator's"


async def test_scored_days_and_alerts_are_whole_over_their_cursors(any_bench: Bench, samples: type[Samples]) -> None:
    bench, on = any_bench, samples.START.date()
    dates = [on - timedelta(days=number) for number in range(6, -1, -1)]
    await bench.score(
        samples.score(
            heat=samples.heat(*(samples.day(each, 1) for each in dates)),
            carbonate=samples.carbonate(*((each, 3.2) for each in dates[-3:])),
        )
    )
    for number in range(5):
        await bench.alert(samples.alert(f"a{number}", -number // 2))
    await bench.alert(samples.alert("other", reef_id="south-wall", kind="dive"))
    async with bench.visitor() as client:
        heat = await everything(client, "/api/v1/reefs/north-wall/heat", "days", limit=2)
        carbonate = await everything(client, "/api/v1/reefs/north-wall/carbonate", "days", limit=2)
        alerts = await everything(client, "/api/v1/reefs/north-wall/alerts", "alerts", limit=2)
        kind = await everything(client, "/api/v1/alerts", "alerts", kind="dive")
        all_alerts = await everything(client, "/api/v1/alerts", "alerts", limit=4)
        two = await client.get("/api/v1/reefs/north-wall/heat", params={"from": str(dates[1]), "to": str(dates[3])})
    assert [str(each) for each in dates] == [each["date"] for each in heat]
    assert [str(each) for each in dates[-3:]] == [each["date"] for each in carbonate]
    assert ["a0", "a2", "a1", "a4", "a3"] == [each["alert_id"] for each in alerts]
    assert (["other"], 6) == ([each["alert_id"] for each in kind], len(all_alerts))
    assert [str(dates[1]), str(dates[2])] == [each["date"] for each in two.json()["days"]]


async def test_reefs_are_geojson_with_what_is_known_now(any_bench: Bench, samples: type[Samples]) -> None:
    bench = any_bench
    await bench.readings(samples.reading(0, t=29.0))
    await bench.score(samples.score())
    await bench.score(samples.score(reef_id="no-facts"))
    await bench.readings(samples.reading(0, t=29.0), reef=samples.reef("no-score"))
    async with bench.visitor() as client:
        features = await everything(client, "/api/v1/reefs", "features", limit=1)
        one = (await client.get("/api/v1/reefs/north-wall")).json()["properties"]
    assert ["no-facts", "no-score", "north-wall"] == [each["id"] for each in features]
    assert [None, [116.0, -8.5], [116.0, -8.5]] == [(each["geometry"] or {}).get("coordinates") for each in features]
    assert ["current", "unknown", "current"] == [each["properties"]["dive"]["standing"] for each in features]
    assert ("good", "No Stress", "2026-11-29T12:00:00Z") == (one["dive"]["verdict"], one["heat"]["level_name"], one["as_of"])
    assert ("current", 29.5) == (
        one["latest"][SEA_WATER_TEMPERATURE]["standing"],
        one["latest"][SEA_WATER_TEMPERATURE]["value"],
    )
    assert ("not_measured", None) == (one["latest"][PH_TOTAL_SCALE]["standing"], one["latest"][PH_TOTAL_SCALE]["value"])
    assert 2 == len(one["dive"]["factors"])


async def test_what_holds_no_more_is_unknown_with_what_it_was(bench: Bench, samples: type[Samples]) -> None:
    """Law 10: nobody makes another score when readings stop."""
    await bench.score(samples.score())
    bench.clock.set(samples.START + timedelta(days=8))
    async with bench.visitor() as client:
        one = (await client.get("/api/v1/reefs/north-wall")).json()["properties"]
    assert ("stale", "unknown", "good") == tuple(one["dive"][each] for each in ("standing", "verdict", "last_verdict"))
    assert ["unknown", "unknown"] == [each["verdict"] for each in one["dive"]["factors"]]
    assert ("stale", None, None, 0) == tuple(
        one["heat"][each] for each in ("standing", "level", "dhw_celsius_weeks", "last_level")
    )
    assert "stale" == one["latest"][SEA_WATER_TEMPERATURE]["standing"]


async def test_value_that_quality_control_left_out_is_unknown_with_its_flag(bench: Bench, samples: type[Samples]) -> None:
    suspect = samples.latest().model_copy(update={"flag": Flag.SUSPECT})
    await bench.score(samples.score(latest={SEA_WATER_TEMPERATURE: suspect}, heat=samples.heat()))
    async with bench.visitor() as client:
        one = (await client.get("/api/v1/reefs/north-wall")).json()["properties"]
    latest = one["latest"][SEA_WATER_TEMPERATURE]
    assert ("unknown", 3, 29.5) == (latest["standing"], latest["flag"], latest["value"])
    assert "unknown" == one["heat"]["standing"], "measured, and nothing to rely on"


WRONG: dict[str, tuple[str, str, str]] = {
    "limit of nothing": ("?limit=0", "limit", "a whole number from 1 to 1000"),
    "limit beyond": ("?limit=1001", "limit", "a whole number from 1 to 1000"),
    "limit in words": ("?limit=many", "limit", "a whole number from 1 to 1000"),
    "limit with a nul": ("?limit=%00", "limit", "a whole number from 1 to 1000"),
    "limit twice": ("?limit=1&limit=2", "limit", "a whole number from 1 to 1000"),
    "misspelt": ("?limt=1", "limt", "cursor, from, limit, quantity, to"),
    "quantity": ("?quantity=wind", "quantity", "one of sea_water_temperature"),
    "from in words": ("?from=yesterday", "from", "an instant with its offset from UTC"),
    "from without an offset": ("?from=2026-11-29T00:00:00", "from", "an instant with its offset from UTC"),
    "from with a blank for its plus": ("?from=2026-11-29T00:00:00 08:00", "from", "an instant with its offset from UTC"),
    "from a number": ("?from=1700000000", "from", "an instant with its offset from UTC"),
    "from before all time": ("?from=0001-01-01T00:00:00%2B14:00", "from", "an instant with its offset from UTC"),
    "to": ("?to=never", "to", "an instant with its offset from UTC"),
    "from after to": ("?from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z", "from", "before `to`"),
    "too long": ("?from=2020-01-01T00:00:00Z", "from", "at most 366 days"),
    "cursor of nothing": ("?cursor=xyz", "cursor", "`next`"),
    "cursor of another list": ("?cursor=Im5vcnRoIg", "cursor", "`next`"),
    "cursor not ascii": ("?cursor=%F0%9F%90%A0", "cursor", "`next`"),
    "cursor too long": (f"?cursor={'a' * 501}", "cursor", "`next`"),
}


@pytest.mark.parametrize(("query", "parameter", "allowed"), WRONG.values(), ids=WRONG)
async def test_wrong_parameter_is_a_problem_that_names_it_and_what_is_allowed(
    query: str, parameter: str, allowed: str, bench: Bench, samples: type[Samples]
) -> None:
    await bench.readings(samples.reading(0, t=29.0))
    async with bench.visitor() as client:
        answer = await client.get(READINGS + query)
    assert (400, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    problem = answer.json()
    (error,) = problem["errors"]
    assert (400, "Bad Request", parameter, "query") == (problem["status"], problem["title"], error["parameter"], error["in"])
    assert allowed in error["allowed"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/reefs/nowhere", 404),
        ("/api/v1/reefs/nowhere/readings", 404),
        ("/api/v1/reefs/nowhere/alerts", 404),
        ("/api/v1/reefs/No%20Where", 400),
        ("/api/v1/reefs/%00", 400),
        ("/api/v1/reefs/a%0Ab", 400),
        ("/api/v1/%0A", 404),
        ("/api/v1/nothing", 404),
        ("/api/v1/reefs/north-wall/days?from=2026-11-31", 400),
        ("/api/v1/reefs/north-wall/heat?from=2026-11-02&to=2026-11-01", 400),
        ("/api/v1/alerts?kind=rain", 400),
    ],
)
async def test_whatever_is_not_there_is_a_problem(path: str, status: int, bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(samples.reading(0, t=29.0))
    async with bench.visitor() as client:
        answer = await client.get(path)
    assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    assert status == answer.json()["status"]
    assert answer.json()["detail"]
    assert "nosniff" == answer.headers["x-content-type-options"]


async def test_wrong_method_is_a_problem(bench: Bench) -> None:
    async with bench.visitor() as client:
        answer = await client.post("/api/v1/reefs")
    assert (405, "application/problem+json", "GET") == (
        answer.status_code,
        answer.headers["content-type"],
        answer.headers["allow"],
    )


class HangingStore:
    """A store whose reads fail, or never end."""

    def __init__(self, store: Store, error: Exception | None) -> None:
        self._store = store
        self._error = error

    async def fetch(self, sql: str, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        import asyncio

        if self._error is not None:
            raise self._error
        await asyncio.Event().wait()
        raise AssertionError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize("error", [None, StoreUnavailable("the database at 10.1.2.3 is away")], ids=["hangs", "away"])
async def test_database_that_does_not_answer_is_a_problem_that_says_when_to_try_again(
    error: Exception | None, bench: Bench
) -> None:
    whole, bench.store = bench.store, HangingStore(bench.store, error)
    async with bench.visitor(timeout_seconds=0.01) as client:
        answer, page = await client.get("/api/v1/reefs"), await client.get("/")
    bench.store = whole
    assert (503, "5") == (answer.status_code, answer.headers["retry-after"])
    assert "10.1.2.3" not in answer.text + page.text
    assert 503 == page.status_code


async def test_address_with_too_many_requests_is_told_when_to_come_again(bench: Bench) -> None:
    async with bench.visitor(requests_limit=3) as client:
        statuses = [(await client.get(path)).status_code for path in ("/", "/api/v1/reefs", "/page.css")]
        refused = await client.get("/")
    assert [200, 200, 200] == statuses
    assert (429, "application/problem+json") == (refused.status_code, refused.headers["content-type"])
    assert 1 <= int(refused.headers["retry-after"]) <= 600
    assert "nosniff" == refused.headers["x-content-type-options"]


@pytest.mark.parametrize(
    ("trusted", "forwarded", "statuses"),
    [
        ("", ["203.0.113.1", "203.0.113.2"], [200, 429]),  # anybody may write the header
        ("192.0.2.0/24", ["203.0.113.1", "203.0.113.2"], [200, 200]),  # the balancer tells clients apart
        ("192.0.2.0/24", ["9.9.9.1, 203.0.113.1", "9.9.9.2, 203.0.113.1"], [200, 429]),  # what the client wrote before
        ("192.0.2.0/24", ["2001:db8::1", "2001:db8::2"], [200, 429]),  # one network of one client
        ("192.0.2.0/24", ["nonsense", "other nonsense"], [200, 429]),
    ],
)
async def test_client_is_who_a_trusted_proxy_says(
    trusted: str, forwarded: list[str], statuses: list[int], bench: Bench
) -> None:
    async with bench.visitor(requests_limit=1, trusted=trusted) as client:
        assert statuses == [(await client.get("/", headers={"x-forwarded-for": each})).status_code for each in forwarded]


async def test_every_answer_has_the_security_headers(bench: Bench) -> None:
    async with bench.visitor() as client:
        for path in ("/", "/page.css", "/reefs/nowhere", "/api/v1/reefs", "/api/v1/nothing", "/api/v1/openapi.json"):
            headers = (await client.get(path)).headers
            assert "default-src 'none'" in headers["content-security-policy"], path
            assert "script-src 'self';" in headers["content-security-policy"], "no script inside a page"
            assert "unsafe" not in headers["content-security-policy"]
            assert ("nosniff", "DENY") == (headers["x-content-type-options"], headers["x-frame-options"])
        assert "*" == (await client.get("/api/v1/reefs")).headers["access-control-allow-origin"]


async def test_buoys_say_when_they_reported_and_when_the_next_report_is_due(bench: Bench, samples: type[Samples]) -> None:
    """The hours in which a buoy sleeps are no silence."""
    sleeper = BuoyFacts(buoy_id="b2", report_interval_seconds=7200, waking_hours_utc=(22, 4))
    score = samples.score()
    asleep = BuoyHealth(facts=sleeper, last_seen_at=samples.START - timedelta(hours=9), battery_volts=3.9, sensors={})
    await bench.score(score.model_copy(update={"buoys": [asleep, *score.buoys]}))

    async def lateness(hours: float) -> list[bool]:
        bench.clock.set(samples.START + timedelta(hours=hours))
        return [each["is_late"] for each in (await client.get("/api/v1/reefs/north-wall/buoys")).json()["buoys"]]

    async with bench.visitor() as client:
        (first, second) = (await client.get("/api/v1/reefs/north-wall/buoys")).json()["buoys"]
        assert ([False, False], [True, False], [True, True]) == (await lateness(6), await lateness(7), await lateness(16))
    assert ("b1", "2026-11-29T12:30:00Z", [SEA_WATER_TEMPERATURE]) == tuple(
        first[each] for each in ("buoy_id", "report_expected_by", "quantities")
    )
    assert ("b2", "2026-11-29T22:00:00Z", []) == tuple(second[each] for each in ("buoy_id", "report_expected_by", "quantities"))
    assert not {"battery_volts", "drift_metres", "position_flag"} & set(first), "how it is, is its operator's"


@pytest.mark.parametrize("compressed", [True, False])
async def test_who_has_an_answer_gets_no_second_copy_until_it_changes(
    compressed: bool, bench: Bench, samples: type[Samples]
) -> None:
    headers = {"accept-encoding": "gzip" if compressed else "identity"}
    await bench.score(samples.score())
    async with bench.visitor() as client:
        whole = await client.get("/api/v1/reefs/north-wall", headers=headers)
        known = {**headers, "if-none-match": f'"another", {whole.headers["etag"]}'}
        bench.clock.set(bench.clock.now() + timedelta(minutes=1))
        again = await client.get("/api/v1/reefs/north-wall", headers=known)
        await bench.score(samples.score(dive=samples.dive("fair")))
        changed = await client.get("/api/v1/reefs/north-wall", headers=known)
        wrong = await client.get("/api/v1/reefs/nowhere", headers={**headers, "if-none-match": "*"})
    assert ("gzip" if compressed else None) == whole.headers.get("content-encoding")
    assert (304, b"", whole.headers["etag"]) == (again.status_code, again.content, again.headers["etag"])
    assert ("*", "no-cache") == tuple(again.headers[each] for each in ("access-control-allow-origin", "cache-control"))
    assert (200, 404) == (changed.status_code, wrong.status_code)
    assert "etag" not in wrong.headers


async def test_openapi_names_the_problems_and_no_answer_that_is_never_given(bench: Bench) -> None:
    async with bench.visitor() as client:
        document = (await client.get("/api/v1/openapi.json")).json()
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    assert 10 == len(operations)
    for operation in operations:
        assert {"200", "400", "404", "429", "503"} == set(operation["responses"])
        assert {"application/problem+json"} == set(operation["responses"]["400"]["content"])
        assert all(each.get("description") for each in operation.get("parameters", []))


def test_settings_refuse_a_proxy_that_is_no_network() -> None:
    from reefmesh.errors import ConfigurationError

    given = {"broker_url": "embedded://", "store_url": "sqlite://"}
    assert blueprint(DashboardSettings.load(environment={}, overrides={**given, "trusted_proxies": "10.0.0.0/8, ::1"}))
    with pytest.raises(ConfigurationError, match="networks like"):
        DashboardSettings.load(environment={}, overrides={**given, "trusted_proxies": "load-balancer"})

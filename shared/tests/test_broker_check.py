"""Health of the broker: what it says while there is no connection, and when it asks for a restart."""

from collections.abc import Mapping
from random import Random
from typing import Any, cast

import pytest

from reefmesh.broker.port import Broker, BrokerStatistics
from reefmesh.broker.reconnecting import BACKOFF_WHEN_REFUSED
from reefmesh.observability.health import REFUSED_SECONDS, Health, HealthReport
from reefmesh.observability.progress import Progress

REFUSED = "broker:61614 refused the login of ingest: wrong user name or password"


class BrokerSeen:
    def __init__(self, **statistics: Any) -> None:
        self._statistics = statistics

    async def statistics(self) -> BrokerStatistics:
        usual: Mapping[str, Any] = {"connected": False, "last_heard_seconds": None, "publishes_in_flight": 0, "reconnects": 0}
        return BrokerStatistics(subscriptions={}, **{**usual, **self._statistics})


async def report(**statistics: Any) -> HealthReport:
    return await Health("ingest", Progress(), broker=cast(Broker, BrokerSeen(**statistics))).report()


async def test_absent_broker_is_not_ready_but_live_and_says_why() -> None:
    """However long: a restart of the service does not bring it back."""
    seen = await report(trouble="no broker: broker:61614: its name does not resolve")
    assert (seen.ready, seen.alive) == (False, True)
    assert ["broker: not connected: no broker: broker:61614: its name does not resolve"] == seen.reasons


@pytest.mark.parametrize(("seconds", "alive"), [(0.0, True), (REFUSED_SECONDS, True), (REFUSED_SECONDS + 1, False)])
async def test_refused_login_asks_for_a_restart_after_a_while(seconds: float, alive: bool) -> None:
    """A restart reads the password again; before, it may be put back."""
    seen = await report(trouble=REFUSED, refused_seconds=seconds)
    assert (seen.ready, seen.alive) == (False, alive)
    (reason,) = seen.reasons
    assert f"refused for {seconds:.0f} s: {REFUSED}" in reason
    assert ("a restart reads user and password again" in reason) != alive


async def test_connection_refused_beside_one_that_is_up_is_not_ready() -> None:
    seen = await report(connected=False, last_heard_seconds=1.0, trouble=REFUSED, refused_seconds=5.0)
    assert not seen.ready


def test_refused_logins_are_tried_again_but_are_no_storm() -> None:
    """A password that is put back in time is noticed in time."""
    for seed in range(20):
        random, attempts, passed_seconds = Random(seed), 0, 0.0
        while passed_seconds <= REFUSED_SECONDS:
            attempts += 1
            passed_seconds += BACKOFF_WHEN_REFUSED.delay_seconds(attempts, random)
        assert 5 <= attempts <= 20

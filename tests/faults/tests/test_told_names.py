"""A run's processes know the broker by a name that its nemesis can take away, and every other name as before."""

import asyncio
import socket
from pathlib import Path

import pytest

from reefmesh.broker.name_lookup import look_up
from reefmesh_faults.told_names import NAME, BrokerName, ask_told_names

LIMIT_SECONDS = 60


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BrokerName:
    """This process asks the run's names until the test is over."""
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
    name = BrokerName(tmp_path)
    name.know()
    ask_told_names(tmp_path)
    return name


async def addresses(host: str) -> set[str]:
    return {str(address[4][0]) for address in await look_up(host, 61613, timeout_seconds=10)}


async def test_name_leads_to_the_loopback_while_it_is_known(name: BrokerName) -> None:
    assert {"127.0.0.1"} == await addresses(NAME)
    assert 0 == name.met_away()


async def test_name_that_is_away_does_not_exist_and_each_look_up_is_counted(name: BrokerName) -> None:
    with name.away(is_silent=False):
        for _ in range(2):
            with pytest.raises(socket.gaierror) as caught:
                await addresses(NAME)
            assert socket.EAI_NONAME == caught.value.errno
        assert {"127.0.0.9"} == await addresses("127.0.0.9")
    assert {"127.0.0.1"} == await addresses(NAME)
    assert 2 == name.met_away()


async def test_silent_resolver_answers_once_the_name_is_back(name: BrokerName) -> None:
    with name.away(is_silent=True):
        asking = asyncio.create_task(addresses(NAME))
        async with asyncio.timeout(LIMIT_SECONDS):
            while not name.met_away():
                await asyncio.wait({asking}, timeout=0.01)
        assert not asking.done()
    assert {"127.0.0.1"} == await asking


async def test_silent_resolver_is_given_up_by_whoever_asks(name: BrokerName) -> None:
    with name.away(is_silent=True), pytest.raises(socket.gaierror, match=r"no answer within 0\.05 s"):
        await look_up(NAME, 61613, timeout_seconds=0.05)

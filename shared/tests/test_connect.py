"""Each engine is one entry of a table; what the entry says of it is so."""

import pytest

from reefmesh.broker.connect import ENGINES, EngineEntry, engine_of, open_broker, open_probe
from reefmesh.broker.devices import DeviceBroker
from reefmesh.clock import SystemClock
from reefmesh.errors import ConfigurationError

ADDRESSES = {
    "embedded": "embedded://",
    "stomp": "stomp://host:61613",
    "stomp+ssl": "stomp+ssl://host:61614",
    "amqp": "amqp://host",
    "amqps": "amqps://host-1,host-2:5671/mesh",
}


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.system)
def test_engine_is_what_its_entry_says(engine: EngineEntry) -> None:
    for scheme in engine.schemes:
        url = ADDRESSES[scheme]
        assert engine is engine_of(url)
        assert engine.reaches_devices == isinstance(open_broker(url, clock=SystemClock()), DeviceBroker)
        assert (engine.open_probe is None) == (open_probe(url) is None)
    assert engine is engine_of(engine.example)


@pytest.mark.parametrize("url", ["pigeon://roof", "kafka://host", ""])
def test_address_of_no_engine_is_refused_with_those_that_there_are(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"there are embedded://, stomp://, stomp\+ssl://, amqp://, amqps://$"):
        engine_of(url)

"""Whatever the bytes are: an outcome, never a crash, and the books add up."""

import asyncio
import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reefmesh_ingest.domain.decode import DECODERS, Refusal, Report, decode

SCHEMAS = [*DECODERS, "telemetry/2", ""]
DEVICES = [None, "865000000000001", "ABCDEF0123456789", "agent-1", "nobody", "\x00\ud7ff", "x" * 500]

REAL = [
    json.dumps(document).encode()
    for document in (
        {
            "msg_type": "data",
            "sensors": [
                {
                    "model": "DS18B20-LOGGER",
                    "interface": "rs485",
                    "address": 2,
                    "data": [{"channel": "ch1", "value": 29.4, "fault": ""}, {"channel": "ch2", "value": None, "fault": "x"}],
                }
            ],
        },
        {"msg_type": "diagnosis", "lat_lon": {"lat": 1.5, "lon": 2.5}, "vbat": 3.9, "cell": [1], "lua_mem": {"used": 1}},
        {"msg_type": "connect", "firmware": "1", "ticks": 1, "imei": "865", "power_on_reason": [0, 1, 2], "version": "1"},
        {"msg_type": "detect", "sensors": [{"model": "D", "feature": {"ch1": True}, "address": 2, "interface": "rs485"}]},
        {
            "serial_number": "ABCDEF0123456789",
            "battery_level": "52.85",
            "gsm_strength": "-95.4",
            "latitude": "-8.1",
            "longitude": "115.1",
            "measurements": [
                {
                    "sensor": {
                        "correction_value": "1.02",
                        "details": {"name": "WATER_TEMPERATURE", "unit": "C"},
                        "serial_number": "KIT0021",
                        "name": "WATER_TEMPERATURE",
                    },
                    "value": "26.22",
                    "error_text": "",
                    "datetime": "2021-08-03T01:30:19.010644+00:00",
                },
                {
                    "sensor": {"details": {"name": "POSITION", "unit": "Degree"}, "serial_number": "TEL0097"},
                    "value": ["-8.1", "115.1"],
                    "datetime": "2021-08-03T01:30:20+00:00",
                },
            ],
        },
        {
            "schema": "telemetry/1",
            "buoy_id": "agent-1",
            "seq": 17,
            "sent_at": "2024-02-29T00:00:00Z",
            "readings": [
                {
                    "observed_at": f"2024-02-28T{hour:02}:00:00Z",
                    "position": {"lat": -8.1, "lon": 115.1},
                    "channels": {"sea_water_temperature": 29.41, "sea_water_speed": 0.3},
                    "faults": {"underwater_visibility": "fouled"},
                }
                for hour in range(5)
            ],
        },
    )
]

odd: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1e308,
        -1e-308,
        10**400,
        float("nan"),
        float("inf"),
        "",
        "NaN",
        "1e999",
        "\x00",
        "é" * 300,
        [],
        {},
        [[]],
        [{}],
    ]
)
documents = st.recursive(
    odd | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def mutated_bytes(draw: st.DrawFn) -> bytes:
    """A real payload, cut, repeated, or with bytes changed."""
    payload = bytearray(draw(st.sampled_from(REAL)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(payload) - 1)))
        match draw(st.integers(0, 3)):
            case 0:
                del payload[place:]
            case 1:
                payload[place:place] = draw(st.binary(max_size=4))
            case 2 if payload:
                payload[place] = draw(st.integers(0, 255))
            case _:
                payload += payload[place : place + 50]
    return bytes(payload)


@st.composite
def mutated_documents(draw: st.DrawFn) -> bytes:
    """A real document with values replaced by others, anywhere in it."""
    document = json.loads(draw(st.sampled_from(REAL)))
    for _ in range(draw(st.integers(1, 3))):
        place = document
        while True:
            keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = deepcopy(draw(documents))  # the strategy's own value must not be changed by the next turn
            break
    return draw(st.sampled_from([json.dumps(document).encode(), json.dumps(document).encode("utf-16")]))


payloads = st.one_of(
    st.binary(max_size=200),
    mutated_bytes(),
    mutated_documents(),
    st.sampled_from(REAL),
    documents.map(lambda document: json.dumps(document).encode()),
    st.integers(1, 400_000).map(lambda depth: b"[" * depth),
    st.integers(1, 100_000).map(lambda depth: b'{"a":' * depth + b"1" + b"}" * depth),
    st.integers(1, 20_000).map(lambda digits: b'{"msg_type":' + b"9" * digits + b"}"),
    st.text(max_size=50).map(lambda text: text.encode("utf-16")),
)


@given(st.sampled_from(SCHEMAS), payloads)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example("telemetry/1", b"x" * 10_000_000)
@example("nemopi-2021/1", b"\xff\xfe" + b"[\x00" * 100_000)
@example("nemopi-mqtt/1", b'"' + b"[" * 250_000)
@example("nemopi-mqtt/1", b'"\\' * 100_000)
def test_decoder_always_answers(schema: str, payload: bytes) -> None:
    answer = decode(schema, payload)
    assert isinstance(answer, Report | Refusal)
    if isinstance(answer, Refusal):
        assert answer.reason.sentence
    else:
        assert answer.observations or answer.readings_refused


@given(st.lists(st.tuples(st.sampled_from(SCHEMAS), payloads, st.sampled_from(DEVICES)), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_handler_always_leaves_a_receipt_and_the_books_add_up(
    new_ingest: Callable[..., Any], messages: list[tuple[str, bytes, str | None]]
) -> None:
    async def run() -> None:
        service = await new_ingest()
        try:
            for schema, payload, device in messages:
                receipt = await service.take(payload, schema or "none/0", device=device)
                assert receipt.readings_received >= 1
                for entry in service.entries():
                    assert entry.detail
                service.readings()
            await service.assert_accounted()
            rows = await service.store.fetch("SELECT COUNT(*) FROM receipts")
            assert rows[0][0] == len(messages)
        finally:
            await service.store.close()

    asyncio.run(run())

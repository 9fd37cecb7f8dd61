"""Every byte string whatever, end to end: a receipt with a reason that a person understands, and the reef goes on."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh.contracts.envelope import Envelope
from reefmesh_components.reefmesh_command import ReefmeshCommand
from reefmesh_ingest.accounting import accounting
from reefmesh_ingest.domain.decode.refusals import Reason
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_scoring.queries import latest_scores
from reefmesh_standalone.following import Follower
from reefmesh_standalone.home import Home
from reefmesh_standalone.sending import send_all
from reefmesh_standalone.session import mesh_session
from reefmesh_standalone.simulator.devices import Device, Generation, agent_report, mqtt_data, mqtt_diagnosis, report_2021
from reefmesh_standalone.simulator.water import Water

BEGINS_AT: Final = datetime(2026, 3, 1, tzinfo=UTC)
GOOD: Final = 60
HOSTILE: Final = 420
FORMATS: Final = {each: f"buoy-{each.name.lower().replace('_', '-')}" for each in Generation}
LARGE: Final = b'{"schema": "telemetry/1", "buoy_id": "' + b"a" * 10_000_000 + b'"}'


def device(generation: Generation) -> Device:
    water = Water(seed="hostile", mmm_celsius=29.0)
    return Device(
        buoy_id=FORMATS[generation],
        reef_id="amed",
        generation=generation,
        water=water,
        latitude_degrees=-8.0,
        longitude_degrees=115.0,
        wrong_unit=True,
    )


def real(generation: Generation, at: datetime) -> bytes:
    own = device(generation)
    match generation:
        case Generation.NEMOPI_MQTT:
            return mqtt_data(own, at, dead_probe=False) if at.minute else mqtt_diagnosis(own, at)
        case Generation.NEMOPI_2021:
            return report_2021(own, at)
        case Generation.AGENT:
            return agent_report(own, 1, [at, at + timedelta(minutes=1)])


def named(generation: Generation) -> list[bytes]:
    """The ones that history has taught, for every format."""
    sane = real(generation, BEGINS_AT).decode()
    return [
        b"",
        b" \n\t",
        b"\x00" * 64,
        b"null",
        b"[]",
        b"{}",
        b"NaN",
        b'"' + b"a" * 300_000 + b'"',
        b"[" * 100_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        sane.replace("28.", "1e999").encode(),
        sane.replace(":", ": NaN,", 1).encode(),
        sane.encode("utf-16"),
        sane.encode("utf-32"),
        sane.encode("utf-16")[:-1],
        b"\xef\xbb\xbf" + sane.encode(),
        sane.encode() * 2,
        sane.replace('"', "'").encode(),
        sane.replace("e", "\u0435").encode(),
        b'{"msg_type": "data", "sensors": ' + b"9" * 5000 + b"}",
        b'{"schema": "telemetry/9", "buoy_id": "x", "readings": []}',
        b"\xff\xfe" + bytes(range(256)),
    ]


def mutated(payload: bytes, chance: Random) -> bytes:
    content = bytearray(payload)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(content))
        match chance.randrange(5):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                del content[at : at + chance.randrange(1, 40)]
            case 2:
                content[at:at] = chance.randbytes(chance.randrange(1, 20))
            case 3:
                content[at:at] = chance.choice([b"null", b"-1e308", b"{}", b'"', b"[[[", b"\\u0000", b"\\ud800", b"true"])
            case _:
                content = content[: max(1, at)]
        if not content:
            return b""
    return bytes(content)


def hostile() -> list[tuple[Generation, bytes]]:
    chance = Random(20261121)
    payloads = [(generation, payload) for generation in Generation for payload in named(generation)]
    payloads.append((Generation.AGENT, LARGE))
    while len(payloads) < HOSTILE:
        generation = chance.choice(list(Generation))
        if chance.random() < 0.2:
            payloads.append((generation, chance.randbytes(chance.randrange(1, 2000))))
        else:
            sane = real(generation, BEGINS_AT + timedelta(minutes=chance.randrange(1, 59)))
            payloads.append((generation, mutated(sane, chance)))
    chance.shuffle(payloads)
    return payloads


def message(generation: Generation, body: bytes, number: int, received_at: datetime) -> Envelope:
    return Envelope(
        event_id=f"hostile-{number}",
        reef_id="amed",
        schema_id=generation.value,
        produced_at=received_at,
        body=body,
        headers={"device": FORMATS[generation], "received-at": received_at.isoformat()},
    )


async def test_hostile_payloads_amid_good_ones_every_one_accounted_for_and_the_reef_goes_on(tmp_path: Path) -> None:
    attacks = hostile()
    every = len(attacks) // GOOD
    messages, good = [], []
    for number, (generation, payload) in enumerate(attacks):
        received_at = BEGINS_AT + timedelta(minutes=10 * number)
        messages.append(message(generation, payload, number, received_at))
        if number % every == 0:
            sane = message(Generation.AGENT, real(Generation.AGENT, received_at), 10_000 + number, received_at)
            messages.append(sane)
            good.append(sane.event_id)
    async with mesh_session(Home(path=tmp_path / "home"), clock=SystemClock()) as session:
        reef = ReefEntry(id="amed", name="Amed", latitude_degrees=-8, longitude_degrees=115, mmm_celsius=29)
        buoys = [BuoyEntry(id=buoy_id, reef="amed") for buoy_id in FORMATS.values()]
        await Register(session.stores[services.INGEST]).upsert(reefs=[reef], buoys=buoys)
        follower = Follower(session.stores, [(each.event_id, each.reef_id) for each in messages])
        never = asyncio.Event()
        assert len(messages) == await send_all(session.broker, messages, report=lambda _: None, stop=never)
        assert await follower.until_done(lambda _: None, stop=never, ended=session.ended)
        books = await accounting(session.stores[services.INGEST])
        (score,) = await latest_scores(session.stores[services.SCORING])
        statistics = await session.broker.statistics()
        assert [] == [name for name in statistics.subscriptions if await session.broker.parking(name).list()]

    assert set(follower.receipts) == {each.event_id for each in messages}
    assert () == books.discrepancies
    assert len(messages) == books.messages.received
    refused = [receipt for receipt in follower.receipts.values() if receipt.outcome == "quarantined"]
    assert len(refused) > HOSTILE / 2
    for receipt in refused:
        if receipt.reason is not None:
            assert Reason(receipt.reason) is not Reason.DECODER_FAULT, receipt
            assert Reason(receipt.reason).sentence
    assert {"accepted"} == {follower.receipts[event_id].outcome for event_id in good}
    assert score.as_of >= BEGINS_AT + timedelta(minutes=10 * every * (GOOD - 1))


def test_hostile_files_sent_by_the_command_each_told_in_words(reefmesh: ReefmeshCommand, tmp_path: Path) -> None:
    reefmesh.register({"amed": [FORMATS[Generation.AGENT]]})
    sane = real(Generation.AGENT, BEGINS_AT + timedelta(hours=1))
    files = []
    for number, payload in enumerate([*named(Generation.AGENT), LARGE, sane]):
        file = tmp_path / f"{number:02}.bin"
        file.write_bytes(payload)
        files.append(file)
    sent = reefmesh("send", *files, "--format", "telemetry", "--buoy", FORMATS[Generation.AGENT], "--json")
    assert (1, "") == (sent.code, sent.err)
    *bad, good = sent.document
    assert "accepted" == good["outcome"]
    assert json.loads(sane)["readings"]
    told = {each["reason"]: each["says"] for each in bad if each["outcome"] == "quarantined"}
    assert {"empty", "too-large", "too-deep", "not-json", "not-text", "wrong-structure"} <= told.keys()
    assert all(says and says.endswith(".") for says in told.values())
    accounts = reefmesh.json("status")["accounting"]
    assert ([], len(files)) == (accounts["discrepancies"], accounts["messages"]["received"])

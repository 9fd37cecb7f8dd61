"""The agent's own transports through a real ActiveMQ and ingest: each reading once, also when a report is sent again."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from reefmesh.contracts.channels import READINGS
from reefmesh.contracts.readings import READERS
from reefmesh.contracts.schema import read_body
from reefmesh_buoy.clock import KernelClock
from reefmesh_buoy.failures import NotSent
from reefmesh_buoy.measurement import read_line
from reefmesh_buoy.report import SealedReport
from reefmesh_buoy.spool import Spool
from reefmesh_buoy.transports.broker_stomp import StompTransport
from reefmesh_buoy.transports.device_mqtt import MqttTransport
from reefmesh_components.activemq_process import password_of

IMEI = "867740030000003"
HOST = "127.0.0.1"


def transport_of(kind: str, broker: Any, *, password: str | None = None) -> MqttTransport | StompTransport:
    if kind == "mqtt":
        return MqttTransport(
            host=HOST, port=broker.ports.mqtt, device=IMEI, user="buoy", password=password or password_of("buoy"),
            is_tls=False, ca_file=None, timeout_seconds=20,
        )  # fmt: skip
    tls = kind == "stomp+ssl"
    return StompTransport(
        host=HOST, port=broker.ports.stomp_tls if tls else broker.ports.stomp, reef="menjangan", user="publisher",
        password=password or password_of("publisher"), is_tls=tls, ca_file=str(broker.certificate.ca_file) if tls else None,
        timeout_seconds=20,
    )  # fmt: skip


def spool_with(folder: Path, celsius: list[float]) -> Spool:
    spool = Spool(folder / "spool.db", device=IMEI, readings_limit=1000)
    lines = [json.dumps({"channels": {"sea_water_temperature": each}}).encode() for each in celsius]
    spool.put([read_line(each) for each in lines], KernelClock(trusted=True).read())
    return spool


def in_hand(spool: Spool) -> SealedReport:
    report = spool.report_in_hand(KernelClock(trusted=True).read())
    assert report is not None
    return report


@pytest.mark.parametrize("kind", ["mqtt", "stomp", "stomp+ssl"])
async def test_reports_become_readings_each_once(stage: Any, tmp_path: Path, kind: str) -> None:
    first, second = [28.1, 28.2, 28.3], [28.4, 28.5]
    async with stage.ears(READINGS) as (ear,), stage.ingest():
        transport = transport_of(kind, stage.broker)
        spool = spool_with(tmp_path, first)
        report = in_hand(spool)
        for _ in range(2):  # the confirmation of the first time is lost
            await asyncio.to_thread(transport.send, report)
        spool.confirmed(report, KernelClock(trusted=True).read())
        spool.close()
        spool = spool_with(tmp_path, second)
        await asyncio.to_thread(transport.send, in_hand(spool))
        spool.close()
        messages = await ear.until(lambda seen: any(second[-1] in values for values in map(_values, seen)))
    newest = {each.observed_at: each for message in messages for each in read_body(message, READERS).readings}
    values = [each.channels["sea_water_temperature"].value for _, each in sorted(newest.items())]
    assert values == [*first, *second]


@pytest.mark.parametrize("kind", ["mqtt", "stomp", "stomp+ssl"])
async def test_login_that_is_refused_confirms_nothing(stage: Any, tmp_path: Path, kind: str) -> None:
    spool = spool_with(tmp_path, [28.1])
    with pytest.raises(NotSent, match="the broker"):  # at once, no time-out
        await asyncio.to_thread(transport_of(kind, stage.broker, password="wrong").send, in_hand(spool))
    spool.close()


def _values(message: Any) -> list[float | None]:
    return [each.channels["sea_water_temperature"].value for each in read_body(message, READERS).readings]

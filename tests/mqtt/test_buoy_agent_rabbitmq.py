"""The agent on a buoy shows a certificate instead of a password, through a real RabbitMQ and ingest."""

import asyncio
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
from reefmesh_buoy.transports.device_mqtt import MqttTransport
from reefmesh_components.certificates import make_client_certificate, make_server_certificate
from reefmesh_ingest.register.entries import BuoyEntry

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(240)]  # the first of them starts the broker

CERTIFIED = "867740030000005"


def report_of(folder: Path, celsius: float) -> SealedReport:
    spool = Spool(folder / "spool.db", device=CERTIFIED, readings_limit=1000)
    now = KernelClock(trusted=True).read()
    spool.put([read_line(f'{{"channels": {{"sea_water_temperature": {celsius}}}}}'.encode())], now)
    report = spool.report_in_hand(now)
    spool.close()
    assert report is not None
    return report


def transport_with(broker: Any, files: tuple[Path, Path] | None) -> MqttTransport:
    certificate_file, key_file = files or (None, None)
    return MqttTransport(
        host="127.0.0.1", port=broker.ports.mqtts, device=CERTIFIED, user=None, password=None, is_tls=True,
        ca_file=str(broker.certificate.ca_file), certificate_file=certificate_file, key_file=key_file, timeout_seconds=20,
    )  # fmt: skip


async def test_report_of_a_device_with_a_certificate_becomes_a_reading(rabbitmq_stage: Any, tmp_path: Path) -> None:
    stage = rabbitmq_stage
    transport = transport_with(stage.broker, make_client_certificate(stage.broker.certificate, CERTIFIED, tmp_path))
    async with stage.ears(READINGS) as (ear,), stage.ingest() as ingest:
        await ingest.register.upsert(buoys=[BuoyEntry(id=CERTIFIED, reef="menjangan")])
        report = report_of(tmp_path, 28.25)
        for _ in range(2):  # the confirmation of the first time is lost
            await asyncio.to_thread(transport.send, report)
        messages = await ear.until_there_are(1)
    (reading,) = read_body(messages[0], READERS).readings
    assert (reading.buoy_id, reading.channels["sea_water_temperature"].value) == (CERTIFIED, 28.25)


@pytest.mark.parametrize("shown", ["none", "of another device", "of another authority"])
async def test_device_without_a_right_certificate_is_confirmed_nothing(rabbitmq_stage: Any, tmp_path: Path, shown: str) -> None:
    authority = rabbitmq_stage.broker.certificate
    files = None
    if shown == "of another device":
        files = make_client_certificate(authority, "867740030000004", tmp_path)
    if shown == "of another authority":
        (tmp_path / "other").mkdir()
        files = make_client_certificate(make_server_certificate(tmp_path / "other"), CERTIFIED, tmp_path)
    with pytest.raises(NotSent, match="the broker"):  # it says so at once, and is not waited for
        await asyncio.to_thread(transport_with(rabbitmq_stage.broker, files).send, report_of(tmp_path, 28.5))

"""The doctor sees what is wrong with a live broker by what it does, says it in a line, and leaves nothing behind."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reefmesh.broker.connect import open_broker, open_probe
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import INGEST
from reefmesh.contracts.services import SERVICES
from reefmesh.store.connect import open_store
from reefmesh.store.port import Write
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_components.stomp_peer import Client, stomp_peer
from reefmesh_ingest.bootstrap import MIGRATIONS
from reefmesh_standalone.doctor.channel import OWN, message, take_until
from reefmesh_standalone.doctor.finding import Finding
from reefmesh_standalone.doctor.names import examine_names
from reefmesh_standalone.doctor.rights import examine_own_rights, examine_rights

POLICY = ' messageGroupMapFactoryType="simple"'


@pytest.fixture
def broker(activemq_process: ActivemqProcess) -> ActivemqProcess:
    """The broker of the whole run."""
    return activemq_process


def examine(*arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return the exit code and the findings by check."""
    command = [sys.executable, "-m", "reefmesh_standalone", "doctor", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["ok"] == (done.returncode == 0)
    return done.returncode, {finding["check"]: finding for finding in document["findings"]}


def verdicts(findings: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {check: finding["verdict"] for check, finding in findings.items()}


def verdict_of(findings: dict[str, Finding]) -> dict[str, str]:
    return {check: finding.verdict for check, finding in findings.items()}


async def made_database(home: Path) -> None:
    store = open_store(f"sqlite:///{home / 'ingest.db'}", migrations=MIGRATIONS)
    await store.open()
    await store.close()


async def test_shipped_configuration_passes_every_check_and_nothing_is_left_behind(
    broker: ActivemqProcess, tmp_path: Path
) -> None:
    await made_database(tmp_path)
    code, findings = examine("--broker", broker.url(), "--home", str(tmp_path))
    assert code == 0
    found = verdicts(findings)
    assert {"warn"} == {
        found.pop(f"store: {each}") for each in SERVICES if each.name != "ingest"
    }  # no service has made them yet
    slow_here = ("publish latency", "round trip", "store: ingest", "spread")  # a busy machine may earn a warning
    assert {"ok", *(found[check] for check in slow_here)} >= set(found.values()) <= {"ok", "warn"}
    assert {check for check, verdict in found.items() if verdict == "warn"} <= set(slow_here)

    client = open_broker(broker.url(), clock=SystemClock())
    await client.connect()
    marker = message(SystemClock(), "doctor-marker", 1)
    await client.publish([marker])
    consumer = client.consumer(OWN, lanes=1)
    await consumer.start()
    delivery = await consumer.lanes[0].receive()
    assert delivery is not None
    assert marker.message.event_id == delivery.message.event_id  # the first that waits is ours
    await consumer.lanes[0].settle(delivery, [])
    await consumer.drain()
    await client.close()


def with_default_group_map(shipped: str) -> str:
    assert POLICY in shipped
    return shipped.replace(POLICY, "")


def test_default_group_map_is_found_out_and_its_cure_named(tmp_path: Path) -> None:
    """BROKERS: beyond 1,024 groups the default map lets two consumers handle one reef."""
    try:
        with local_activemq(edited=with_default_group_map) as broker:
            code, findings = examine("--broker", broker.url(), "--home", str(tmp_path))
    except ComponentMissing as missing:
        give_up(missing)
    assert code == 1
    assert {"groups"} == {check for check, verdict in verdicts(findings).items() if verdict == "fail"}
    assert "messageGroupMapFactoryType" in findings["groups"]["mend"]


async def test_each_service_is_let_do_what_it_needs_and_another_is_not(broker: ActivemqProcess) -> None:
    for user in SERVICES:
        probe = open_probe(broker.url(user.name))
        assert probe is not None
        await probe.connect()
        assert [finding.verdict for finding in await examine_own_rights(probe)] == ["ok"]
        found = {finding.check: finding for finding in await examine_rights(probe, SERVICES)}
        await probe.close()
        may = {
            each: set(each.publishes) <= set(user.publishes) and set(each.consumes) <= set(user.consumes) for each in SERVICES
        }
        assert verdict_of(found) == {f"rights: {service}": "ok" if may[service] else "fail" for service in SERVICES}
        assert [user] == [each for each in SERVICES if may[each] and each.consumes] or not user.consumes
        assert all("not authorized" in finding.said for finding in found.values() if finding.verdict == "fail")


def test_wrong_password_is_one_finding_and_the_database_is_looked_at_all_the_same(
    broker: ActivemqProcess, tmp_path: Path
) -> None:
    url = broker.url().replace("operator-", "wrong-")
    code, findings = examine("--broker", url, "--home", str(tmp_path))
    assert code == 1
    assert {"broker": "fail", **dict.fromkeys((f"store: {each}" for each in SERVICES), "warn")} == verdicts(findings)
    assert "wrong user name or password" in findings["broker"]["said"]
    assert "wrong-" not in json.dumps(findings)


async def test_embedded_mesh_is_examined_too(tmp_path: Path) -> None:
    await made_database(tmp_path)
    code, findings = examine("--home", str(tmp_path))
    assert code == 0
    assert {"broker", "persistence", "order", "publish latency", "round trip"} < set(findings)
    assert "groups" not in findings  # in one process nobody can forget an owner

    client = open_broker(f"embedded://{tmp_path / 'journal.db'}", clock=SystemClock())
    await client.connect()
    await client.declare([OWN, INGEST])
    marker = message(SystemClock(), "doctor-marker", 1)
    await client.publish([marker])
    assert await take_until(client, {marker.message.event_id})
    await client.close()


async def test_database_of_another_version_is_told_without_being_touched(tmp_path: Path) -> None:
    await made_database(tmp_path)
    store = open_store(f"sqlite:///{tmp_path / 'ingest.db'}", migrations=MIGRATIONS)
    await store.open()
    insert = "INSERT INTO mesh_migration (set_name, version, name, checksum, applied_us) VALUES (?, ?, ?, ?, ?)"
    later = Write(insert, ("ingest", 9999, "later", "x", 0))
    await store.write([later])
    await store.close()
    code, findings = examine("--home", str(tmp_path))
    assert code == 1
    assert "newer than this program" in findings["store: ingest"]["said"]


async def test_name_of_a_standby_that_does_not_resolve_is_warned_of() -> None:
    """While the master answers nobody else asks for it."""

    async def serve(client: Client) -> None:
        await client.log_in()
        await client.serve()

    async with stomp_peer(serve) as peer:
        for hosts, verdict in ((f"{peer},no-such-host.invalid:61613", "warn"), (f"{peer},localhost:1", "ok")):
            probe = open_probe(f"stomp://operator:x@{hosts}")
            assert probe is not None
            await probe.connect()
            (finding,) = await examine_names(probe)
            await probe.close()
            assert verdict == finding.verdict
            assert ("no-such-host.invalid:61613: its name does not resolve" in finding.said) == (verdict == "warn")

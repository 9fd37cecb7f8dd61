"""All laws at once: a short, seeded selection of random faults on a whole mesh; the checker finds nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_faults.checker import check
from reefmesh_faults.report import Report
from reefmesh_faults.run import Run, Settings

QUICK = Settings(seed=27, faults=9, spacing_seconds=1.5, reefs=20, messages_per_second=25.0, readings=2000)
SEPARATE = (
    "kill",
    "terminate",
    "pause",
    "broker_kill",
    "broker_nameless",
    "store_kill",
    "store_failover",
    "purge",
    "pooler_servers_reset",
    "log_stall",
    "silent_both",
    "scale_in",
)
SEPARATE_SEED, SEPARATE_FAULTS = 478, 10
"""A plan with all of ``OF_INCIDENTS``, whose purge takes what devices sent: nobody waits for that for longer than 5 s."""
RABBITMQ = ("kill", "pause", "scale_in", "silent_both", "purge", "broker_kill", "broker_alarm", "broker_pause")
RABBITMQ_SEED, RABBITMQ_FAULTS = 185, 9
"""A plan that has each kind which a test asks for."""
OF_INCIDENTS = {"broker_nameless", "store_failover", "purge", "pooler_servers_reset", "log_stall"}


async def suffered(run: Run) -> Report:
    try:
        return await run.run()
    except ComponentMissing as missing:
        give_up(missing)


@pytest.mark.ci
@pytest.mark.timeout(600)
async def test_separate_processes_on_activemq_and_postgresql_under_random_faults_break_no_law(tmp_path: Path) -> None:
    """And a purge that the checker is not told of is found."""
    settings = replace(QUICK, seed=SEPARATE_SEED, faults=SEPARATE_FAULTS, kinds=SEPARATE)
    run = Run(settings, tmp_path / "home")
    report = await suffered(run)
    assert [] == report.findings
    assert settings.faults == report.faults
    assert settings.readings <= report.readings
    if report.left_out:
        return  # no PgBouncer, as the end of the run says: then the seed has another plan
    assert OF_INCIDENTS | {"kill", "store_kill"} <= report.faults_by_kind.keys()
    assert report.did["store_failover: promotions"] == 1
    assert report.did["broker_nameless: look-ups while the name was away"] > 0
    assert report.did["purge: messages of ingest@reef.telemetry"] > 0
    assert {"nothing lost"} == {each.law for each in check(replace(run.history, purged=())) if each.law != "gaps counted"}


@pytest.mark.rabbitmq
@pytest.mark.timeout(900)
async def test_separate_processes_on_rabbitmq_under_random_faults_of_it_break_no_law(tmp_path: Path) -> None:
    settings = replace(QUICK, engine="rabbitmq", seed=RABBITMQ_SEED, faults=RABBITMQ_FAULTS, kinds=RABBITMQ)
    report = await suffered(Run(settings, tmp_path / "home"))
    assert [] == report.findings
    assert settings.readings <= report.readings
    assert {"kill", "broker_kill", "broker_alarm", "broker_pause", "silent_both", "purge"} <= report.faults_by_kind.keys()


@pytest.mark.ci
@pytest.mark.timeout(400)
async def test_mesh_in_one_process_on_embedded_broker_and_sqlite_under_random_faults_breaks_no_law(tmp_path: Path) -> None:
    report = await suffered(Run(replace(QUICK, engine="embedded", store="sqlite", faults=7), tmp_path / "home"))
    assert [] == report.findings
    assert 7 == report.faults
    assert {"kill", "pause"} <= report.faults_by_kind.keys()

"""All laws at once: a short, seeded selection of random faults on a whole mesh; the checker finds nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_faults.report import Report
from reefmesh_faults.run import Run, Settings

QUICK = Settings(seed=27, faults=9, spacing_seconds=1.5, reefs=20, messages_per_second=25.0, readings=2000)
SEPARATE = ("kill", "terminate", "pause", "broker_kill", "store_kill", "reset", "silent_both", "split", "scale_in")


async def suffered(settings: Settings, home: Path) -> Report:
    try:
        return await Run(settings, home).run()
    except ComponentMissing as missing:
        give_up(missing)


@pytest.mark.timeout(400)
async def test_separate_processes_on_activemq_and_postgresql_under_random_faults_break_no_law(tmp_path: Path) -> None:
    report = await suffered(replace(QUICK, kinds=SEPARATE), tmp_path / "home")
    assert [] == report.findings
    assert QUICK.faults == report.faults
    assert QUICK.readings <= report.readings
    assert {"kill", "broker_kill", "store_kill"} <= report.faults_by_kind.keys()


@pytest.mark.timeout(400)
async def test_mesh_in_one_process_on_embedded_broker_and_sqlite_under_random_faults_breaks_no_law(tmp_path: Path) -> None:
    report = await suffered(replace(QUICK, engine="embedded", store="sqlite", faults=7), tmp_path / "home")
    assert [] == report.findings
    assert 7 == report.faults
    assert {"kill", "pause"} <= report.faults_by_kind.keys()

"""Where a message's CPU goes: what a stack is put down to, that the sum is the CPU of the process, and the table of it."""

import asyncio
import hashlib
import signal
import sys
import time
from pathlib import Path

import pytest

BENCH = Path(__file__).parent
sys.path.insert(0, str(BENCH))  # the benchmarks are scripts beside each other, no package

import cpu_by_stage  # noqa: E402 - found by the line above
from cpu_by_stage import Spent, cells_of, markdown, publish_all  # noqa: E402 - likewise
from cpu_sampler import LOOP, PLACES, REST, STAGES, THREADS, WORK, CpuSampler, service_of, stage_of  # noqa: E402 - likewise
from published_section import MarkerMissing, begin_of, end_of  # noqa: E402 - likewise


@pytest.mark.parametrize(
    ("modules", "stage"),
    [
        (["reefmesh_scoring.domain.heat", "reefmesh_scoring.handler", "reefmesh.service.attempt"], WORK),
        (["json.encoder", "reefmesh_scoring.handler"], "reading and writing messages"),
        (["reefmesh.store.sqlite", "reefmesh_scoring.tables", "reefmesh.service.worker"], "database"),
        (["asyncio.streams", "reefmesh.broker.activemq.session", "asyncio.events"], "broker client"),
        (["structlog._base", "reefmesh.service.worker"], "metrics and logs"),
        (["asyncio.tasks", "reefmesh.service.lane_loop"], "order, retries, unit of work"),
        (["selectors", "asyncio.base_events", "asyncio.runners", "reefmesh.service.command"], LOOP),
        (["reefmesh_ingestion", "loader"], LOOP),
        ([], LOOP),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_stack_is_put_down_to_the_innermost_place_that_has_a_stage(modules: list[str], stage: str) -> None:
    assert stage == stage_of(modules)


def test_every_stage_of_a_place_is_in_the_picture() -> None:
    assert {stage for _, stage in PLACES} | {LOOP, THREADS} == set(STAGES)


def test_lane_belongs_to_the_service_of_its_subscription() -> None:
    assert "scoring" == service_of("scoring@reef.readings/3")
    assert REST == service_of("shared transactions")


def busy(seconds: float) -> None:
    """Use so much CPU of this thread."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        hashlib.sha256(b"x" * 10_000).digest()


async def test_sum_of_the_stages_is_the_cpu_of_the_process() -> None:
    before = time.process_time()
    with CpuSampler() as sampler:
        await asyncio.create_task(in_a_lane(), name="scoring@reef.readings/0")
        await asyncio.to_thread(busy, 0.2)
    spent = time.process_time() - before
    assert sampler.samples > 10
    assert spent == pytest.approx(sum(sampler.nanoseconds.values()) / 1e9, abs=0.1)
    assert sampler.nanoseconds["scoring", LOOP] / 1e9 == pytest.approx(0.3, abs=0.1)
    assert sampler.nanoseconds[REST, THREADS] / 1e9 == pytest.approx(0.2, abs=0.1)


async def in_a_lane() -> None:
    busy(0.3)


def test_sampler_that_was_stopped_asks_nothing_more() -> None:
    with CpuSampler() as sampler:
        busy(0.05)
    samples = sampler.samples
    busy(0.05)
    assert samples == sampler.samples
    assert (0.0, 0.0) == signal.getitimer(signal.ITIMER_PROF)


FOUND = (
    Spent(place="ActiveMQ: ingest", microseconds=300.0, stages={WORK: 200.0, LOOP: 100.0}),
    Spent(place="ActiveMQ: the broker", microseconds=700.0, stages={}),
)


def test_table_has_a_row_for_each_stage_that_took_anything_and_the_sum() -> None:
    assert [(WORK, "200", ""), (LOOP, "100", ""), ("together", "300", "700")] == cells_of(FOUND)
    assert "| stage | ActiveMQ: ingest | ActiveMQ: the broker |" in markdown(FOUND)


def test_picture_and_table_are_published_into_the_page(tmp_path: Path) -> None:
    page = tmp_path / "docs/performance.md"
    page.parent.mkdir()
    page.write_text(f"{begin_of('cpu-by-stage')}{end_of('cpu-by-stage')}", encoding="utf-8")
    publish_all(FOUND, "2026-12-01", root=tmp_path)
    assert "![CPU of a message by stage](pictures/cpu-by-stage.svg)" in page.read_text(encoding="utf-8")
    assert (tmp_path / "docs/pictures/cpu-by-stage.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_page_without_a_place_for_the_picture_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/performance.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(MarkerMissing, match=r"performance\.md: no part 'cpu-by-stage'"):
        publish_all(FOUND, "2026-12-01", root=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--engines", "activmq"], "--engines: no activmq; there are embedded, activemq, rabbitmq"),
        (["--turns", "0"], "--turns is at least 1"),
        (["--publish", "--quick"], "--publish takes a whole run"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistake_in_the_options_is_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cpu_by_stage.main(arguments)
    assert says in capsys.readouterr().err.splitlines()[-1]

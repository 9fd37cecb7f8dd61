"""The comparison's report: ratios, the limit of time, the tuning that is kept, what is published, and mistakes in options."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parent
sys.path.insert(0, str(BENCH))  # the benchmarks are scripts beside each other, no package

import comparison  # noqa: E402 - found by the line above
from candidate import MESH_PROMISES, PLAIN_PROMISES, Candidate, Extent, Outcome, candidates  # noqa: E402 - likewise
from comparison_table import cells_of, markdown  # noqa: E402 - likewise
from measured_row import LEAST_SECONDS, Budget, Row, Rows, measured, ratios  # noqa: E402 - likewise
from plain_tuning import Shape, Trial, Tuning, best_of, read_tuning, write_tuning  # noqa: E402 - likewise
from published_section import MarkerMissing, begin_of, end_of, replaced  # noqa: E402 - likewise
from throughput import Sustained  # noqa: E402 - likewise


def row(name: str, engine: str, *, per_second: float, microseconds: float = 1000.0, plain: bool = False) -> Row:
    return Row(
        name=name,
        engine=engine,
        plain=plain,
        on="" if engine == "embedded" else f"{engine} 1.0",
        promises=PLAIN_PROMISES if plain else MESH_PROMISES,
        per_second=per_second,
        services_microseconds=microseconds,
        broker_microseconds=None if engine == "embedded" else 500.0,
        load_average=0.5,
        rounds=(per_second,),
    )


ROWS = (
    row("reefmesh embedded", "embedded", per_second=900),
    row("reefmesh on rabbitmq", "rabbitmq", per_second=800, microseconds=2500.0),
    row("plain rabbitmq", "rabbitmq", per_second=400, plain=True),
    row("plain rabbitmq, slower", "rabbitmq", per_second=200, plain=True),
    row("plain activemq", "activemq", per_second=300, plain=True),
)


def test_ratios_are_to_the_fastest_plain_pipeline_on_the_same_broker() -> None:
    found = ratios(ROWS)
    assert (2.0, 2.0) == (found["reefmesh on rabbitmq"].rate, found["reefmesh on rabbitmq"].cpu)
    assert 0.5 == found["plain rabbitmq, slower"].rate
    assert 1.0 == found["plain activemq"].rate


def test_embedded_mesh_is_compared_with_the_fastest_plain_pipeline_of_all() -> None:
    assert 900 / 400 == ratios(ROWS)["reefmesh embedded"].rate


def test_row_without_anything_to_compare_with_has_no_ratio() -> None:
    assert {} == ratios(ROWS[:2])
    assert ("reefmesh embedded", "900", "900", "", "1,000 us", "in the services", "") == cells_of(ROWS[:2])[0]


def test_markdown_says_of_each_promise_who_makes_it() -> None:
    assert "| who spoke is checked | yes | no |" in markdown((ROWS[1], ROWS[2]), promises=True)
    assert "who spoke is checked" not in markdown(ROWS, promises=False)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_what_is_left_of_the_time_is_shared_by_those_that_are_still_to_be_measured() -> None:
    clock = Clock()
    budget = Budget(300.0, clock=clock)
    assert 30.0 == budget.extent(Extent(), still=2).seconds
    clock.seconds = 200.0
    assert 20.0 == budget.extent(Extent(), still=2).seconds
    clock.seconds = 299.0
    assert LEAST_SECONDS == budget.extent(Extent(), still=2).seconds


async def good(_: Extent) -> Outcome:
    return Outcome(sustained=Sustained(per_second=10.0, cpu_seconds={"one": 0.001, "broker": 0.002}), on="broker 1")


async def losing(_: Extent) -> Outcome:
    raise RuntimeError("2 faults: reef-1: 3 came where 2 was due")


async def hanging(_: Extent) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


async def measured_of(*measures: Any, seconds: float = 60.0, rounds: int = 1) -> tuple[Rows, list[Rows]]:
    kept: list[Rows] = []
    chosen = [
        Candidate(name=each.__name__, engine="rabbitmq", plain=True, promises=PLAIN_PROMISES, measure=each) for each in measures
    ]
    rows = await measured(chosen, extent=Extent(), budget=Budget(seconds), kept=kept.append, rounds=rounds)
    return rows, kept


async def test_pipeline_that_lost_a_message_has_no_row_and_is_named_and_the_others_are_measured() -> None:
    rows, kept = await measured_of(losing, good)
    assert ["good"] == [each.name for each in rows.rows]
    assert (1000.0, 2000.0) == (rows.rows[0].services_microseconds, rows.rows[0].broker_microseconds)
    assert {"losing": "2 faults: reef-1: 3 came where 2 was due"} == rows.missing
    assert 2 == len(kept)  # after each one, so that an end by hand loses nothing


async def test_second_round_goes_back_from_the_last_to_the_first_and_the_better_one_counts() -> None:
    rates = iter((10.0, 5.0, 7.0, 20.0))

    async def one(_: Extent) -> Outcome:
        return Outcome(sustained=Sustained(per_second=next(rates), cpu_seconds={}))

    async def other(_: Extent) -> Outcome:
        return await one(_)

    rows, kept = await measured_of(one, other, rounds=2)
    assert [(20.0, (10.0, 20.0)), (7.0, (5.0, 7.0))] == [(each.per_second, each.rounds) for each in rows.rows]
    assert 4 == len(kept)


async def test_fault_in_a_later_round_is_named_though_there_is_a_row() -> None:
    faults = iter((None, "2 faults"))

    async def once(_: Extent) -> Outcome:
        if (fault := next(faults)) is not None:
            raise RuntimeError(fault)
        return await good(_)

    rows, _ = await measured_of(once, rounds=2)
    assert {"once": "2 faults"} == rows.missing
    assert 1 == len(rows.rows)


async def test_run_ends_at_its_limit_of_time_and_says_what_it_did_not_measure() -> None:
    rows, _ = await measured_of(hanging, good, seconds=0.05)
    assert {"hanging", "good"} == set(rows.missing)
    assert "the time of the run was up" == rows.missing["hanging"]


TRIALS = (
    Trial(pipeline="rabbitmq, shared commits", shape=Shape(width=8, prefetch=1), per_second=100.0),
    Trial(pipeline="rabbitmq, shared commits", shape=Shape(width=32, prefetch=8), per_second=300.0),
    Trial(pipeline="rabbitmq, shared commits", shape=Shape(width=64, prefetch=8), per_second=200.0),
)


def test_best_shape_of_a_pipeline_is_kept_for_the_runs_after_it(tmp_path: Path) -> None:
    assert {"rabbitmq, shared commits": Shape(width=32, prefetch=8)} == best_of(TRIALS)
    write_tuning(TRIALS, found="then", file=tmp_path / "tuning.json")
    tuning = read_tuning(tmp_path / "tuning.json")
    assert "then" == tuning.found
    assert Shape(width=32, prefetch=8) == tuning.shape_of("rabbitmq", shared_commits=True)
    assert Shape() == tuning.shape_of("activemq", shared_commits=True)


def test_without_a_tuning_every_pipeline_has_the_usual_shape(tmp_path: Path) -> None:
    assert Tuning(best={}) == read_tuning(tmp_path / "none.json")


def test_published_text_takes_the_place_of_the_one_before() -> None:
    page = f"before\n{begin_of('x')}\nold\n{end_of('x')}\nafter\n"
    once = replaced(page, "x", "new")
    assert once == replaced(once, "x", "new")
    assert f"before\n{begin_of('x')}\n\nnew\n\n{end_of('x')}\nafter\n" == once


@pytest.mark.parametrize("page", ["", begin_of("x"), end_of("x") + begin_of("x"), 2 * (begin_of("x") + end_of("x"))], ids=str)
def test_page_without_a_place_for_it_is_left_alone(page: str) -> None:
    with pytest.raises(MarkerMissing, match="no part 'x'"):
        replaced(page, "x", "new")


def recorded(tmp_path: Path, **changed: object) -> Path:
    run = {
        "title": "2026-12-01, two cores",
        "tuned": "not tuned",
        "load_average_before": 0.1,
        "rows": [{name: getattr(each, name) for name in Row.__slots__} for each in ROWS],
        "missing": {},
        "whole": True,
        **changed,
    }
    file = tmp_path / "run.json"
    file.write_text(json.dumps(run), encoding="utf-8")
    return file


def test_run_on_record_is_published_with_its_date_machine_and_load(tmp_path: Path) -> None:
    (tmp_path / "docs/pictures").mkdir(parents=True)
    for page in ("README.md", "docs/performance.md"):
        (tmp_path / page).write_text(f"{begin_of('bench-all')}{end_of('bench-all')}", encoding="utf-8")
    run = comparison.Run.of_json(json.loads(recorded(tmp_path).read_text(encoding="utf-8")))
    comparison.publish_all(run, root=tmp_path)
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "Measured 2026-12-01, two cores; rabbitmq 1.0, activemq 1.0; load average 0.1 before, 0.5 to 0.5" in readme
    assert "| reefmesh on rabbitmq | 800 | 800 | 2.00 | 2,500 us | 500 us | 2.00 |" in readme
    page = (tmp_path / "docs/performance.md").read_text(encoding="utf-8")
    assert "![rates and CPU of the pipelines](pictures/bench-all.svg)" in page
    assert (tmp_path / "docs/pictures/bench-all.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_run_that_is_not_whole_is_not_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = recorded(tmp_path, whole=False, missing={"plain": "the time of the run was up"})
    assert 0 != comparison.main(["--publish", "--from", str(file)])
    captured = capsys.readouterr()
    assert "not published" in captured.err
    assert "not measured: plain: the time of the run was up" in captured.out


def test_pages_have_a_place_for_what_is_published() -> None:
    root = BENCH.parents[1]
    for page, name in (
        ("README.md", "bench-all"),
        ("docs/performance.md", "bench-all"),
        ("docs/performance.md", "cpu-by-stage"),
    ):
        replaced((root / page).read_text(encoding="utf-8"), name, "anything")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--publish", "--quick"], "--publish takes a whole run"),
        (["--only", "kafka"], "--only kafka: in no name; there are: reefmesh embedded"),
        (["--from", "nowhere.json"], "there is no file nowhere.json"),
        (["--minutes", "0"], "are above 0"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistake_in_the_options_is_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        comparison.main(arguments)
    assert 2 == exit_info.value.code
    assert says in capsys.readouterr().err.splitlines()[-1]


def test_every_engine_and_four_plain_pipelines_are_compared() -> None:
    found = candidates(Tuning(best={}))
    assert ["embedded", "activemq", "rabbitmq"] == [each.engine for each in found if not each.plain]
    assert 4 == len([each for each in found if each.plain])

"""``reefmesh advise``: what it reads from pages, Prometheus and files, what it says, and what it refuses in one line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from reefmesh.errors import ConfigurationError, TransientError
from reefmesh_components.command_in_process import CommandInProcess
from reefmesh_standalone.advising.advice import ServiceAdvice, advise
from reefmesh_standalone.advising.measurement import MeshMeasurement
from reefmesh_standalone.advising.measuring import quantile_bound, variation
from reefmesh_standalone.advising.series import ObservedSeries, ScrapedSeries
from reefmesh_standalone.advising.sources import from_file, from_pages, from_prometheus
from reefmesh_standalone.advising.wording import sentences

QUEUE = "scoring.reef.readings"


def page(
    *, handled: int, released: int = 0, waiting: int = 0, cpu: float = 0.0, lanes: int = 8, services: str = "scoring"
) -> str:
    """A metrics page of a service whose every message took 30 ms, 10 of them for the broker."""
    labels = f'service="{services}",subscription="{QUEUE}"'
    return f"""# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total {cpu}
# TYPE reefmesh_lanes gauge
reefmesh_lanes{{{labels}}} {lanes}
# TYPE reefmesh_reefs_cached gauge
reefmesh_reefs_cached{{{labels}}} 50
# TYPE reefmesh_messages_waiting gauge
reefmesh_messages_waiting{{{labels}}} {waiting}
# TYPE reefmesh_messages_handled_total counter
reefmesh_messages_handled_total{{{labels},outcome="handled"}} {handled - 1}
reefmesh_messages_handled_total{{{labels},outcome="parked"}} 1
reefmesh_messages_handled_total{{{labels},outcome="released"}} {released}
# TYPE reefmesh_handling_seconds histogram
reefmesh_handling_seconds_bucket{{{labels},le="0.025"}} 0
reefmesh_handling_seconds_bucket{{{labels},le="0.05"}} {handled}
reefmesh_handling_seconds_bucket{{{labels},le="+Inf"}} {handled}
reefmesh_handling_seconds_sum{{{labels}}} {handled * 0.03}
reefmesh_handling_seconds_count{{{labels}}} {handled}
# TYPE reefmesh_publish_seconds histogram
reefmesh_publish_seconds_sum{{{labels}}} {handled * 0.01}
# TYPE reefmesh_store_commits_total counter
reefmesh_store_commits_total{{service="scoring"}} {handled}
# TYPE reefmesh_store_commit_seconds_total counter
reefmesh_store_commit_seconds_total{{service="scoring"}} {handled * 0.001}
"""


class Clock:
    """Time passes when somebody waits."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return self.seconds

    async def pause(self, seconds: float) -> None:
        self.seconds += seconds


def serving(pages: Mapping[str, list[str]]) -> httpx.AsyncClient:
    """A client to hosts that answer with one page after the other."""
    return httpx.AsyncClient(
        transport=httpx.MockTransport(lambda request: httpx.Response(200, text=pages[request.url.host].pop(0)))
    )


async def looked(pages: Mapping[str, list[str]], *, seconds: float = 10) -> MeshMeasurement:
    clock = Clock()
    async with serving(pages) as http:
        return await from_pages(http, list(pages), seconds=seconds, now=clock.now, pause=clock.pause)


async def test_two_looks_at_two_pages_give_rates_seconds_lanes_and_cpu() -> None:
    measured = await looked(
        {
            "one": [page(handled=100, waiting=50, cpu=3), page(handled=400, released=7, waiting=150, cpu=6)],
            "two": [page(handled=10, waiting=50, cpu=1), page(handled=110, waiting=150, cpu=3)],
        }
    )
    (service,) = measured.services
    (found,) = service.subscriptions
    assert ("scoring", 2, 10.0) == (service.name, service.tasks, measured.seconds)
    assert (400, 500, 150) == (found.handled_messages, found.arrived_messages, found.waiting_messages)
    assert (16, 100, 0.75) == (found.lanes, found.reefs, found.busiest_task_share)
    assert pytest.approx(0.03) == found.mean_seconds
    assert pytest.approx(0.01) == found.publish_seconds
    assert 5 == service.cpu_seconds
    assert pytest.approx(0.4) == service.commit_seconds


async def test_process_that_was_restarted_between_the_looks_is_counted_from_zero() -> None:
    measured = await looked({"one": [page(handled=500), page(handled=200)]})
    (found,) = measured.services[0].subscriptions
    assert 199 == found.handled_messages  # the one that was parked before and the one after look like none


async def test_process_of_several_services_has_its_cpu_apart() -> None:
    both = [
        page(handled=each, cpu=cpu) + page(handled=each, services="alerts").partition("\n")[2].partition("\n")[2]
        for each, cpu in ((0, 0), (100, 9))
    ]
    measured = await looked({"one": both})
    assert ["alerts", "scoring"] == [each.name for each in measured.services]
    assert [None, None, 9] == [*(each.cpu_seconds for each in measured.services), measured.shared_cpu_seconds]
    advice = advise(measured, latency_seconds=1)
    assert (0.9, "cpu", True) == (advice.shared_cpu_share, advice.services[0].bound, advice.change_needed)


async def test_too_little_traffic_is_said() -> None:
    with pytest.raises(TransientError, match=r"at most 29 messages .* fewer than 30 say nothing"):
        await looked({"one": [page(handled=100), page(handled=129)]})


@pytest.mark.parametrize("text", ["<html>", "", "up 1\n", "process_cpu_seconds_total 3\n", 'reefmesh_lanes{service="x" 1\n'])
async def test_page_without_metrics_of_reefmesh_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no metrics page of a reefmesh service"):
        await looked({"one": [text]})


async def test_prometheus_is_asked_once_and_its_samples_are_taken_at_their_own_instants() -> None:
    asked: list[str] = []
    labels = {"service": "scoring", "subscription": QUEUE, "job": "scoring", "instance": "a:8080"}

    def series(name: str, *values: float, **more: str) -> dict[str, Any]:
        points = [[1000.0 + 15 * place, str(value)] for place, value in enumerate(values)]
        return {"metric": {"__name__": name} | labels | more, "values": points}

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(parse_qs(request.content.decode())["query"][0])
        result = [
            series("reefmesh_lanes", 8, 8, 8),
            series("reefmesh_reefs_cached", 20, 20, 30),
            series("reefmesh_messages_handled_total", 100, 160, 40, outcome="handled"),
            series("reefmesh_handling_seconds_sum", 10, 16, 4),
            series("reefmesh_handling_seconds_count", 100, 160, 40),
            series("process_cpu_seconds_total", 5, 6, 7),
            series("process_cpu_seconds_total", 0, 500, 1000, job="prometheus", instance="p:9090"),
        ]
        return httpx.Response(200, json={"status": "success", "data": {"result": result}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        measured = await from_prometheus(http, "prometheus:9090", seconds=300)
    (service,) = measured.services
    assert (30.0, 2) == (measured.seconds, service.cpu_seconds)
    assert (100, 30) == (service.subscriptions[0].handled_messages, service.subscriptions[0].reefs)
    assert asked[0].startswith('{__name__=~"reefmesh_lanes|')
    assert asked[0].endswith("[300s]")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<html>", "does not answer as Prometheus does"),
        ("[]", "does not answer as Prometheus does"),
        ('{"status": "success", "data": {"result": []}}', "has no metrics of reefmesh"),
    ],
)
async def test_answer_that_is_not_prometheus_or_has_no_reefmesh_is_refused(body: str, said: str) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, text=body))) as http:
        with pytest.raises(ConfigurationError, match=said):
            await from_prometheus(http, "http://prometheus:9090/", seconds=60)


def test_gauge_counts_the_processes_that_run() -> None:
    labels = {"service": "scoring"}
    gone = ScrapedSeries(name="g", process="gone", labels=labels, points=((0.0, 1.0),))
    here = ScrapedSeries(name="g", process="here", labels=labels, points=((0.0, 2.0), (90.0, 3.0)))
    assert [3.0] == ObservedSeries([gone, here]).now("g", service="scoring")


def test_variation_and_quantile_of_buckets() -> None:
    """Evenly spread over 0 to 1 the squared coefficient of variation is a third."""
    assert pytest.approx(1 / 3) == variation([(1.0, 10.0), (float("inf"), 10.0)])
    assert 1.0 == variation([])
    spread = [(0.1, 98.0), (0.5, 99.5), (float("inf"), 100.0)]
    assert [0.1, 0.5, None] == [quantile_bound(spread, share) for share in (0.5, 0.99, 0.999)]


def measured_of(**changes: Any) -> MeshMeasurement:
    """Scoring with two tasks of 10 lanes, 100 messages/s of 100 ms each from 200 reefs over 10 s; changed so."""
    of_service = {name: changes.pop(name) for name in ("tasks", "cpu_seconds", "commit_seconds") if name in changes}
    subscription = {
        "name": QUEUE, "handled_messages": 1000, "mean_seconds": 0.1, "lanes": 20, "reefs": 200, "waiting_messages": 0,
    } | changes  # fmt: skip
    service = {"name": "scoring", "tasks": 2, "cpu_seconds": 8.0, "subscriptions": [subscription]} | of_service
    return MeshMeasurement.model_validate_json(json.dumps({"source": "a test", "seconds": 10, "services": [service]}))


def advised(**changes: Any) -> ServiceAdvice:
    return advise(measured_of(**changes), latency_seconds=2).services[0]


@pytest.mark.parametrize(
    ("bound", "changes"),
    [
        ("nothing", {}),
        ("reef", {"hottest_share": 0.09}),
        ("cpu", {"cpu_seconds": 17.0}),
        ("database", {"commit_seconds": 17.0}),
        ("broker", {"lanes": 12, "publish_seconds": 0.06}),
        ("reefs", {"reefs": 12}),
        ("lanes", {"lanes": 12}),
        ("unknown", {"handled_messages": 20}),
    ],
)
def test_bound_is_what_is_in_use_most_of_the_time(bound: str, changes: dict[str, Any]) -> None:
    assert bound == advised(**changes).bound


def test_tasks_are_advised_for_cpu_and_for_lanes() -> None:
    assert 2 == advised().tasks_advised
    assert 3 == advised(cpu_seconds=20.0).tasks_advised  # 2 cores, 0.7 of one a task
    assert 4 == advised(cpu_seconds=20.0, arrived_messages=1300).tasks_advised  # 1.3 times as much comes in as was handled
    assert 4 == advised(mean_seconds=0.3).tasks_advised  # 30 in hand at once
    assert advised(mean_seconds=0.3, hottest_share=0.05).tasks_advised is None


def test_backlog_takes_what_the_spare_capacity_needs() -> None:
    """20 lanes and 100 ms are 200 messages/s, 1 core for 125 messages/s and task 250."""
    (found,) = advised(waiting_messages=500).subscriptions
    assert pytest.approx(200) == found.capacity_per_second
    assert pytest.approx(5) == found.backlog_gone_in_seconds
    assert advised(waiting_messages=500, arrived_messages=2100).subscriptions[0].backlog_gone_in_seconds is None


def test_words_say_who_does_what_and_by_how_much() -> None:
    measured = measured_of(mean_seconds=0.3, waiting_messages=900, busiest_task_share=0.9)
    said = "\n".join(sentences(advise(measured, latency_seconds=2), measured))
    assert "scoring: 2 tasks. Run 4, 2 more." in said
    assert "Lanes are the bound" in said
    assert "100/s come in, 100/s are handled, about 67/s could be; 300 ms each, so 30.0 in hand at once." in said
    assert "p99 without end" in said
    assert "900 messages wait; they never get fewer." in said
    assert "One task handles 90%" in said


@pytest.fixture
def command(tmp_path: Path) -> CommandInProcess:
    return CommandInProcess(home=tmp_path / "home")


def test_json_is_a_file_to_advise_from(command: CommandInProcess, tmp_path: Path) -> None:
    file = tmp_path / "measured.json"
    file.write_text(measured_of(mean_seconds=0.3).model_dump_json())
    first = command("advise", "--from", file, "--json")
    assert (1, "") == (first.code, first.err)
    file.write_text(first.out)
    assert first.document == command("advise", "--from", file, "--json").document
    assert from_file(file) == measured_of(mean_seconds=0.3)
    hot = command("advise", "--from", file, "--hottest-share", "0.05")
    assert 1 == hot.code
    assert "No number of tasks keeps the wanted latency" in hot.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--latency", "soon"), 78, "--latency 'soon' is no time up to a day; write it like 500ms, 2s, 5m or 1h"),
        (("--prometheus", "a", "--metrics", "b"), 78, "are three sources; give one of them"),
        (("--metrics", "http://127.0.0.1:1/metrics"), 75, "http://127.0.0.1:1/metrics does not answer"),
        (("--prometheus", "ftp://x"), 78, "'ftp://x' is no address of a page"),
        (("--from", "nowhere.json"), 78, "nowhere.json cannot be read"),
    ],
)
def test_mistake_is_one_line(command: CommandInProcess, arguments: tuple[str, ...], code: int, said: str) -> None:
    ended = command("advise", *arguments)
    assert (code, "") == (ended.code, ended.out), ended.err
    assert said in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no", "is no JSON"),
        ("[]", "the document must be"),
        ('{"source": "x", "seconds": 0, "services": []}', "seconds must be"),
        ('{"source": "x", "seconds": 1, "services": [], "more": 1}', "services"),
    ],
)
def test_file_that_is_no_measurement_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "file.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        from_file(file)

"""The matrix: its scenarios, the shape of its figures, what it finds wrong, its page, and a short run of it."""

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parent
sys.path.insert(0, str(BENCH))  # the benchmarks are scripts beside each other, no package

import matrix  # noqa: E402 - found by the line above
from latencies import Latencies  # noqa: E402 - likewise
from matrix_engine import Embedded, shards_for  # noqa: E402 - likewise
from matrix_report import report  # noqa: E402 - likewise
from matrix_result import VIEWED, Cpu, Meter, Result, Sample  # noqa: E402 - likewise
from matrix_run import NUMBER, SENT, Course, run_scenario, subscriptions_of  # noqa: E402 - likewise
from matrix_scenario import MATRICES, Scenario  # noqa: E402 - likewise
from reefmesh.broker.embedded.engine import EmbeddedBroker  # noqa: E402 - likewise
from reefmesh.broker.embedded.url import EmbeddedAddress  # noqa: E402 - likewise
from reefmesh.broker.port import Broker, Publication, PublishRefused  # noqa: E402 - likewise
from reefmesh.clock import SystemClock  # noqa: E402 - likewise
from reefmesh.contracts.envelope import Envelope  # noqa: E402 - likewise
from svg_chart import Chart, bars, lines  # noqa: E402 - likewise

PARAMETERS_OF_THE_VIEWER = {
    "group",
    "mode",
    "persistent",
    "message_size",
    "tx_size",
    "selector_complexity",
    "destination_count",
    "consumers",
    "producers",
}
ALONE = Scenario(group="throughput")


def message(number: int, *, reef: str = "reef-0-0") -> Envelope:
    return Envelope(
        event_id=f"{reef}-{number}",
        reef_id=reef,
        schema_id="bench/1",
        produced_at=datetime.now(UTC),
        body=b"x",
        headers={SENT: str(time.monotonic_ns()), NUMBER: str(number)},
    )


def course(*numbers: int, published: int) -> Course:
    """A course of which these came."""
    made = Course(ALONE, stuck_seconds=0.01)
    (subscription,) = subscriptions_of(ALONE, "t")
    made.published(published)
    for number in numbers:
        made.came(subscription, message(number), slow=False)
    return made


@pytest.mark.parametrize("kind", MATRICES)
def test_no_scenario_is_in_a_matrix_twice(kind: str) -> None:
    names = [scenario.name for scenario in MATRICES[kind].scenarios()]
    assert len(names) == len(set(names))


def test_whole_matrix_has_every_scenario_of_the_issue() -> None:
    scenarios = list(MATRICES["1"].scenarios())
    groups = {scenario.group for scenario in scenarios}
    assert {"throughput", "latency", "slow_consumer", "queue_staging", "confirmed_together"} == groups
    throughput = [scenario for scenario in scenarios if scenario.group == "throughput"]
    assert {("queue", True), ("queue", False), ("topic", True), ("topic", False)} == {
        (scenario.mode, scenario.persistent) for scenario in throughput
    }
    assert {10, 100, 1000, 100_000, 10_000_000} == {scenario.message_bytes for scenario in throughput}
    assert {0, 10, 100} == {scenario.tx_size for scenario in throughput}
    shapes = {(scenario.producers, scenario.consumers, scenario.destinations) for scenario in throughput}
    assert {(1, 1, 1), (10, 10, 1), (10, 1, 1), (1, 10, 1), (10, 10, 10)} == shapes


def test_throughput_has_the_parameters_that_the_viewer_looks_for() -> None:
    assert PARAMETERS_OF_THE_VIEWER == set(ALONE.parameters)


def test_consumers_of_a_queue_share_a_subscription_and_those_of_a_topic_have_one_each() -> None:
    queue = Scenario(group="throughput", mode="queue", consumers=4, producers=4, destinations=2)
    assert 2 == len(set(subscriptions_of(queue, "t")))
    topic = replace(queue, mode="topic")
    assert (4, 2) == (len(set(subscriptions_of(topic, "t"))), topic.copies)


def test_every_consumer_of_a_queue_can_have_a_shard() -> None:
    assert 8 == shards_for(ALONE)
    assert 16 == shards_for(Scenario(group="throughput", producers=10, consumers=10))
    assert 2 == shards_for(Scenario(group="throughput", mode="topic", consumers=10))


def test_percentiles_are_within_a_percent() -> None:
    latencies = Latencies()
    for milliseconds in range(1, 1001):
        latencies.add(milliseconds * 1_000_000)
    found = latencies.percentiles()
    assert {"p50": 500e6, "p90": 900e6, "p99": 990e6, "p99.9": 999e6} == pytest.approx(found, rel=0.011)
    assert 1_000_000_000 == latencies.percentile(1.0)
    assert {} == Latencies().percentiles()


def test_message_before_its_turn_ends_the_scenario() -> None:
    with pytest.raises(RuntimeError, match="reef-0-0: 2 came where 1 was due"):
        course(0, 2, published=3)


def test_repeat_is_counted_apart_and_is_no_message() -> None:
    made = course(0, 0, 1, published=2)
    assert (1, 2, 0) == (made.repeats, made.meter.consumed, made.missing)


async def test_message_that_never_comes_ends_the_scenario() -> None:
    with pytest.raises(RuntimeError, match="1 of 3 messages did not come"):
        await course(0, 1, published=3).until_all_came()


def test_no_more_is_under_way_than_there_is_room_for() -> None:
    large = Scenario(group="throughput", message_bytes=10_000_000)
    made = Course(large)
    made.published(6)
    assert not made.has_room(1)
    assert Course(large).has_room(1)
    assert Course(Scenario(group="throughput", tx_size=100, message_bytes=10_000_000)).has_room(100)


class RefusingAtFirst(EmbeddedBroker):
    """Refuses its first publish."""

    publishes = 0

    async def publish(self, publications: Sequence[Publication]) -> None:
        self.publishes += 1
        if self.publishes == 1:
            raise PublishRefused("the store is full")
        await super().publish(publications)


class Refusing(Embedded):
    async def clients(self, scenario: Scenario, count: int) -> list[Broker]:
        first = RefusingAtFirst(EmbeddedAddress(), clock=SystemClock())
        clients: list[Broker] = [first, first.another_client()]
        for client in clients:
            await client.connect()
        return clients


async def test_refused_message_is_published_again_and_is_an_error_of_its_sample(tmp_path: Path) -> None:
    result = await run_scenario(Refusing(tmp_path), ALONE, MATRICES["tiny"], run="t")
    assert 1 == sum(sample.errors for sample in result.samples)
    assert result.meter.latencies.percentiles()


def test_figures_have_the_shape_that_the_viewer_reads() -> None:
    meter = Meter(collecting=True)
    meter.hear(2_000_000, slow=False)
    meter.produced = 1
    samples = [Sample.of(meter, 0.5), Sample.of(Meter(), 0.5)]
    result = Result(scenario=ALONE, samples=samples, meter=meter, cpu=Cpu(client=1.26, broker=None), repeats=0)
    document = json.loads(json.dumps(result.document()))
    assert ALONE.parameters == document["parameters"]
    assert {2} == {len(document[name]) for name in VIEWED}
    assert ([2, 0], [2, 0], [2_000_000, 0], [0, 0]) == tuple(document[name] for name in VIEWED[1:])
    assert {"p50", "p90", "p99", "p99.9"} == set(document["latency_nanoseconds"])
    assert (1.3, None) == (document["client_cpu_microseconds"], document["broker_cpu_microseconds"])


def test_viewer_is_given_all_of_its_fields_by_their_names() -> None:
    assert ("timestamp", "producer tp", "consumer tp", "max latency", "errors") == VIEWED


class Page(HTMLParser):
    """What a page is made of, and whether its elements are closed."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


def recorded() -> dict[str, Any]:
    samples = {"timestamp": [1000, 1500], "producer tp": [10, 20], "consumer tp": [12, 18], "errors": [0, 1]}
    figures = {**samples, "max latency": [3_000_000, 5_000_000], "latency_nanoseconds": {"p50": 1_000_000, "p99": 4_000_000}}
    kinds = {scenario.group: scenario for scenario in MATRICES["tiny"].scenarios()}.values()
    return {
        "benchmark_settings": {"broker_name": "broker <1>", "machine": "two & two cores"},
        "scenarios": [{"parameters": scenario.parameters, **figures} for scenario in (ALONE, *kinds)],
        "not_offered": [{"parameters": Scenario(group="throughput", tx_size=10).parameters, "why": "no transactions <here>"}],
        "not_measured": [],
    }


def test_page_is_one_file_that_fetches_nothing_and_runs_nothing() -> None:
    page = report([recorded()])
    parsed = Page(page)
    assert [] == parsed.open
    assert not {"script", "link", "img", "iframe", "object"} & set(parsed.tags)
    assert not {"src", "href", "xlink:href", "onload", "style"} & set(parsed.attributes)
    assert not re.search(r"https?:|url\(|@import", page)
    assert parsed.tags.count("svg") >= 8


def test_page_shows_what_was_measured_and_says_what_is_not_offered() -> None:
    parsed = Page(report([recorded()]))
    assert "broker <1>" in parsed.text
    assert "two & two cores" in parsed.text
    assert "not offered: no transactions <here>" in parsed.text
    assert "4.0 ms" in parsed.text


def test_page_of_several_brokers_has_a_table_of_each() -> None:
    other = {**recorded(), "benchmark_settings": {"broker_name": "another"}}
    assert 2 == Page(report([recorded(), other])).tags.count("table")


def test_bar_that_is_not_there_says_so_and_is_no_zero() -> None:
    chart = bars(Chart(title="t", unit="u"), ["a", "b"], {"one": [5.0, None]})
    parsed = Page(chart)
    assert "one: no figure, see the table" in parsed.text
    assert 2 == parsed.tags.count("rect")  # the one bar, and the legend's


def test_chart_without_anything_says_so() -> None:
    assert "nothing was measured" in lines(Chart(title="t", unit="u"), {"one": [(0.0, 0.0)]}, logarithmic=True)


def test_word_that_is_no_matrix_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        matrix.main(["quik"])
    assert 2 == exit_info.value.code
    assert "MATRIX=quik is not one of 1, quick, tiny; is MATRIX=quick meant?" in capsys.readouterr().err


def test_words_that_are_in_no_scenario_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        matrix.main(["quick", "--only", "selectors"])
    assert "--only selectors: in no scenario's name" in capsys.readouterr().err


@pytest.mark.timeout(120)
def test_tiny_matrix_runs_to_its_end_on_the_embedded_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One scenario of each group; every one checks that all messages came in order."""
    assert 0 == matrix.main(["tiny", "--folder", str(tmp_path), "--only", "latency,slow_consumer,together,staging"])
    document = json.loads((tmp_path / "matrix-embedded.json").read_text(encoding="utf-8"))
    assert 8 == len(document["scenarios"])
    assert {"broker_name", "url", "sample_count", "sample_interval", "warm_up_count"} <= set(document["benchmark_settings"])
    assert [] == document["not_measured"] == document["not_offered"]
    assert any(sum(scenario["consumer tp"]) for scenario in document["scenarios"])
    assert [] == Page((tmp_path / "matrix-embedded.html").read_text(encoding="utf-8")).open

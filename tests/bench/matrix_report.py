"""The matrix as a page: charts and a table of every scenario, in one file that fetches nothing from anywhere."""

from collections.abc import Iterator, Sequence
from html import escape
from statistics import mean
from typing import Any, Final

from matrix_result import CONSUMED, ERRORS, PRODUCED, SLOWEST
from matrix_scenario import LATENCY, SLOW, STAGING, THROUGHPUT, TOGETHER
from svg_chart import Chart, bars, lines

RATE: Final = "messages received a second, mean of the samples"
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1340px; margin: 2em auto; padding: 0 1em; }
body { color: #1d2b33; background: #fff; }
@media (prefers-color-scheme: dark) { body { color: #dde5ea; background: #12191d; } }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 1.5em; }
svg { width: 100%; height: auto; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; }
th, td { text-align: right; padding: 2px 10px; border-bottom: 1px solid #8884; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 24em; }
.why { text-align: left; opacity: .75; }
"""
HEAD: Final = ("scenario", "produced/s", "consumed/s", "p50", "p99", "p99.9", "max", "errors", "client CPU", "broker CPU")

Document = dict[str, Any]
"""As ``matrix.py`` writes it: ``benchmark_settings``, ``scenarios``, ``not_offered``, ``not_measured``."""


def report(documents: Sequence[Document]) -> str:
    """Return the page of one run, or of the runs on several brokers beside each other."""
    titles = ", ".join(_broker(each) for each in documents)
    body = [
        f"<h1>{escape(titles)}</h1>",
        "<p>The scenarios of the JMS Benchmark for reefmesh's own client, and one of ours (confirmed_together). A queue is a "
        "channel with one subscription, a topic one on which every consumer has a durable subscription of its own. All "
        "clients of a scenario are in one Python process, which uses one core at most. Every message was looked for: each "
        "came, in the order of its reef. Latency is from the call of publish to the receipt.</p>",
        *(_settings(each) for each in documents),
        f'<div class="charts">{"".join(_charts(documents))}</div>',
        *(_table(each) for each in documents),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(titles)}</title>'
        f"<style>{STYLE}</style></head>\n<body>{chr(10).join(body)}</body></html>\n"
    )


def _broker(document: Document) -> str:
    return str(document["benchmark_settings"]["broker_name"])


def _settings(document: Document) -> str:
    facts = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in document["benchmark_settings"].items())
    return f"<p>{escape(facts)}</p>"


def _charts(documents: Sequence[Document]) -> Iterator[str]:
    for mode in ("queue", "topic"):
        alone = {"mode": mode, "persistent": True, "producers": 1, "consumers": 1, "destination_count": 1}
        yield _by("message_size", f"{mode}: size of a message, bytes", documents, {**alone, "tx_size": 0})
        yield _by("tx_size", f"{mode}: messages a transaction (0: none)", documents, {**alone, "message_size": 10})
        yield _by_clients(mode, documents)
    yield _by("messages", "confirmed together: messages a call", documents, {"group": TOGETHER})
    yield _by_persistence(documents)
    yield _latency(documents)
    for document in documents:
        for scenario in _of(document, {"group": SLOW}):
            mode = scenario["parameters"]["mode"]
            yield _over_time(f"one slow consumer, {mode}: {_broker(document)}", scenario)
        for scenario in _of(document, {"group": STAGING, "persistent": True}):
            yield _over_time(f"staging: {_broker(document)}", scenario)


def _of(document: Document, wanted: dict[str, Any]) -> list[Document]:
    wanted = {"group": THROUGHPUT} | wanted
    return [
        scenario
        for scenario in document["scenarios"]
        if all(scenario["parameters"].get(name) == value for name, value in wanted.items())
    ]


def _by(name: str, title: str, documents: Sequence[Document], wanted: dict[str, Any]) -> str:
    found = {
        _broker(document): {each["parameters"][name]: _rate(each) for each in _of(document, wanted)} for document in documents
    }
    groups = sorted({value for rates in found.values() for value in rates})
    series = {broker: [rates.get(group) for group in groups] for broker, rates in found.items()}
    return bars(Chart(title=title, unit=RATE), [str(group) for group in groups], series)


def _by_clients(mode: str, documents: Sequence[Document]) -> str:
    wanted = {"mode": mode, "persistent": True, "message_size": 10, "tx_size": 0}
    found = {_broker(each): {_clients(one["parameters"]): _rate(one) for one in _of(each, wanted)} for each in documents}
    groups = list(dict.fromkeys(group for rates in found.values() for group in rates))
    series = {broker: [rates.get(group) for group in groups] for broker, rates in found.items()}
    return bars(Chart(title=f"{mode}: producers x consumers x destinations", unit=RATE), groups, series)


def _by_persistence(documents: Sequence[Document]) -> str:
    alone = {"mode": "queue", "message_size": 10, "tx_size": 0, "producers": 1, "consumers": 1}
    words = {True: "persistent", False: "not persistent"}
    series = {
        _broker(each): [next(map(_rate, _of(each, {**alone, "persistent": persistent})), None) for persistent in words]
        for each in documents
    }
    return bars(Chart(title="queue: on the disk and not", unit=RATE), list(words.values()), series)


def _latency(documents: Sequence[Document]) -> str:
    series = {}
    for document in documents:
        for share in ("p50", "p99"):
            series[f"{_broker(document)}, {share}"] = [
                (float(each["parameters"]["producer_rate"]), each["latency_nanoseconds"][share] / 1e6)
                for each in _of(document, {"group": LATENCY})
                if share in each["latency_nanoseconds"]
            ]
    return lines(Chart(title="latency", unit="milliseconds", across="messages/s, offered"), series, logarithmic=True)


def _over_time(title: str, scenario: Document) -> str:
    times = scenario["timestamp"]
    series = {
        name: [((at - times[0]) / 1000, float(value)) for at, value in zip(times, scenario[name], strict=True)]
        for name in (PRODUCED, CONSUMED)
    }
    return lines(Chart(title=title, unit="messages/s", across="seconds"), series)


def _table(document: Document) -> str:
    rows = [_row(each) for each in document["scenarios"]]
    for kind in ("not_offered", "not_measured"):
        for each in document[kind]:
            words = f"{kind.replace('_', ' ')}: {each['why']}"
            cells = (
                f'<td>{escape(_words(each["parameters"]))}</td><td class="why" colspan="{len(HEAD) - 1}">{escape(words)}</td>'
            )
            rows.append(f"<tr>{cells}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in HEAD)
    return f'<h2>{escape(_broker(document))}</h2><div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _row(scenario: Document) -> str:
    latency = scenario["latency_nanoseconds"]
    cells = [
        _words(scenario["parameters"]),
        f"{mean(scenario[PRODUCED]):,.0f}",
        f"{mean(scenario[CONSUMED]):,.0f}",
        *(_milliseconds(latency.get(share)) for share in ("p50", "p99", "p99.9")),
        _milliseconds(max(scenario[SLOWEST], default=None)),
        str(sum(scenario[ERRORS])),
        _microseconds(scenario.get("client_cpu_microseconds")),
        _microseconds(scenario.get("broker_cpu_microseconds")),
    ]
    if others := scenario.get("latency_of_the_others_nanoseconds"):
        cells[0] += f" (p99 of the other consumers: {_milliseconds(others.get('p99'))})"
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _rate(scenario: Document) -> float:
    return float(mean(scenario[CONSUMED]))


def _clients(parameters: Document) -> str:
    return f"{parameters['producers']} x {parameters['consumers']} x {parameters['destination_count']}"


def _words(parameters: Document) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in parameters.items() if name != "selector_complexity")


def _milliseconds(nanoseconds: float | None) -> str:
    return "" if nanoseconds is None else f"{nanoseconds / 1e6:,.1f} ms"


def _microseconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} us"

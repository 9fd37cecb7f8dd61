"""Writes the Grafana dashboards beside this file: dashboards/services.json, broker.json and reefs.json.

  python deploy/grafana/dashboards.py            write them
  python deploy/grafana/dashboards.py --check    write nothing; exit 1 when one is not current

Metrics are named by the rows of ``reefmesh.observability.table`` alone.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.statetimeline import Panel as StateTimeline
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
)

from reefmesh.contracts.scores import Level
from reefmesh.observability import table
from reefmesh.observability.table import Counter, Gauge, Histogram

FOLDER: Final = Path(__file__).parent / "dashboards"
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
SCORED_WITHIN_SECONDS: Final = 60
DELIVERED_WITHIN_SECONDS: Final = 120

Kind = Literal["lines", "number", "states"]
Colour = Literal["blue", "green", "yellow", "orange", "red", "dark-red", "purple", "text"]

LEVELS: Final[dict[int, tuple[str, Colour]]] = {
    -1: ("unknown", "text"),
    Level.NO_STRESS: ("No Stress", "blue"),
    Level.WATCH: ("Watch", "yellow"),
    Level.WARNING: ("Warning", "orange"),
    Level.ALERT_1: ("Alert 1", "red"),
    Level.ALERT_2: ("Alert 2", "dark-red"),
    Level.ALERT_3: ("Alert 3", "dark-red"),
    Level.ALERT_4: ("Alert 4", "purple"),
    Level.ALERT_5: ("Alert 5", "purple"),
}
VERDICTS: Final[dict[int, tuple[str, Colour]]] = {
    0: ("unknown", "text"),
    1: ("good", "green"),
    2: ("fair", "yellow"),
    3: ("poor", "orange"),
    4: ("experienced only", "red"),
    5: ("no go", "dark-red"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One panel: ``queries`` are (PromQL, legend); ``wrong_from`` colours a number red from this value on (``wrong_below``:
    below it); ``words`` are what the states are called."""

    title: str
    says: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: Kind = "lines"
    wrong_from: float | None = None
    wrong_below: float | None = None
    words: dict[int, tuple[str, Colour]] | None = None
    width: int = 8


def rate(row: Counter, *by: str, where: str = "") -> str:
    """PromQL of a counter's rate a second, summed."""
    return f"sum by ({', '.join(by)}) (rate({row.name}{_filter(where)}[$__rate_interval]))"


def quantile(share: float, row: Histogram, *by: str, where: str = "") -> str:
    inner = f"sum by ({', '.join(('le', *by))}) (rate({row.name}_bucket{_filter(where)}[$__rate_interval]))"
    return f"histogram_quantile({share}, {inner})"


def latest(row: Gauge) -> str:
    """PromQL of a gauge of each reef, from the process that has the reef: a process that lost it keeps its last value."""
    as_of = f'{table.REEF_SCORE_AS_OF_SECONDS.name}{{reef=~"$reef"}}'
    having = f"{as_of} == on (reef) group_left () max by (reef) ({as_of})"
    return f'max by (reef) ({row.name}{{reef=~"$reef"}} and on (job, instance, reef) ({having}))'


def _filter(where: str) -> str:
    return "{" + ", ".join(part for part in ('service=~"$service"', where) if part) + "}"


def _over(row: Counter | Histogram, name: str = "", where: str = "") -> str:
    return f"sum(increase({name or row.name}{'{' + where + '}' if where else ''}[$__range]))"


def services() -> Dashboard:
    """Rate, errors, duration of the three services, and the objectives."""
    scored = table.READINGS_SCORED
    latency = table.ALERT_LATENCY_SECONDS
    delivered = _over(latency, latency.name + "_bucket", f'le="{DELIVERED_WITHIN_SECONDS}.0"')
    given_up = _over(table.DELIVERIES, where='outcome=~"failed|expired"')
    board = _board("reefmesh-services", "reefmesh: services", "Rate, errors and duration of ingest, scoring and alerts.")
    board = board.with_variable(_variable("service", table.MESSAGES_RECEIVED.name))
    _add(
        board,
        "Objectives, over the time shown",
        Chart(
            title="Readings scored in time",
            says=f"Share scored within {SCORED_WITHIN_SECONDS} s after the broker received them; the objective is 99.9 %.",
            queries=((f"{_over(scored, where=_equals('timeliness', 'in_time'))} / {_over(scored)}", "in time"),),
            unit="percentunit",
            kind="number",
            wrong_below=0.999,
            width=6,
        ),
        Chart(
            title="Alerts delivered in time",
            says=f"Share delivered within {DELIVERED_WITHIN_SECONDS} s after they were due; the objective is 99.9 %.",
            queries=((f"{delivered} / ({_over(latency, latency.name + '_count')} + ({given_up} or vector(0)))", "in time"),),
            unit="percentunit",
            kind="number",
            wrong_below=0.999,
            width=6,
        ),
        Chart(
            title="Order violations",
            says="Messages of a reef that came after a later one of it; the objective is none.",
            queries=((f"{_over(table.ORDER_VIOLATIONS)} or vector(0)", "messages"),),
            kind="number",
            wrong_from=1,
            width=6,
        ),
        Chart(
            title="Parked",
            says="Messages that were set aside; `reefmesh parked list` says why.",
            queries=((f"{_over(table.PARKED)} or vector(0)", "messages"),),
            kind="number",
            wrong_from=1,
            width=6,
        ),
    )
    _add(
        board,
        "Rate",
        Chart(
            title="Messages handled",
            says="Messages given back to the broker as handled.",
            queries=((rate(table.MESSAGES_HANDLED, "service", where=_equals("outcome", "handled")), "{{service}}"),),
            unit="reqps",
        ),
        Chart(
            title="Readings received",
            says="By what became of them; the three add up to all.",
            queries=((rate(table.READINGS, "outcome"), "{{outcome}}"),),
            unit="reqps",
        ),
        Chart(
            title="Messages published",
            says="Messages whose durable write the broker confirmed.",
            queries=((rate(table.PUBLISHED, "channel"), "{{channel}}"),),
            unit="reqps",
        ),
    )
    _add(
        board,
        "Errors",
        Chart(
            title="Not simply handled",
            says="Duplicates are normal at a redelivery; parked wants a look; released is given back to the broker.",
            queries=(
                (rate(table.MESSAGES_HANDLED, "service", "outcome", where='outcome!="handled"'), "{{service}} {{outcome}}"),
            ),
            unit="reqps",
        ),
        Chart(
            title="Attempts repeated, transactions failed",
            says="Broker or database were away, or another process wrote the reef; the lane waits and tries again.",
            queries=(
                (rate(table.RETRIES, "service", "reason"), "{{service}} {{reason}}"),
                (rate(table.STORE_FAILURES, "service"), "{{service}} transactions"),
            ),
            unit="reqps",
        ),
        Chart(
            title="Quarantined and parked",
            says="What could not be understood, and what could not be handled, by reason.",
            queries=(
                (rate(table.QUARANTINED, "reason"), "quarantined: {{reason}}"),
                (rate(table.PARKED, "service", "reason"), "parked by {{service}}: {{reason}}"),
            ),
            unit="reqps",
        ),
    )
    _add(
        board,
        "Duration",
        Chart(
            title="Handling a message",
            says="From a delivery's receipt to its acknowledgement, commit and outputs included.",
            queries=(
                (quantile(0.5, table.HANDLING_SECONDS, "service"), "{{service}} p50"),
                (quantile(0.99, table.HANDLING_SECONDS, "service"), "{{service}} p99"),
            ),
            unit="s",
        ),
        Chart(
            title="Waiting for a lane, p99",
            says="From a message's production to its receipt by a lane.",
            queries=((quantile(0.99, table.WAITING_SECONDS, "service"), "{{service}}"),),
            unit="s",
        ),
        Chart(
            title="Telemetry to score, alert due to delivered",
            says="What the objectives are about.",
            queries=(
                (quantile(0.5, table.SCORING_LATENCY_SECONDS), "score p50"),
                (quantile(0.99, table.SCORING_LATENCY_SECONDS), "score p99"),
                (quantile(0.99, latency, "channel"), "alert by {{channel}} p99"),
            ),
            unit="s",
        ),
    )
    _add(
        board,
        "Processes",
        Chart(
            title="CPU",
            says="Cores in use by each process.",
            queries=(("rate(process_cpu_seconds_total[$__rate_interval])", "{{job}} {{instance}}"),),
        ),
        Chart(
            title="Memory",
            says="Resident memory of each process.",
            queries=(("process_resident_memory_bytes", "{{job}} {{instance}}"),),
            unit="bytes",
        ),
        Chart(
            title="Alerts given to people",
            says="By channel and outcome.",
            queries=((rate(table.DELIVERIES, "channel", "outcome"), "{{channel}} {{outcome}}"),),
            unit="reqps",
        ),
    )
    return board


def broker() -> Dashboard:
    """The broker as its clients see it, the lanes, the outbox, the database, the bridge to MQTT."""
    board = _board("reefmesh-broker", "reefmesh: broker and lanes", "Connections, lanes, order, outbox and database.")
    board = board.with_variable(_variable("service", table.MESSAGES_RECEIVED.name))
    own = _filter("")
    _add(
        board,
        "Broker",
        Chart(
            title="Connected",
            says="The least of all processes of a service: 0 while one of them has no connection.",
            queries=((f"min by (service) ({table.BROKER_CONNECTED.name}{own})", "{{service}}"),),
            width=6,
        ),
        Chart(
            title="Since the broker was heard",
            says="The longest of all processes of a service; heartbeats come every few seconds.",
            queries=((f"max by (service) ({table.BROKER_LAST_HEARD_SECONDS.name}{own})", "{{service}}"),),
            unit="s",
            width=6,
        ),
        Chart(
            title="Reconnections",
            says="Connections made again after a loss.",
            queries=((f"sum by (service) (increase({table.RECONNECTS.name}{own}[$__rate_interval]))", "{{service}}"),),
            width=6,
        ),
        Chart(
            title="Publishing, p99",
            says="From handing outputs and acknowledgement to the broker until it confirmed them.",
            queries=((quantile(0.99, table.PUBLISH_SECONDS, "subscription"), "{{subscription}}"),),
            unit="s",
            width=6,
        ),
    )
    _add(
        board,
        "Lanes",
        Chart(
            title="Lanes busy",
            says="Lanes with a message in their hands, and all there are.",
            queries=(
                (f"sum by (subscription) ({table.LANES_BUSY.name}{own})", "{{subscription}} busy"),
                (f"sum by (subscription) ({table.LANES.name}{own})", "{{subscription}} all"),
            ),
        ),
        Chart(
            title="Oldest message not acknowledged",
            says="Of all that wait where the engine can tell, else of those in hand.",
            queries=((f"max by (subscription) ({table.OLDEST_MESSAGE_AGE_SECONDS.name}{own})", "{{subscription}}"),),
            unit="s",
        ),
        Chart(
            title="Lanes stuck, consumers stopped",
            says="A message that does not move for longer than the stall limit; a consumer that met too much poison.",
            queries=(
                (f"sum by (subscription) ({table.LANES_STUCK.name}{own})", "{{subscription}} stuck"),
                (f"max by (subscription) ({table.POISON_BREAKER_OPEN.name}{own})", "{{subscription}} stopped"),
            ),
        ),
    )
    _add(
        board,
        "Order and redelivery",
        Chart(
            title="Healed",
            says="Duplicates that were skipped, and redeliveries whose unsent outputs were sent.",
            queries=(
                (rate(table.DUPLICATES, "subscription"), "{{subscription}} duplicates"),
                (rate(table.REDELIVERIES_HEALED, "subscription"), "{{subscription}} healed"),
            ),
            unit="reqps",
        ),
        Chart(
            title="Order",
            says="Numbers passed over, messages after a later one, and writes refused because another process had the reef.",
            queries=(
                (rate(table.SEQUENCE_GAPS, "subscription"), "{{subscription}} gaps"),
                (rate(table.ORDER_VIOLATIONS, "subscription"), "{{subscription}} out of order"),
                (rate(table.FENCE_REFUSALS, "subscription"), "{{subscription}} refused"),
            ),
            unit="reqps",
        ),
        Chart(
            title="Outbox",
            says="Outputs that are overdue, and those that the relay sent.",
            queries=(
                (f"sum by (service) ({table.OUTPUTS_OVERDUE.name}{own})", "{{service}} overdue"),
                (f"sum by (service) (increase({table.OUTPUTS_RESENT.name}{own}[$__rate_interval]))", "{{service}} resent"),
            ),
        ),
    )
    commits = rate(table.STORE_COMMITS, "service")
    _add(
        board,
        "Database and bridge",
        Chart(
            title="Transactions",
            says="Database transactions a second.",
            queries=((commits, "{{service}}"),),
            unit="reqps",
            width=6,
        ),
        Chart(
            title="One transaction takes",
            says="Mean over the transactions that were committed.",
            queries=((f"{rate(table.STORE_COMMIT_SECONDS, 'service')} / {commits}", "{{service}}"),),
            unit="s",
            width=6,
        ),
        Chart(
            title="Messages that share a transaction",
            says="Units of work for each transaction; it rises with the load.",
            queries=((f"{rate(table.STORE_UNITS, 'service')} / {commits}", "{{service}}"),),
            width=6,
        ),
        Chart(
            title="From devices over MQTT",
            says="Messages moved to reef.telemetry, by what is known of the device.",
            queries=(
                (f"sum by (device) (rate({table.BRIDGED.name}[$__rate_interval]))", "{{device}}"),
                (f"sum by (reason) (rate({table.BRIDGE_FAILURES.name}[$__rate_interval]))", "failed: {{reason}}"),
            ),
            unit="reqps",
            width=6,
        ),
    )
    return board


def reefs() -> Dashboard:
    """What is known of each reef, and how old that is."""
    board = _board("reefmesh-reefs", "reefmesh: reefs", "Heat stress, coverage, dive verdicts and the age of the data.")
    board = board.with_variable(_variable("reef", table.REEF_SCORE_AS_OF_SECONDS.name))
    level = latest(table.REEF_HEAT_STRESS_LEVEL)
    as_of = f'max by (reef) ({table.REEF_SCORE_AS_OF_SECONDS.name}{{reef=~"$reef"}})'
    _add(
        board,
        "Now",
        Chart(
            title="Reefs scored",
            says="Reefs that have a score.",
            queries=((f"count({level})", "reefs"),),
            kind="number",
            width=6,
        ),
        Chart(
            title="At Alert Level 1 or above",
            says="Significant bleaching is expected from here on.",
            queries=((f"count({level} >= {Level.ALERT_1.value}) or vector(0)", "reefs"),),
            kind="number",
            wrong_from=1,
            width=6,
        ),
        Chart(
            title="Level unknown",
            says="No reference for the reef, or no data: that is not the same as no stress.",
            queries=((f"count({level} < 0) or vector(0)", "reefs"),),
            kind="number",
            wrong_from=1,
            width=6,
        ),
        Chart(
            title="Oldest score",
            says="How long ago the newest reading of the reef that is worst off was made.",
            queries=((f"max(time() - {as_of})", "age"),),
            unit="s",
            kind="number",
            width=6,
        ),
    )
    _add(
        board,
        "Heat stress",
        Chart(
            title="Level, highest of 7 days",
            says="Bleaching alert area of NOAA Coral Reef Watch.",
            queries=((level, "{{reef}}"),),
            kind="states",
            words=LEVELS,
            width=12,
        ),
        Chart(
            title="Degree heating weeks",
            says="Celsius weeks; a lower bound where days are missing, nothing where it is unknown.",
            queries=((latest(table.REEF_DEGREE_HEATING), "{{reef}}"),),
            width=12,
        ),
        Chart(
            title="Coverage",
            says="Days with data among the latest 84.",
            queries=((latest(table.REEF_COVERAGE_DAYS), "{{reef}}"),),
            unit="d",
            width=12,
        ),
        Chart(
            title="Reefs at each level",
            says="Every reef is counted once.",
            queries=((f'count_values("level", {level})', "level {{level}}"),),
            width=12,
        ),
    )
    _add(
        board,
        "Diving and age",
        Chart(
            title="Dive verdict",
            says="As it was when it was made; after its validity it is unknown.",
            queries=((latest(table.REEF_DIVE_VERDICT), "{{reef}}"),),
            kind="states",
            words=VERDICTS,
            width=12,
        ),
        Chart(
            title="Lag of the newest reading",
            says="From the observation to its handling by ingest: a buoy that was offline catches up with a large one.",
            queries=((f'max by (reef) ({table.READING_LAG_SECONDS.name}{{reef=~"$reef"}})', "{{reef}}"),),
            unit="s",
            width=12,
        ),
    )
    return board


DASHBOARDS: Final = {"services": services, "broker": broker, "reefs": reefs}


def _equals(label: str, value: str) -> str:
    return f'{label}="{value}"'


def _board(uid: str, title: str, says: str) -> Dashboard:
    board = (
        Dashboard(title).uid(uid).description(says).tags(["reefmesh"]).refresh("30s").time("now-1h", "now").timezone("browser")
    )
    return board.with_variable(DatasourceVariable("datasource").type("prometheus").label("source"))


def _variable(label: str, metric: str) -> QueryVariable:
    variable = QueryVariable(label).datasource(SOURCE).query(f"label_values({metric}, {label})")
    return (
        variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".*")
        .multi(True)
        .current(VariableOption(text="All", value="$__all", selected=True))
    )


def _add(board: Dashboard, row: str, *charts: Chart) -> None:
    """Add a row of panels; each gets a number that no other of the dashboard has, as Grafana wants it."""
    taken = len(board.build().panels or [])
    board.with_row(Row(row).id(taken + 1))
    for place, chart in enumerate(charts):
        board.with_panel(_panel(chart).id(taken + 2 + place))


def _panel(chart: Chart) -> TimeSeries | Stat | StateTimeline:
    panel: TimeSeries | Stat | StateTimeline
    match chart.kind:
        case "number":
            panel = Stat().height(4)
        case "states":
            panel = StateTimeline().height(9).merge_values(True)
        case "lines":
            legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
            panel = TimeSeries().height(8).min(0).fill_opacity(5).line_width(1).legend(legend)
    panel = panel.title(chart.title).description(chart.says).datasource(SOURCE).unit(chart.unit).span(chart.width)
    if chart.wrong_from is not None or chart.wrong_below is not None:
        panel = panel.thresholds(_thresholds(chart))
    if chart.words is not None:
        results = {
            str(int(value)): ValueMappingResult(text=word, color=colour, index=place)
            for place, (value, (word, colour)) in enumerate(chart.words.items())
        }
        panel = panel.mappings([ValueMap(options=results)])
    for place, (expression, legend_format) in enumerate(chart.queries):
        query = Dataquery().expr(expression).legend_format(legend_format).ref_id(chr(ord("A") + place)).datasource(SOURCE)
        panel = panel.with_target(query.instant() if chart.kind == "number" else query.range())
    return panel


def _thresholds(chart: Chart) -> ThresholdsConfig:
    steps = [Threshold(value=None, color="green"), Threshold(value=chart.wrong_from, color="red")]
    if chart.wrong_below is not None:
        steps = [Threshold(value=None, color="red"), Threshold(value=chart.wrong_below, color="green")]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a dashboard is not current")
    options = parser.parse_args(arguments)
    stale = []
    for name, make in DASHBOARDS.items():
        file = FOLDER / f"{name}.json"
        wanted = JSONEncoder(sort_keys=True, indent=2).encode(make().build()) + "\n"
        if not options.check:
            file.write_text(wanted)
        elif not file.exists() or file.read_text() != wanted:
            stale.append(file.name)
    if stale:
        sys.stderr.write(f"not current: {', '.join(stale)}; write them anew with `make docs`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

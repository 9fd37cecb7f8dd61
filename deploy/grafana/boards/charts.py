"""Panels of Grafana, from what a chart shows."""

from dataclasses import dataclass
from typing import Final, Literal

from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.statetimeline import Panel as StateTimeline
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
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

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")

Kind = Literal["lines", "number", "states"]
Colour = Literal["blue", "green", "yellow", "orange", "red", "dark-red", "purple", "text"]


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


def new_board(uid: str, title: str, says: str) -> Dashboard:
    board = (
        Dashboard(title).uid(uid).description(says).tags(["reefmesh"]).refresh("30s").time("now-1h", "now").timezone("browser")
    )
    return board.with_variable(DatasourceVariable("datasource").type("prometheus").label("source"))


def variable(label: str, metric: str) -> QueryVariable:
    variable = QueryVariable(label).datasource(SOURCE).query(f"label_values({metric}, {label})")
    return (
        variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".*")
        .multi(True)
        .current(VariableOption(text="All", value="$__all", selected=True))
    )


def add_row(board: Dashboard, row: str, *charts: Chart) -> None:
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

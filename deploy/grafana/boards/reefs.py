"""What is known of each reef, and how old that is."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from boards.charts import Chart, Colour, add_row, new_board, variable
from boards.queries import latest
from reefmesh.contracts.scores import Level
from reefmesh.observability import table

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
STATUSES: Final[dict[int, tuple[str, Colour]]] = {
    0: ("unknown", "text"),
    1: ("warming up", "text"),
    2: ("insufficient", "red"),
    3: ("daytime only", "orange"),
    4: ("suspect share", "orange"),
    5: ("lower bound", "yellow"),
    6: ("ok", "green"),
}
VERDICTS: Final[dict[int, tuple[str, Colour]]] = {
    0: ("unknown", "text"),
    1: ("good", "green"),
    2: ("fair", "yellow"),
    3: ("poor", "orange"),
    4: ("experienced only", "red"),
    5: ("no go", "dark-red"),
}


def reefs() -> Dashboard:
    """What is known of each reef, and how old that is."""
    board = new_board("reefmesh-reefs", "reefmesh: reefs", "Heat stress, coverage, dive verdicts and the age of the data.")
    board = board.with_variable(variable("reef", table.REEF_SCORE_AS_OF_SECONDS.name))
    level = latest(table.REEF_HEAT_STRESS_LEVEL)
    as_of = f'max by (reef) ({table.REEF_SCORE_AS_OF_SECONDS.name}{{reef=~"$reef"}})'
    add_row(
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
    add_row(
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
            says="Celsius weeks; nothing where it is unknown, its status says how reliable.",
            queries=((latest(table.REEF_DEGREE_HEATING), "{{reef}}"),),
            width=12,
        ),
        Chart(
            title="Coverage",
            says="Days with readings at night among the latest 84.",
            queries=((latest(table.REEF_COVERAGE_DAYS), "{{reef}}"),),
            unit="d",
            width=12,
        ),
        Chart(
            title="Status of degree heating weeks",
            says="How reliable they are; only ok is comparable to a satellite's.",
            queries=((latest(table.REEF_HEAT_STATUS), "{{reef}}"),),
            kind="states",
            words=STATUSES,
            width=12,
        ),
        Chart(
            title="Reefs at each level",
            says="Every reef is counted once.",
            queries=((f'count_values("level", {level})', "level {{level}}"),),
            width=12,
        ),
    )
    add_row(
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

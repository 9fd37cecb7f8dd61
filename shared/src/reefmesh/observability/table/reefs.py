"""The newest score of each reef."""

from typing import Final

from reefmesh.observability.table.labels import REEF
from reefmesh.observability.table.rows import Gauge

REEF_HEAT_STRESS_LEVEL: Final = Gauge(
    name="reefmesh_reef_heat_stress_level",
    unit="level",
    labels=(REEF,),
    help="Highest bleaching alert level of a reef's latest 7 days, 0 (no stress) to 7 (alert level 5); -1 when unknown, also "
    "when none of the last 7 days is on record.",
)
REEF_DEGREE_HEATING: Final = Gauge(
    name="reefmesh_reef_degree_heating",  # its unit is told below: promtool knows no weeks
    unit="celsius_weeks",
    labels=(REEF,),
    help="Degree heating weeks of a reef's latest day; NaN when unknown or older than 7 days. Its status says how reliable.",
)
REEF_HEAT_STATUS: Final = Gauge(
    name="reefmesh_reef_heat_status",
    unit="code",
    labels=(REEF,),
    help="How reliable a reef's degree heating weeks are: 0 unknown, 1 warming_up, 2 insufficient, 3 daytime_only, "
    "4 suspect_share, 5 lower_bound, 6 ok.",
)
REEF_COVERAGE_DAYS: Final = Gauge(
    name="reefmesh_reef_heat_coverage",  # likewise, no days
    unit="days",
    labels=(REEF,),
    help="Days with readings at night among the latest 84 on record, which degree heating weeks are summed over.",
)
REEF_DIVE_VERDICT: Final = Gauge(
    name="reefmesh_reef_dive_verdict",
    unit="code",
    labels=(REEF,),
    help="Dive verdict when it was made: 0 unknown, 1 good, 2 fair, 3 poor, 4 experienced only, 5 no go.",
)
REEF_SCORE_AS_OF_SECONDS: Final = Gauge(
    name="reefmesh_reef_score_as_of_timestamp_seconds",
    unit="seconds",
    labels=(REEF,),
    help="Observation time of the newest reading in a reef's score, Unix time; of two processes the later one has the reef.",
)

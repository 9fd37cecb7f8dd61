"""What a process knows of a reef besides its tables, so that a live message need not ask them. It is never stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from reefmesh.contracts.scores import CarbonateDay
from reefmesh_dashboard.domain.edge import Edge


class ShownFacts(NamedTuple):
    """What the read model keeps of the register's facts of a reef."""

    name: str
    latitude_degrees: float
    longitude_degrees: float


@dataclass(slots=True, kw_only=True)
class ShownReef:
    """The state of a reef in memory. It begins with what the reef's row says: after a restart, and when another process wrote
    the reef.

    ``edges`` has the edge of each buoy that is known. ``facts`` are those of the message ``facts_seq``. ``score_seq`` is the
    number of the newest score (0: none yet); ``heat_date`` its newest solar date, ``carbonate_days`` its judged days.
    """

    edges: dict[str, Edge] = field(default_factory=dict)
    facts: ShownFacts | None = None
    facts_seq: int = 0
    score_seq: int = 0
    heat_date: date | None = None
    carbonate_days: Sequence[CarbonateDay] = ()

"""What the operator says of a file beyond what it says itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reefmesh_standalone.records.times import DateOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """``columns`` and ``units``: name -> quantity or unit; ``where``: column -> the text that its lines must have.

    ``now``: no record goes beyond it. ``longitude_degrees`` is the reef's, ``mmm_celsius`` replaces the one of a station file,
    ``reef_mmm_celsius`` stands in where a station file has none.
    ``corrected``: quantities that the register corrects, so that their raw values are read where a file has both.
    """

    now: datetime
    columns: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None
    date_order: DateOrder | None = None
    encoding: str | None = None
    longitude_degrees: float | None = None
    mmm_celsius: float | None = None
    reef_mmm_celsius: float | None = None
    corrected: Sequence[str] = ()

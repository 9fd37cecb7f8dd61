"""Changes of the carbonate band, on daily means.

A day's mean may still change after the day was judged, and it is seldom known to better than a twentieth. So another band is
told once the saturation has left what was told behind by more than its own uncertainty, or on the third date on which the band
is not the one that was told. A worse band is told on any date, a better one only on a later date than the last change: a mean
that swings around a limit raises at most two alerts a day.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from reefmesh.contracts.scores import Carbonate, CarbonateBand
from reefmesh_alerts.domain.severity import chemistry_severity
from reefmesh_alerts.domain.transition import Transition

LASTS: Final = timedelta(days=2)
"""From the first date with another band to the third."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChemistryWatch:
    """``band`` is that of the last alert, from the mean of ``changed_on``, and ``omega`` that mean; None before the first known
    band. ``differs_since`` is the first date since when the band was always another one."""

    band: CarbonateBand | None = None
    changed_on: date | None = None
    omega: float | None = None
    differs_since: date | None = None


def judge_chemistry(watch: ChemistryWatch, carbonate: Carbonate, *, as_of: datetime) -> tuple[ChemistryWatch, list[Transition]]:
    """Judge a score; an unknown one changes nothing. A reef whose first band is good raises no alert."""
    band = carbonate.band
    if carbonate.status == "unknown" or band is None or carbonate.date is None:
        return watch, []
    if band == watch.band:
        return (watch if watch.differs_since is None else replace(watch, differs_since=None)), []
    severity = chemistry_severity(band)
    told = 0 if watch.band is None else chemistry_severity(watch.band)
    same_day = watch.changed_on is not None and carbonate.date <= watch.changed_on
    if severity < told and same_day:
        return watch, []
    since = carbonate.date if watch.differs_since is None else min(watch.differs_since, carbonate.date)
    if _may_be_what_was_told(watch, carbonate) and carbonate.date < since + LASTS:
        return (watch if since == watch.differs_since else replace(watch, differs_since=since)), []
    after = ChemistryWatch(band=band, changed_on=carbonate.date, omega=carbonate.omega_aragonite)
    if watch.band is None and severity == 0:
        return after, []
    return after, [
        Transition(
            kind="chemistry",
            change="changed" if watch.band is None else "worsened" if severity > told else "eased",
            from_state=watch.band or "unknown",
            to_state=band,
            severity=severity,
            worst_severity=max(severity, told),
            occurred_at=as_of,
            evidence_at=as_of,
            stands=severity > 0,
            evidence={
                "date": carbonate.date.isoformat(),
                "omega_aragonite": carbonate.omega_aragonite,
                "omega_low": carbonate.omega_low,
                "omega_high": carbonate.omega_high,
                "relative_uncertainty": carbonate.relative_uncertainty,
                "status": carbonate.status,
                "salinity": carbonate.salinity,
                "salinity_assumed": "yes" if carbonate.salinity_assumed else "no",
            },
        )
    ]


def _may_be_what_was_told(watch: ChemistryWatch, carbonate: Carbonate) -> bool:
    """Whether the saturation that was told lies within the uncertainty of this one."""
    low, high = carbonate.omega_low, carbonate.omega_high
    return watch.omega is not None and low is not None and high is not None and low <= watch.omega <= high

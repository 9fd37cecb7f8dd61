"""Changes of the carbonate band, on daily means.

A day's mean may still change after the day was judged. So a worse band raises an alert at once, and a better band only on a
later date than the last change: a mean that swings around a limit raises at most two alerts a day.
"""

from dataclasses import dataclass
from datetime import date, datetime

from reefmesh.contracts.scores import Carbonate, CarbonateBand
from reefmesh_alerts.domain.severity import chemistry_severity
from reefmesh_alerts.domain.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class ChemistryWatch:
    """``band`` is that of the last alert, from the mean of ``changed_on``; None before the first known band."""

    band: CarbonateBand | None = None
    changed_on: date | None = None


def judge_chemistry(watch: ChemistryWatch, carbonate: Carbonate, *, as_of: datetime) -> tuple[ChemistryWatch, list[Transition]]:
    """Judge a score; an unknown one changes nothing. A reef whose first band is good raises no alert."""
    band = carbonate.band
    if carbonate.status == "unknown" or band is None or carbonate.date is None or band == watch.band:
        return watch, []
    severity = chemistry_severity(band)
    told = 0 if watch.band is None else chemistry_severity(watch.band)
    same_day = watch.changed_on is not None and carbonate.date <= watch.changed_on
    if severity < told and same_day:
        return watch, []
    after = ChemistryWatch(band=band, changed_on=carbonate.date)
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

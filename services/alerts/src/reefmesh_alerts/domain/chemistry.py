"""Changes of the carbonate band, on daily means.

The day's mean moves while the day lasts. So a worse band is told at once, and a better one only from another date on than
the last change: a mean that swings around a limit is told twice a day at most.
"""

from dataclasses import dataclass
from datetime import date, datetime

from reefmesh.contracts.scores import Carbonate
from reefmesh_alerts.domain.severity import CHEMISTRY
from reefmesh_alerts.domain.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class ChemistryWatch:
    """``band`` is what people were told last, on the mean of ``changed_on``; None before anything was known."""

    band: str | None = None
    changed_on: date | None = None


def judge_chemistry(watch: ChemistryWatch, carbonate: Carbonate, *, as_of: datetime) -> tuple[ChemistryWatch, list[Transition]]:
    """Judge a score; an unknown one changes nothing. The first band of a reef, if good, is no change."""
    band = carbonate.band
    if carbonate.status == "unknown" or band is None or carbonate.date is None or band == watch.band:
        return watch, []
    severity = CHEMISTRY[band]
    told = 0 if watch.band is None else CHEMISTRY[watch.band]
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

"""What is told of one factor of the dive verdict: with a margin, and only what holds.

A worse verdict is told at once if the value is beyond the limit by more than its margin; any other change, once it has held at
two instants. This is a fold over the instants in the order of their event time. The last hours of them are kept, so that a late
one finds its place; what came before is one anchor. So neither the order of arrival nor the way in which telemetry was cut into
messages makes a difference.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, get_args

from reefmesh.contracts.scores import INSTANT_HOURS, DiveInstant, DiveVerdict
from reefmesh_alerts.domain.severity import dive_severity
from reefmesh_alerts.domain.transition import SECOND_US, microseconds

KEPT_INSTANTS_LIMIT: Final = 100
"""Instants of one factor that are kept: those of eight buoys that report twice an hour."""

_KEPT_US: Final = INSTANT_HOURS * 3600 * SECOND_US
_VERDICTS: Final[Mapping[int, DiveVerdict]] = {dive_severity(each): each for each in get_args(DiveVerdict)}


class JudgedValue(NamedTuple):
    """A value of one buoy, with its verdict and those within the margin as severities."""

    observed_us: int
    buoy_id: str
    value: float
    best: int
    verdict: int
    worst: int


class Anchor(NamedTuple):
    """What was told at the last instant that is not kept any more, and that instant's own verdict."""

    observed_us: int
    buoy_id: str
    verdict: int
    told: int


class Told(NamedTuple):
    """What is told from an instant on, and the verdict of the instant before (its own, if there is none)."""

    instant: JudgedValue
    told: int
    before: int

    @property
    def at_us(self) -> int:
        return self.instant.observed_us


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorWatch:
    """One factor: its instants of the last hours, oldest first."""

    anchor: Anchor | None = None
    instants: tuple[JudgedValue, ...] = ()

    def after(self, news: Sequence[DiveInstant], *, as_of_us: int, fresh_us: Mapping[str, int], newest: bool) -> "FactorWatch":
        """Return the factor after the instants of a score; one of a score that is not the newest replaces none."""
        kept = {(each.observed_us, each.buoy_id): each for each in self.instants}
        anchor = self.anchor
        for new in news:
            key = observed_us, _ = microseconds(new.observed_at), new.buoy_id
            if (anchor is not None and key <= anchor[:2]) or (not newest and key in kept):
                continue
            if new.value is None:
                kept.pop(key, None)
            else:
                severities = (dive_severity(each) for each in (new.best, new.verdict, new.worst))
                kept[key] = JudgedValue(observed_us, new.buoy_id, new.value, *severities)
        instants = tuple(kept[key] for key in sorted(kept))
        after = FactorWatch(anchor=self.anchor, instants=instants)
        leave = max(sum(each.observed_us <= as_of_us - _KEPT_US for each in instants), len(instants) - KEPT_INSTANTS_LIMIT)
        if leave <= 0:
            return after
        for number, each in enumerate(after.told(fresh_us)):
            if number == leave - 1:
                last = each.instant
                anchor = Anchor(last.observed_us, last.buoy_id, last.verdict, each.told)
                break
        return FactorWatch(anchor=anchor, instants=instants[leave:])

    def told(self, fresh_us: Mapping[str, int]) -> Iterator[Told]:
        """Iterate over the kept instants, oldest first. ``fresh_us``: how long a value of a buoy is not too old. What is told
        begins anew after a time in which the newest value was too old."""
        told = before = None
        last_us, last_buoy_id = 0, ""
        if self.anchor is not None:
            last_us, last_buoy_id, before, told = self.anchor
        for instant in self.instants:
            verdict = instant.verdict
            if told is None or before is None or instant.observed_us - last_us > fresh_us.get(last_buoy_id, _KEPT_US):
                told = before = verdict
            elif verdict > told:
                if instant.best > told:
                    told = verdict
                elif before > told:
                    told = min(before, verdict)
            elif verdict < told and before < told:
                told = max(before, verdict)
            yield Told(instant, told, before)
            before, last_us, last_buoy_id = verdict, instant.observed_us, instant.buoy_id


def verdict_of(severity: int) -> DiveVerdict:
    return _VERDICTS[severity]

"""What is told of one factor of the dive verdict: with a margin, and only what holds.

A worse verdict is told at once if the value is beyond the limit by more than its margin; any other change, once it has held at
two instants. This is a fold over the instants in the order of their event time. The last hours of them are kept, so that a late
one finds its place; what came before is one anchor. So neither the order of arrival nor the way in which telemetry was cut into
messages makes a difference.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, NamedTuple, get_args

from pydantic import Field

from reefmesh.contracts.scores import INSTANT_HOURS, DiveInstant, DiveVerdict
from reefmesh_alerts.domain.severity import dive_severity
from reefmesh_alerts.domain.transition import SECOND_US, microseconds

KEPT_INSTANTS_LIMIT: Final = 100
"""Instants of one factor that are kept: those of eight buoys that report twice an hour."""

_KEPT_US: Final = INSTANT_HOURS * 3600 * SECOND_US
_SEVERITIES: Final[Mapping[DiveVerdict, int]] = {each: dive_severity(each) for each in get_args(DiveVerdict)}
_VERDICTS: Final[Mapping[int, DiveVerdict]] = {severity: each for each, severity in _SEVERITIES.items()}


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


class Recent(NamedTuple):
    """The end of what is told of a factor: from the last instant that was judged on, or from earlier. ``fresh_us`` is what it
    was found by."""

    told: tuple[Told, ...]
    fresh_us: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorWatch:
    """One factor: its instants of the last hours, oldest first.

    ``recent`` saves going through all of them with each score. It follows from the rest and is not stored.
    """

    anchor: Anchor | None = None
    instants: tuple[JudgedValue, ...] = ()
    recent: Annotated[Recent | None, Field(exclude=True)] = field(default=None, compare=False)

    def after(
        self,
        news: Sequence[DiveInstant],
        *,
        as_of_us: int,
        fresh_us: Mapping[str, int],
        newest: bool,
        judged_us: int | None = None,
    ) -> "FactorWatch":
        """Return the factor after the instants of a score; one of a score that is not the newest replaces none.

        Its ``recent`` begins with the last instant up to ``judged_us``, or earlier.
        """
        return self._with_later(news, as_of_us, fresh_us, judged_us) or self._with_any(news, as_of_us, fresh_us, newest=newest)

    def _with_later(
        self, news: Sequence[DiveInstant], as_of_us: int, fresh_us: Mapping[str, int], judged_us: int | None
    ) -> "FactorWatch | None":
        """Return the factor after instants that are later than all before; None if one is not, or ``recent`` is of no use."""
        if self.recent is None or not self.recent.told or self.recent.fresh_us != fresh_us:
            return None
        instants, told = [*self.instants], [*self.recent.told]
        while judged_us is not None and len(told) > 1 and told[1].at_us <= judged_us:
            del told[0]
        for new in news:
            judged, last = _judged_value(new), instants[-1]
            if judged is None or judged[:2] <= last[:2]:
                return None
            instants.append(judged)
            told.append(_next_told(judged, last[:2], told[-1].told, last.verdict, fresh_us))
        return self._without_old(instants, told, as_of_us, fresh_us)

    def _with_any(
        self, news: Sequence[DiveInstant], as_of_us: int, fresh_us: Mapping[str, int], *, newest: bool
    ) -> "FactorWatch":
        kept = {each[:2]: each for each in self.instants}
        for new in news:
            key = microseconds(new.observed_at), new.buoy_id
            if (self.anchor is not None and key <= self.anchor[:2]) or (not newest and key in kept):
                continue
            judged = _judged_value(new)
            if judged is None:
                kept.pop(key, None)
            else:
                kept[key] = judged
        instants = [kept[key] for key in sorted(kept)]
        told = list(FactorWatch(anchor=self.anchor, instants=tuple(instants)).told(fresh_us))
        return self._without_old(instants, told, as_of_us, fresh_us)

    def _without_old(
        self, instants: list[JudgedValue], told: list[Told], as_of_us: int, fresh_us: Mapping[str, int]
    ) -> "FactorWatch":
        """Return the factor with those of the instants that are to be kept; ``told``: of all of them, or of the last."""
        anchor = self.anchor
        leave = max(0, len(instants) - KEPT_INSTANTS_LIMIT)
        while leave < len(instants) and instants[leave].observed_us <= as_of_us - _KEPT_US:
            leave += 1
        if leave > 0:
            *_, last = FactorWatch(anchor=anchor, instants=tuple(instants[:leave])).told(fresh_us)
            anchor = Anchor(last.instant.observed_us, last.instant.buoy_id, last.instant.verdict, last.told)
            del instants[:leave]
            del told[: max(0, len(told) - len(instants))]
        return FactorWatch(anchor=anchor, instants=tuple(instants), recent=Recent(tuple(told), fresh_us))

    def told(self, fresh_us: Mapping[str, int]) -> Iterator[Told]:
        """Iterate over the kept instants, oldest first. ``fresh_us``: how long a value of a buoy is not too old. What is told
        begins anew after a time in which the newest value was too old."""
        told = before = None
        last: tuple[int, str] = (0, "")
        if self.anchor is not None:
            *_, before, told = self.anchor
            last = self.anchor[:2]
        for instant in self.instants:
            each = _next_told(instant, last, told, before, fresh_us)
            yield each
            told, before, last = each.told, instant.verdict, instant[:2]


def _next_told(
    instant: JudgedValue, last: tuple[int, str], told: int | None, before: int | None, fresh_us: Mapping[str, int]
) -> Told:
    """Return what is told from an instant on. ``last``, ``told`` and ``before``: the instant before, what was told from it on,
    and its own verdict; None if there is none."""
    verdict = instant.verdict
    last_us, last_buoy_id = last
    if told is None or before is None or instant.observed_us - last_us > fresh_us.get(last_buoy_id, _KEPT_US):
        return Told(instant, verdict, verdict)
    if verdict > told:
        if instant.best > told:
            told = verdict
        elif before > told:
            told = min(before, verdict)
    elif verdict < told and before < told:
        told = max(before, verdict)
    return Told(instant, told, before)


def _judged_value(new: DiveInstant) -> JudgedValue | None:
    """Return an instant as it is kept; None if its value is taken back."""
    if new.value is None:
        return None
    best, verdict, worst = _SEVERITIES[new.best], _SEVERITIES[new.verdict], _SEVERITIES[new.worst]
    return JudgedValue(microseconds(new.observed_at), new.buoy_id, new.value, best, verdict, worst)


def verdict_of(severity: int) -> DiveVerdict:
    return _VERDICTS[severity]

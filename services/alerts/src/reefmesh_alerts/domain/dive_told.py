"""What is told of one factor of the dive verdict: with a margin, and only what holds.

A worse verdict is told at once if the value is beyond the limit by more than its margin; any other change, once it has held at
two instants. This is a fold over the instants in the order of their event time. The last hours of them are kept, so that a late
one finds its place; what came before is one anchor. So neither the order of arrival nor the way in which telemetry was cut into
messages makes a difference.

Most scores bring one instant, later than all before. Then the fold goes on from the last, and no other is looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, NamedTuple, get_args

from pydantic import Field

from reefmesh.contracts.scores import INSTANT_HOURS, DiveInstant, DiveVerdict
from reefmesh_alerts.domain.kept_instants import JudgedValue, KeptInstants, first_us, instants_of, text_of, without_first
from reefmesh_alerts.domain.severity import dive_severity
from reefmesh_alerts.domain.transition import SECOND_US, utc_microseconds

KEPT_INSTANTS_LIMIT: Final = 100
"""Instants of one factor that are kept: those of eight buoys that report twice an hour."""

_KEPT_US: Final = INSTANT_HOURS * 3600 * SECOND_US
_SEVERITIES: Final[Mapping[DiveVerdict, int]] = {each: dive_severity(each) for each in get_args(DiveVerdict)}
_VERDICTS: Final[Mapping[int, DiveVerdict]] = {severity: each for each, severity in _SEVERITIES.items()}


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
        return self.instant[0]


class Recent(NamedTuple):
    """What is told from the last of the ``kept`` instants on: from those that were not judged yet, from the last one before
    them, and perhaps from earlier ones. ``fresh_us`` is what it was found by; ``first_us``: of the first kept instant."""

    told: tuple[Told, ...]
    kept: int
    first_us: int | None
    fresh_us: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorWatch:
    """One factor: its instants of the last hours, oldest first.

    ``recent`` follows from the rest and is not stored: it is None in a state that was read, until the next score.
    """

    anchor: Anchor | None = None
    instants: KeptInstants = ""
    recent: Annotated[Recent | None, Field(exclude=True)] = field(default=None, compare=False)

    @property
    def told_recently(self) -> tuple[Told, ...]:
        return () if self.recent is None else self.recent.told

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
        later = self._with_later(news, as_of_us, fresh_us, judged_us)
        return self._with_any(news, as_of_us, fresh_us, newest=newest) if later is None else later

    def steadily_after(
        self, new: DiveInstant, at_us: int, *, as_of_us: int, fresh_us: Mapping[str, int], judged_us: int
    ) -> "FactorWatch | None":
        """Return the factor after an instant, ``at_us``, that is later than all before, which were judged, and has the verdict
        of the last one, which is told: so it goes on being told. None if it is not so."""
        recent = self.recent
        if recent is None or not recent.told or recent.fresh_us != fresh_us:
            return None
        last, told, _ = recent.told[-1]
        if not (last.verdict == told == _SEVERITIES[new.verdict] and last[0] <= judged_us and last[0] < at_us):
            return None
        judged = _judged_value(new, at_us)
        if judged is None:
            return None
        text = self.instants + text_of(judged)
        return self._without_old(
            text, (Told(judged, told, told),), recent.kept + 1, recent.first_us, fresh_us=fresh_us, as_of_us=as_of_us
        )

    def told(self, fresh_us: Mapping[str, int]) -> Iterator[Told]:
        """Iterate over the kept instants, oldest first. ``fresh_us``: how long a value of a buoy is not too old. What is told
        begins anew after a time in which the newest value was too old."""
        return _told(self.anchor, instants_of(self.instants), fresh_us)

    def _with_later(
        self, news: Sequence[DiveInstant], as_of_us: int, fresh_us: Mapping[str, int], judged_us: int | None
    ) -> "FactorWatch | None":
        """Return the factor after instants that are later than all before; None if one is not, or ``recent`` is of no use."""
        recent = self.recent
        if recent is None or not recent.told or recent.fresh_us != fresh_us:
            return None
        told, text = recent.told, self.instants
        for new in news:
            judged, last = _judged_value(new, utc_microseconds(new.observed_at)), told[-1]
            if judged is None or judged[:2] <= last.instant[:2]:
                return None
            told = (*told, Told(judged, *_next_told(judged, last.instant, last.told, fresh_us)))
            text += text_of(judged)
        while judged_us is not None and len(told) > 1 and told[1].instant[0] <= judged_us:
            told = told[1:]
        return self._without_old(text, told, recent.kept + len(news), recent.first_us, fresh_us=fresh_us, as_of_us=as_of_us)

    def _with_any(
        self, news: Sequence[DiveInstant], as_of_us: int, fresh_us: Mapping[str, int], *, newest: bool
    ) -> "FactorWatch":
        kept = {each[:2]: each for each in instants_of(self.instants)}
        for new in news:
            key = utc_microseconds(new.observed_at), new.buoy_id
            if (self.anchor is not None and key <= self.anchor[:2]) or (not newest and key in kept):
                continue
            judged = _judged_value(new, key[0])
            if judged is None:
                kept.pop(key, None)
            else:
                kept[key] = judged
        instants = [kept[key] for key in sorted(kept)]
        told = tuple(_told(self.anchor, instants, fresh_us))
        text = "".join(map(text_of, instants))
        return self._without_old(text, told, len(instants), first_us(text), fresh_us=fresh_us, as_of_us=as_of_us)

    def _without_old(
        self,
        text: str,
        told: tuple[Told, ...],
        kept: int,
        oldest_us: int | None,
        *,
        fresh_us: Mapping[str, int],
        as_of_us: int,
    ) -> "FactorWatch":
        """Return the factor with those of the ``kept`` instants of a text that are to be kept; what is told at the last other
        is its anchor. ``oldest_us``: of the first of them."""
        anchor, ends_us = self.anchor, as_of_us - _KEPT_US
        while oldest_us is not None and (oldest_us <= ends_us or kept > KEPT_INSTANTS_LIMIT):
            first, text = without_first(text)
            verdict, before = first[4], None if anchor is None else anchor[3]
            now = verdict if verdict == before else _next_told(first, anchor, before, fresh_us)[0]
            anchor = Anchor(oldest_us, first[1], verdict, now)
            kept -= 1
            oldest_us = first_us(text)
        if kept < len(told):
            told = told[len(told) - kept :]
        return FactorWatch(anchor=anchor, instants=text, recent=Recent(told, kept, oldest_us, fresh_us))


def verdict_of(severity: int) -> DiveVerdict:
    return _VERDICTS[severity]


def _told(anchor: Anchor | None, instants: Sequence[JudgedValue], fresh_us: Mapping[str, int]) -> Iterator[Told]:
    last: Anchor | JudgedValue | None = anchor
    told = None if anchor is None else anchor.told
    for instant in instants:
        told, before = _next_told(instant, last, told, fresh_us)
        yield Told(instant, told, before)
        last = instant


def _next_told(
    instant: JudgedValue, last: Anchor | JudgedValue | None, told: int | None, fresh_us: Mapping[str, int]
) -> tuple[int, int]:
    """Return what is told from an instant on, and the verdict before; ``last``: the instant before, from which on ``told`` was
    told."""
    verdict = instant.verdict
    if last is None or told is None or instant[0] - last[0] > fresh_us.get(last[1], _KEPT_US):
        return verdict, verdict
    before = last.verdict
    if verdict > told:
        if instant.best > told:
            told = verdict
        elif before > told:
            told = min(before, verdict)
    elif verdict < told and before < told:
        told = max(before, verdict)
    return told, before


def _judged_value(new: DiveInstant, at_us: int) -> JudgedValue | None:
    """Return an instant as it is kept; None if its value is taken back."""
    if new.value is None:
        return None
    best, verdict, worst = _SEVERITIES[new.best], _SEVERITIES[new.verdict], _SEVERITIES[new.worst]
    return JudgedValue(at_us, new.buoy_id, new.value, best, verdict, worst)

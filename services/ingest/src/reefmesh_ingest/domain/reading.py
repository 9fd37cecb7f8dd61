"""One reading as ingest keeps it, and how two reports of the same instant become one.

``(buoy, observed_us)`` names a reading. Joining is commutative, associative and idempotent, so the result is a function of
the set of reports and not of their order:

* a quantity that only one of them has is added;
* a value beats a missing one;
* two different raw values for one instant cannot both be right: the lower one is kept, the quantity's fault names the conflict,
  and its flag is at least suspect, so that it is shown and not scored;
* the same raw value with two factors (a device that corrects it twice, a pH converted with and without its temperature) keeps
  the lower value;
* positions and statuses are completed field by field; where both differ, the lower one (as text) is kept.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from reefmesh.contracts.exclusion import excluded_fault, is_excluded
from reefmesh.contracts.flags import Flag, aggregate
from reefmesh.contracts.readings import DeviceStatus
from reefmesh_ingest.domain.instants import TimeSource
from reefmesh_ingest.domain.quality import Verdict

CONFLICT: Final = "two reports gave different values for this instant"
WITHDRAWN: Final = "the same report was received earlier"
FAULT_CHARACTERS_LIMIT: Final = 500
NOT_EXCLUDED: Final[Mapping[str, str]] = MappingProxyType({})

TIME_SOURCE_RANKS: Final[dict[TimeSource, int]] = {"device": 0, "received": 1, "broken_clock": 2}


class Content(NamedTuple):
    """The reported content of one quantity: ``value = raw * factor`` in the quantity's unit; both None when missing."""

    raw: float | None
    value: float | None
    factor: float = 1.0
    fault: str | None = None


class Place(NamedTuple):
    """The reported position in degrees, and its distance from the mooring in metres."""

    latitude_degrees: float
    longitude_degrees: float
    flag: Flag
    drift_metres: float | None


class StoredReading(NamedTuple):
    """A reading in its newest revision (0: not yet published). ``origin`` is the event id of the message that first
    reported it. ``verdicts`` has one entry for each quantity of ``contents`` once it was judged. ``excluded``: those of its
    quantities that do not count, as an operator said, and why."""

    observed_us: int
    received_us: int
    time_source: TimeSource
    revision: int
    withdrawn: bool
    origin: str
    contents: dict[str, Content]
    verdicts: dict[str, Verdict]
    place: Place | None
    status: DeviceStatus | None
    excluded: Mapping[str, str] = NOT_EXCLUDED


def content_of(raw: float | None, factor: float, fault: str | None) -> Content:
    """Return a quantity's content; a corrected value is rounded to 1e-9, far below what a sensor resolves. Words of a device
    that read as if an operator had excluded the value are marked as the device's."""
    if is_excluded(fault):
        fault = f"device: {fault}"[:FAULT_CHARACTERS_LIMIT]
    if raw is None:
        return Content(None, None, factor, fault)
    return Content(raw, raw if factor == 1.0 else round(raw * factor, 9), factor, fault)


def flag_of(content: Content, verdict: Verdict) -> Flag:
    """The flag under which a quantity is published: quality control's, at least suspect where reports conflict."""
    if content.fault == CONFLICT and content.raw is not None:
        return aggregate((verdict.flag, Flag.SUSPECT))
    return verdict.flag


def published_flag(reading: StoredReading, quantity: str) -> Flag:
    """The flag under which a quantity of this reading is published: an excluded value fails, a missing one stays missing."""
    content = reading.contents[quantity]
    if content.raw is not None and quantity in reading.excluded:
        return Flag.FAIL
    return flag_of(content, reading.verdicts[quantity])


def published_fault(reading: StoredReading, quantity: str) -> str | None:
    """The fault under which a quantity of this reading is published: of an excluded value, why it was excluded."""
    reason = reading.excluded.get(quantity)
    return reading.contents[quantity].fault if reason is None else excluded_fault(reason)


def joined(one: StoredReading, other: StoredReading) -> StoredReading:
    """Return ``one`` completed by ``other``; it is ``one`` itself when ``other`` adds nothing."""
    if one.withdrawn:
        return other._replace(revision=one.revision, verdicts={})
    contents = one.contents
    for name, content in other.contents.items():
        mine = one.contents.get(name)
        both = content if mine is None else _joined_contents(mine, content)
        if both != mine:
            contents = {**contents, name: both}
    place = one.place
    if other.place is not None and (place is None or other.place[:2] < place[:2]):
        place = other.place
    status = one.status
    if other.status is not None:
        status = other.status if status is None else _joined_statuses(status, other.status)
    source = min(one.time_source, other.time_source, key=TIME_SOURCE_RANKS.__getitem__)
    if contents is one.contents and place == one.place and status == one.status and source == one.time_source:
        return one
    return one._replace(contents=contents, place=place, status=status, time_source=source)


def without(reading: StoredReading, report: StoredReading) -> StoredReading:
    """Return the reading after ``report``, which had been joined into it, turned out to be a duplicate.

    What else was reported at that instant is left, as if it had come alone. A reading of which nothing is left is withdrawn;
    it keeps the names of its quantities, all of them missing.
    """
    contents = {name: content for name, content in reading.contents.items() if name not in report.contents}
    place = None if report.place is not None else reading.place
    status = None if report.status is not None else reading.status
    if contents or place is not None or status is not None:
        return reading._replace(contents=contents, place=place, status=status)
    contents = dict.fromkeys(reading.contents, Content(None, None, 1.0, WITHDRAWN))
    return reading._replace(contents=contents, place=None, status=None, withdrawn=True)


def _joined_contents(one: Content, other: Content) -> Content:
    if one.raw is None or other.raw is None:
        if one.raw is None and other.raw is None:
            return one._replace(fault=_lower(one.fault, other.fault))
        return other if one.raw is None else one
    lower = other if (other.raw, other.value or 0.0) < (one.raw, one.value or 0.0) else one
    if one.raw != other.raw or CONFLICT in (one.fault, other.fault):
        return lower._replace(fault=CONFLICT)
    return lower._replace(fault=_lower(one.fault, other.fault))


def _joined_statuses(one: DeviceStatus, other: DeviceStatus) -> DeviceStatus:
    if one == other:
        return one
    detail = dict(one.detail)
    for name, words in other.detail.items():
        detail[name] = min(detail.get(name, words), words)
    return DeviceStatus(
        report=min(one.report, other.report),
        firmware=_lower(one.firmware, other.firmware),
        battery_volts=_lower_number(one.battery_volts, other.battery_volts),
        battery_percent=_lower_number(one.battery_percent, other.battery_percent),
        signal_dbm=_lower_number(one.signal_dbm, other.signal_dbm),
        detail=detail,
    )


def _lower(one: str | None, other: str | None) -> str | None:
    return min((words for words in (one, other) if words is not None), default=None)


def _lower_number(one: float | None, other: float | None) -> float | None:
    return min((number for number in (one, other) if number is not None), default=None)

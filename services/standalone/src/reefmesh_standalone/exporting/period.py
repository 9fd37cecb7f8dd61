"""``--from`` and ``--to``: days or instants, never in a zone that nobody stated."""

from datetime import UTC, date, datetime, timedelta

from reefmesh.errors import ConfigurationError
from reefmesh_ingest.domain.decode.values import us_of
from reefmesh_standalone.records.mistake import shown


def first_us_of(text: str, *, option: str = "--from") -> int:
    """Return the instant at which a period begins: that instant, or the beginning of that day in UTC.

    Raises:
        ConfigurationError: it is neither.
    """
    return us_of(_instant(text, option=option, days=0))


def end_us_of(text: str) -> int:
    """Return the first instant after a period: that of ``--to`` itself, or the end of that day in UTC.

    Raises:
        ConfigurationError: it is neither.
    """
    return us_of(_instant(text, option="--to", days=1))


def day_of_option(text: str | None, *, option: str) -> date | None:
    """Return a day.

    Raises:
        ConfigurationError: it is none.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(f"{option} {shown(text)} is no day; write it like 2026-03-31") from None


def _instant(text: str, *, option: str, days: int) -> datetime:
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        pass
    else:
        try:
            return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=days)
        except OverflowError:
            raise ConfigurationError(f"{option} {shown(text)} is the last day there is; name an earlier one") from None
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        what = "is neither a day (2026-03-31, in UTC) nor an instant (2026-03-31T08:00+08:00)"
        raise ConfigurationError(f"{option} {shown(text)} {what}") from None
    if instant.tzinfo is None:
        raise ConfigurationError(f"{option} {shown(text)} states no offset from UTC; add it, such as +08:00 or Z")
    return instant

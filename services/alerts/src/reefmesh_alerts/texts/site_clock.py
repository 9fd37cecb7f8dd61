"""Instants on the clock of a site."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from reefmesh_alerts.domain.alert_text import zulu


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteClock:
    """``time_zone`` is a name like ``Asia/Makassar``. Without one, or with a wrong one, there is UTC alone."""

    time_zone: str | None = None

    def when(self, instant: datetime) -> str:
        """Return an instant on the site's clock and in UTC."""
        local = self._local(instant)
        return zulu(instant) if local is None else f"{local} = {zulu(instant)}"

    def _local(self, instant: datetime) -> str | None:
        try:
            if self.time_zone is not None and (there := _in_zone(instant, self.time_zone)) is not None:
                return f"{there:%Y-%m-%d %H:%M} ({self.time_zone}, UTC{_offset(there)})"
        except (OverflowError, ValueError):  # before year 1 or after 9999 there
            return None
        return None


def _in_zone(instant: datetime, name: str) -> datetime | None:
    try:
        return instant.astimezone(ZoneInfo(name))
    except (KeyError, ValueError, OSError):  # not a name, not a path inside the database, a folder of it
        return None


def _offset(instant: datetime) -> str:
    written = f"{instant:%z}"
    return f"{written[:3]}:{written[3:5]}"

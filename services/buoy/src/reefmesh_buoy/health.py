"""What the agent knows of itself, for people and programs: the spool, the clock, the last contact."""

from typing import Any

from reefmesh_buoy.clock import ClockReading
from reefmesh_buoy.measurement import instant_of
from reefmesh_buoy.spool import Spool


def health_of(spool: Spool, at: ClockReading) -> dict[str, Any]:
    """Return the agent's health as JSON values. Raises SpoolLost."""
    facts = spool.facts()
    oldest, last = facts["oldest_us"], facts.get("last_contact_us")
    return {
        "waiting_readings": facts["waiting"],
        "oldest_at": instant_of(oldest[0]) if oldest else None,
        "taken_readings": facts.get("taken", 0),
        "confirmed_readings": facts.get("confirmed", 0),
        "dropped_readings": facts.get("dropped", 0),
        "refused_readings": facts.get("refused", 0),
        "last_refusal": facts.get("refusal"),
        "unmended_readings": facts.get("unmended", 0),
        "bad_lines": facts.get("bad_lines", 0),
        "last_bad_line": facts.get("bad_line"),
        "last_contact_at": None if last is None else instant_of(last),
        "clock": "set" if at.is_set else "unset",
        "reports": facts.get("seq", 0),
    }

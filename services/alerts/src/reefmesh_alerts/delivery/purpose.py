"""Why an alert is told: because it was raised, or because it is in force and a recipient does not know it."""

from collections.abc import Sequence
from typing import Final, Literal

from reefmesh.contracts.alerts import Alert
from reefmesh_alerts.texts.headline import alert_subject

Purpose = Literal["", "in_force", "after_mute"]
"""Of a delivery: empty when the alert is told as it was raised; ``in_force`` to a recipient who is new to it; ``after_mute`` at
the end of the mute that held it back. Deliveries of the last two kinds wait for one instant and make one message a target."""

_HEADINGS: Final = {"in_force": "In force now: ", "after_mute": "After the mute: "}
_LEADS: Final = {
    "": "",
    "in_force": "These episodes are open, and you were not told of them before. Each alert reads as it did when it was raised.",
    "after_mute": "The mute is over, and this is what you do not know yet; what came and went is in the ledger alone.",
}


def subject_of(purpose: Purpose, alerts: Sequence[Alert]) -> str:
    """Return the one line of a message that tells what is in force; ``purpose`` is not empty."""
    heading = _HEADINGS[purpose]
    if len(alerts) == 1:
        return alert_subject(alerts[0], before=heading)
    reefs = len({alert.reef_id for alert in alerts})
    return f"{heading}{len(alerts)} alerts at {reefs} {'reef' if reefs == 1 else 'reefs'}"


def lead_of(purpose: Purpose) -> str:
    """Return the sentences above the alerts that say why they are told; none for alerts that are told as they were raised."""
    return _LEADS[purpose]

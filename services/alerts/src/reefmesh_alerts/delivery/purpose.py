"""Why an alert is told: because it was raised, or because it is in force and a recipient does not know it."""

from collections.abc import Sequence
from typing import Final, Literal

from reefmesh.contracts.alerts import Alert
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_alerts.texts.headline import SUBJECT_CHARACTERS_LIMIT, alert_subject
from reefmesh_alerts.texts.room import cut

Purpose = Literal["", "in_force", "after_mute"]
"""Of a delivery: empty when the alert is told as it was raised; ``in_force`` to a recipient who is new to it; ``after_mute`` at
the end of the mute that held it back. Deliveries of the last two kinds wait for one instant and make one message a target."""

_HEADINGS: Final = {"in_force": "in force now", "after_mute": "as it stands after the mute"}


def subject_of(purpose: Purpose, alerts: Sequence[Alert]) -> str:
    """Return the one line of a message that tells what is in force; ``purpose`` is not empty."""
    heading = _HEADINGS[purpose]
    if len(alerts) == 1:
        return cut(plain(f"{heading}: {alert_subject(alerts[0])}"), SUBJECT_CHARACTERS_LIMIT)
    reefs = len({alert.reef_id for alert in alerts})
    return f"{heading}: {len(alerts)} alerts at {reefs} {'reef' if reefs == 1 else 'reefs'}"

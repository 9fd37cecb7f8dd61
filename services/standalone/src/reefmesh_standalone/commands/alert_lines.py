"""Alerts, open episodes, deliveries and mutes as lines of text and as JSON: lines, because a wrapped id cannot be copied."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.padding import Padding

from reefmesh.contracts.alerts import Alert
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_alerts.muting.ledger import AlertAcknowledgement
from reefmesh_alerts.muting.mute import Mute
from reefmesh_alerts.queries import DeliveryRow, OpenEpisode
from reefmesh_standalone.commands.reef_table import words
from reefmesh_standalone.commands.replaying import counted

Acknowledged = dict[str, list[AlertAcknowledgement]]


def utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"


def by_alert(acknowledgements: Sequence[AlertAcknowledgement]) -> Acknowledged:
    """Return alert id -> its acknowledgements."""
    known: Acknowledged = {}
    for each in acknowledgements:
        known.setdefault(each.alert_id, []).append(each)
    return known


def show_entry(out: Console, head: str, lines: Sequence[str]) -> None:
    """Print one line and, below it and indented, what belongs to it."""
    out.print(plain(head), soft_wrap=True)
    for line in lines:
        out.print(Padding(plain(line), (0, 0, 0, 4), expand=False))


def head(alert_id: str, at: datetime, reef_id: str) -> str:
    return f"{alert_id}  {utc(at)}  {reef_id}"


def episode_line(episode: OpenEpisode) -> str:
    about = f"{words(episode.kind)} {episode.subject.replace('/', ' ')}".strip()
    return f"{about}: {words(episode.state)}"


def acknowledged_lines(acknowledgements: Sequence[AlertAcknowledgement]) -> Iterator[str]:
    for each in acknowledgements:
        yield f"acknowledged by {each.made_by}, {utc(each.made_at)}" + (f": {each.note}" if each.note else "")


def mute_line(mute: Mute, held_back: int) -> str:
    held = f"{held_back:,} {'delivery' if held_back == 1 else 'deliveries'} held back"
    return f"Muted until {utc(mute.ends_at)} UTC: {mute.what}; {held}; by {mute.made_by}: {mute.reason}"


def delivery_lines(delivery: DeliveryRow) -> tuple[str, Sequence[str]]:
    """Return what became of a delivery, and why."""
    about = f" ({words(delivery.purpose)})" if delivery.purpose else ""
    why = [delivery.last_error] if delivery.last_error else []
    return f"{delivery.recipient} over {delivery.target}{about}: {_outcome(delivery)}", why


def _outcome(delivery: DeliveryRow) -> str:
    attempts = counted(delivery.attempts, "attempt")
    match delivery.status:
        case "pending" if delivery.attempts:
            return f"{attempts} failed, the next is at {utc(delivery.next_attempt_at)} UTC"
        case "pending":
            return f"due at {utc(delivery.next_attempt_at)} UTC"
        case "sent":
            return f"sent at {utc(delivery.settled_at or delivery.created_at)} UTC"
        case "failed":
            return f"failed, given up after {attempts}"
        case _:
            return words(delivery.status)


def alert_document(alert: Alert, acknowledgements: Sequence[AlertAcknowledgement]) -> dict[str, Any]:
    return alert.model_dump(mode="json") | {"acknowledgements": [acknowledgement_document(each) for each in acknowledgements]}


def episode_document(
    episode: OpenEpisode, acknowledgements: Sequence[AlertAcknowledgement], mutes: Sequence[Mute]
) -> dict[str, Any]:
    """Return an open episode with who takes care of it and until when messages about it are muted."""
    muted = (
        mute.ends_at for mute in mutes if mute.reef_id == episode.reef_id and mute.holds_back(episode.kind, episode.severity)
    )
    until = max(muted, default=None)
    return asdict(episode) | {
        "since": episode.since.isoformat(),
        "changed_at": episode.changed_at.isoformat(),
        "muted_until": None if until is None else until.isoformat(),
        "acknowledgements": [acknowledgement_document(each) for each in acknowledgements],
    }


def acknowledgement_document(each: AlertAcknowledgement) -> dict[str, Any]:
    return {"made_at": each.made_at.isoformat(), "made_by": each.made_by, "note": each.note}


def delivery_document(delivery: DeliveryRow) -> dict[str, Any]:
    instants = {"created_at", "next_attempt_at", "digest_at", "settled_at"}
    return {
        name: value.isoformat() if name in instants and isinstance(value, datetime) else value
        for name, value in asdict(delivery).items()
    }


def mute_document(mute: Mute, held_back: int) -> dict[str, Any]:
    return {
        "mute_id": mute.mute_id,
        "reef_id": mute.reef_id,
        "kind": mute.kind or None,
        "begins_at": mute.begins_at.isoformat(),
        "until": mute.ends_at.isoformat(),
        "reason": mute.reason,
        "made_by": mute.made_by,
        "deliveries_held_back": held_back,
    }

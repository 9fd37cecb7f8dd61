"""Every hole that was ever found, as an act: one module for what is attacked, ``ALL`` in the order of the table.

``ON_RABBITMQ`` are those that apply there, and acts of its own.
"""

from collections.abc import Sequence
from typing import Final

from reefmesh_hostile.act import Act
from reefmesh_hostile.acts import (
    advisories,
    amqp_connections,
    amqp_messages,
    amqp_rights,
    destinations,
    frames,
    identities,
    numbers,
    pages,
    payloads,
    poison,
    replays,
    times,
    topics,
    waiting,
)
from reefmesh_hostile.attacked_broker import Engine

ALL: Final[tuple[Act, ...]] = tuple(
    sorted(
        (
            *frames.ACTS,
            *destinations.ACTS,
            *numbers.ACTS,
            *poison.ACTS,
            *times.ACTS,
            *waiting.ACTS,
            *advisories.ACTS,
            *topics.ACTS,
            *identities.ACTS,
            *replays.ACTS,
            *pages.ACTS,
            *payloads.ACTS,
        ),
        key=lambda act: act.row,
    )
)


OF_BOTH: Final = frozenset(
    {
        *(act.name for act in (*times.ACTS, *waiting.ACTS, *replays.ACTS, *pages.ACTS, *payloads.ACTS)),
        *("number-of-a-billion-by-ingest-itself", "number-of-a-billion-that-can-be-read"),
        *(
            "unknown-schemas-on-telemetry",
            "unknown-schemas-of-many-reefs-on-telemetry",
            "unknown-schemas-of-one-reef-by-ingest",
        ),
        *("unreadable-envelopes", "unreadable-flood", "header-beyond-the-basic-plane"),
        *("telemetry-of-another-device", "commands-of-another-device"),
    }
)
"""Acts that say nothing of ActiveMQ: their messages go to RabbitMQ as they are."""

ON_RABBITMQ: Final[tuple[Act, ...]] = tuple(
    sorted(
        (
            *(act for act in ALL if act.name in OF_BOTH),
            *amqp_messages.ACTS,
            *amqp_rights.ACTS,
            *amqp_connections.ACTS,
        ),
        key=lambda act: act.row,
    )
)


def acts_on(engine: Engine) -> Sequence[Act]:
    return ON_RABBITMQ if engine == "rabbitmq" else ALL


def act_named(name: str, engine: Engine = "activemq") -> Act:
    return next(act for act in acts_on(engine) if act.name == name)

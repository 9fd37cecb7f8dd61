"""Every hole that was ever found, as an act: one module for what is attacked, ``ALL`` in the order of the table."""

from typing import Final

from reefmesh_hostile.act import Act
from reefmesh_hostile.acts import (
    advisories,
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


def act_named(name: str) -> Act:
    return next(act for act in ALL if act.name == name)

"""Join, the seventh step: reported readings and the stored readings of the same instants become one.

A reading that is not stored is new; one that adds something is merged; one that adds nothing is a duplicate; one that turned
out to be a later copy of this message is withdrawn.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reefmesh_ingest.domain.reading import StoredReading, joined, without

QuantityValues = dict[str, dict[int, float | None]]
"""Quantity -> instant -> its value from now on (None: it has none any more)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The ``changed`` readings by instant as the message leaves them, not judged, and the ``values`` that are to be judged.

    ``new``, ``merged`` and ``duplicates`` count the readings that the message reported. ``withdrawn_origins`` has one entry for
    each reading that was withdrawn: the event id of the message that first reported it. ``digest``: see ``copies``.
    """

    changed: dict[int, StoredReading]
    values: QuantityValues
    new: int
    merged: int
    duplicates: int
    withdrawn_origins: tuple[str, ...] = ()
    digest: str = ""


def join(
    reported: Iterable[StoredReading],
    stored: Mapping[int, StoredReading],
    *,
    origin: str,
    withdrawn: Iterable[StoredReading] = (),
    copied: int = 0,
    digest: str = "",
) -> Joined:
    """Join ``reported`` readings into the ``stored`` ones (by instant; an instant that is not in it has none).

    ``withdrawn`` is first taken out of what is stored: these readings were reported by a later copy of this message.
    ``copied`` counts readings of this message that are left out because an earlier copy reported them.
    """
    changed: dict[int, StoredReading] = {}
    values: QuantityValues = {}
    withdrawn_origins = []
    for reading in withdrawn:
        before = changed.get(reading.observed_us) or stored.get(reading.observed_us)
        if before is None or before.withdrawn:
            continue
        after = without(before, reading)
        if after.withdrawn:
            withdrawn_origins.append(before.origin)
        _change(changed, values, before, after)
    new = merged = duplicates = 0
    for reading in sorted(reported, key=_instant_of):
        instant = reading.observed_us
        at_hand = changed.get(instant)
        before = stored.get(instant) if at_hand is None else at_hand
        if before is None or before.withdrawn:
            new += 1
            changed[instant] = reading if before is None else joined(before, reading)
            for quantity, content in reading.contents.items():
                if content.value is not None:
                    of_quantity = values.get(quantity)
                    if of_quantity is None:
                        of_quantity = values[quantity] = {}
                    of_quantity[instant] = content.value
            continue
        after = joined(before, reading)
        if at_hand is None and before.origin == origin:
            new += 1  # a replay meets the row that this very message made
        elif after is before:
            duplicates += 1
        else:
            merged += 1
        if after is not before:
            _change(changed, values, before, after)
    return Joined(
        changed=changed,
        values=values,
        new=new,
        merged=merged,
        duplicates=duplicates + copied,
        withdrawn_origins=tuple(withdrawn_origins),
        digest=digest,
    )


def _change(changed: dict[int, StoredReading], values: QuantityValues, before: StoredReading, after: StoredReading) -> None:
    instant = after.observed_us
    changed[instant] = after
    for quantity in before.contents.keys() - after.contents.keys():
        values.setdefault(quantity, {})[instant] = None
    for quantity, content in after.contents.items():
        was = before.contents.get(quantity)
        if (None if was is None else was.value) != content.value:
            values.setdefault(quantity, {})[instant] = content.value


def _instant_of(reading: StoredReading) -> int:
    return reading.observed_us

"""Who consumes a subscription, as the broker's advisories tell, and when a consumer must hand reefs over.

The broker never takes a reef from its consumer while that consumer is there, so whoever joins gets none of the reefs that are
owned. Hence the rule: when a member joins, every other member gives up all its slots once and takes them again, slot by slot,
each when it is free, after a moment of jitter. Members are told apart by their connection: a member that gives up a slot
and takes it again stays the same member. When one leaves, the broker spreads its reefs over those who stay.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

FORGET_SECONDS: Final = 3.0
"""A member without a slot is still a member for so long: it may just be renewing its only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipChange:
    """What one advisory meant. ``consumers``: how many slots there are now, of all members."""

    joined: bool
    left: bool
    consumers: int


class Membership:
    """The members of one subscription besides ourselves. Time is given by the caller, in seconds of any clock."""

    def __init__(self, own_connection: str) -> None:
        self._own = own_connection
        self._slots: dict[str, set[int]] = {}
        self._empty_since: dict[str, float] = {}
        self._consumers = 0

    @property
    def others(self) -> int:
        """How many other members are known to be there."""
        return sum(1 for slots in self._slots.values() if slots)

    def hear(self, headers: Mapping[str, str], body: bytes, *, now_seconds: float) -> MembershipChange:
        """Take one advisory in."""
        before = self._consumers
        self._consumers = _count(headers, before)
        self._forget(now_seconds)
        facts = _facts(body)
        if (consumer := facts.get("ConsumerInfo")) is not None:
            return self._added(consumer.get("consumerId"), browser=bool(consumer.get("browser")))
        if (removed := facts.get("RemoveInfo")) is not None:
            return self._removed(removed.get("objectId"), now_seconds)
        # a broker that cannot say who it was: whoever it was, the number grew
        return MembershipChange(joined=self._consumers > before, left=self._consumers < before, consumers=self._consumers)

    def _added(self, identity: Any, *, browser: bool) -> MembershipChange:
        connection, number = _identity(identity)
        if connection == self._own or browser:
            return MembershipChange(joined=False, left=False, consumers=self._consumers)
        joined = connection not in self._slots
        self._slots.setdefault(connection, set()).add(number)
        self._empty_since.pop(connection, None)
        return MembershipChange(joined=joined, left=False, consumers=self._consumers)

    def _removed(self, identity: Any, now_seconds: float) -> MembershipChange:
        connection, number = _identity(identity)
        slots = self._slots.get(connection)
        if slots is None:
            return MembershipChange(joined=False, left=connection != self._own, consumers=self._consumers)
        slots.discard(number)
        if not slots:
            self._empty_since[connection] = now_seconds
        return MembershipChange(joined=False, left=not slots, consumers=self._consumers)

    def _forget(self, now_seconds: float) -> None:
        for connection, since in tuple(self._empty_since.items()):
            if now_seconds - since > FORGET_SECONDS:
                del self._empty_since[connection], self._slots[connection]


def _facts(body: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(body)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _identity(identity: Any) -> tuple[str, int]:
    if not isinstance(identity, dict):
        return "", 0
    return str(identity.get("connectionId", "")), hash((identity.get("sessionId"), identity.get("value")))


def _count(headers: Mapping[str, str], before: int) -> int:
    text = headers.get("consumerCount", "")
    return int(text) if text.isascii() and text.isdigit() else before

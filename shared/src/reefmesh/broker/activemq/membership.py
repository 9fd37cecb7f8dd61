"""Who consumes a subscription, by the broker's advisories.

Whoever has the right to write advisories can forge them, so they are hints that may be lies: an advisory that cannot be true is
ignored, and the table of members is bounded. A forged one can at most cause one more hand-over, which ``HandOver`` limits.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

FORGET_SECONDS: Final = 3.0
"""A member without a subscription stays a member for so long: it may be renewing its only one."""
MEMBERS_LIMIT: Final = 256
SUBSCRIPTIONS_LIMIT: Final = 256
"""Of one member."""
BODY_BYTES_LIMIT: Final = 64 * 1024
IDENTITY_CHARACTERS_LIMIT: Final = 256
COUNT_DIGITS_LIMIT: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipChange:
    """The meaning of one advisory. ``consumers``: the number of subscriptions of all members now. ``is_ignored``: it cannot be
    true, or there is no room for its member, which then counts as joined."""

    joined: bool = False
    left: bool = False
    consumers: int
    is_ignored: bool = False


class NoAdvisory(Exception):
    """The broker writes no such advisory."""


class Membership:
    """The other members of one subscription. The caller gives the time, in seconds of any clock."""

    def __init__(self, own_connection: str) -> None:
        self._own = own_connection
        self._subscriptions: dict[str, set[tuple[int, int]]] = {}
        self._empty_since: dict[str, float] = {}
        self._consumers = 0
        self._is_json = False

    @property
    def others(self) -> int:
        return sum(1 for subscriptions in self._subscriptions.values() if subscriptions)

    def update(self, headers: Mapping[str, str], body: bytes, *, now_seconds: float) -> MembershipChange:
        """Apply one advisory."""
        try:
            count, facts = _count(headers), _facts(body, must_be_json=self._is_json)
            consumer, removed = _part(facts, "ConsumerInfo"), _part(facts, "RemoveInfo")
            joining = None if consumer is None else _identity(consumer.get("consumerId"))
            leaving = None if removed is None else _identity(removed.get("objectId"))
        except NoAdvisory:
            return MembershipChange(consumers=self._consumers, is_ignored=True)
        before, self._consumers = self._consumers, self._consumers if count is None else count
        self._forget(now_seconds)
        if joining is not None:
            self._is_json = True
            return self._added(*joining, browser=consumer is not None and bool(consumer.get("browser")))
        if leaving is not None:
            self._is_json = True
            return self._removed(*leaving, now_seconds)
        # this broker writes no JSON advisories: judge by the number of consumers
        return MembershipChange(joined=self._consumers > before, left=self._consumers < before, consumers=self._consumers)

    def _added(self, connection: str, number: tuple[int, int], *, browser: bool) -> MembershipChange:
        if connection == self._own or browser:
            return MembershipChange(consumers=self._consumers)
        subscriptions = self._subscriptions.get(connection)
        if subscriptions is None:
            if len(self._subscriptions) >= MEMBERS_LIMIT:
                return MembershipChange(joined=True, consumers=self._consumers, is_ignored=True)
            subscriptions = self._subscriptions[connection] = set()
            joined = True
        else:
            joined = False
        if len(subscriptions) >= SUBSCRIPTIONS_LIMIT:
            return MembershipChange(consumers=self._consumers, is_ignored=True)
        subscriptions.add(number)
        self._empty_since.pop(connection, None)
        return MembershipChange(joined=joined, consumers=self._consumers)

    def _removed(self, connection: str, number: tuple[int, int], now_seconds: float) -> MembershipChange:
        subscriptions = self._subscriptions.get(connection)
        if subscriptions is None:
            return MembershipChange(left=connection != self._own, consumers=self._consumers)
        subscriptions.discard(number)
        if not subscriptions:
            self._empty_since[connection] = now_seconds
        return MembershipChange(left=not subscriptions, consumers=self._consumers)

    def _forget(self, now_seconds: float) -> None:
        for connection, since in tuple(self._empty_since.items()):
            if now_seconds - since > FORGET_SECONDS:
                del self._empty_since[connection], self._subscriptions[connection]


def _facts(body: bytes, *, must_be_json: bool) -> dict[str, Any] | None:
    """Return what an advisory in JSON says; None for another body. Raises NoAdvisory."""
    if len(body) > BODY_BYTES_LIMIT:
        raise NoAdvisory
    try:
        facts = json.loads(body)
    except RecursionError:
        raise NoAdvisory from None
    except ValueError:
        facts = None
    if isinstance(facts, dict):
        return facts
    if must_be_json:
        raise NoAdvisory
    return None


def _part(facts: dict[str, Any] | None, name: str) -> dict[str, Any] | None:
    """Raises NoAdvisory."""
    part = None if facts is None else facts.get(name)
    if part is not None and not isinstance(part, dict):
        raise NoAdvisory
    return part


def _identity(identity: Any) -> tuple[str, tuple[int, int]]:
    """Return the connection and the number of a subscription. Raises NoAdvisory."""
    if not isinstance(identity, dict):
        raise NoAdvisory
    connection, session, value = (identity.get(name) for name in ("connectionId", "sessionId", "value"))
    if not (isinstance(connection, str) and 0 < len(connection) <= IDENTITY_CHARACTERS_LIMIT):
        raise NoAdvisory
    if not (isinstance(session, int) and isinstance(value, int)):
        raise NoAdvisory
    return connection, (session, value)


def _count(headers: Mapping[str, str]) -> int | None:
    """Return the number of consumers; None where it is not stated. Raises NoAdvisory."""
    text = headers.get("consumerCount", "")
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > COUNT_DIGITS_LIMIT:
        raise NoAdvisory
    return int(text)

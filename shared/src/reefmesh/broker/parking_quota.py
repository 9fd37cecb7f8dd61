"""The quota of a parking: how much is kept there, of one sender and in all, and how long; beyond it messages are only counted.

It bounds what is *kept*, never what is handled: a sender whose place somebody else uses up is served as before. Whoever is
believed on a numbered channel is outside it (``whole_of``): of the mesh's own messages nothing may be lost, and the breaker
stops what would fill the parking with them. For these there is only an age, a longer one: nothing grows for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from reefmesh.contracts.senders import UNAUTHENTICATED

USER_SHARE: Final = 2
DEVICE_SHARE: Final = 10
"""One user of the broker may take a half of the quota; one device that a user claims to be, a tenth."""
DEVICE: Final = "device"
"""The header in which a message names its device."""
SAMPLE_BYTES: Final = 4 * 1024
"""How much of a body is kept that is not kept whole."""
BODY_BYTES: Final = "parked-body-bytes"
"""The header in the parking with the length of a body of which only the beginning is kept."""

Scope = tuple[str, ...]
"""Whose usage: of all (empty), of a user, of a device that this user claims to be."""


class ParkedAs(Enum):
    """What is kept of a message that is set aside: all of it; a small copy with the beginning of its body, as the first of its
    reason beyond the quota; or its count alone."""

    WHOLE = auto()
    SAMPLE = auto()
    COUNTED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkingQuota:
    """Of one subscription; the defaults are those of the settings. ``whole_of``: users whose messages are kept whole, however
    many they are; ``whole_for``: reasons for which a message is. ``age_limit``: how long messages stay that the quota binds,
    ``whole_age_limit``: the others; None: for ever."""

    messages_limit: int = 5_000
    bytes_limit: int = 64 * 1024 * 1024
    whole_of: frozenset[str] = frozenset()
    whole_for: frozenset[str] = frozenset()
    age_limit: timedelta | None = None
    whole_age_limit: timedelta | None = None

    @property
    def has_age(self) -> bool:
        return self.age_limit is not None or self.whole_age_limit is not None

    def kept_since(self, user_id: str | None, reason: str, now: datetime) -> datetime | None:
        """Return the instant before which a message of this sender and reason must have been parked to be too old; None: it
        never is."""
        age_limit = self.age_limit if self.binds(user_id, reason) else self.whole_age_limit
        return None if age_limit is None else now - age_limit

    def binds(self, user_id: str | None, reason: str) -> bool:
        return user_id not in self.whole_of and reason not in self.whole_for


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedPart:
    """What of one sender and for one reason lies in a parking, or is to lie there. ``user_id`` is the broker's word, ``device``
    the message's own."""

    user_id: str | None
    device: str | None
    reason: str
    stored_bytes: int
    messages: int = 1

    @property
    def scopes(self) -> Sequence[tuple[Scope, int]]:
        """The scopes that it counts in, the widest first, each with its share of the quota. On an engine without logins there
        is no user to bound."""
        user = self.user_id or UNAUTHENTICATED
        scopes: list[tuple[Scope, int]] = [((), 1)]
        if user != UNAUTHENTICATED:
            scopes.append(((user,), USER_SHARE))
        if self.device is not None:
            scopes.append(((user, self.device), DEVICE_SHARE))
        return scopes


@dataclass(slots=True)
class ScopeUsage:
    """What is kept now, and for which reasons."""

    messages: int = 0
    stored_bytes: int = 0
    reasons: set[str] = field(default_factory=set)

    def has_room(self, part: ParkedPart, quota: ParkingQuota, share: int) -> bool:
        return (
            self.messages + part.messages <= max(1, quota.messages_limit // share)
            and self.stored_bytes + part.stored_bytes <= quota.bytes_limit // share
        )


class ParkingUsage:
    """What the quota binds of one parking, of all and of each sender."""

    def __init__(self, quota: ParkingQuota) -> None:
        self._quota = quota
        self._usages: dict[Scope, ScopeUsage] = {(): ScopeUsage()}

    @property
    def total(self) -> ScopeUsage:
        return self._usages[()]

    def keeping_of(self, part: ParkedPart) -> ParkedAs:
        """Decide about one message, by the widest scope in which it has no room."""
        for scope, share in part.scopes:
            usage = self._usages.get(scope) or ScopeUsage()
            if not usage.has_room(part, self._quota, share):
                return ParkedAs.COUNTED if part.reason in usage.reasons else ParkedAs.SAMPLE
        return ParkedAs.WHOLE

    def add(self, part: ParkedPart) -> None:
        """Count what is kept, unless the quota does not bind it."""
        if not self._quota.binds(part.user_id, part.reason):
            return
        for scope, _ in part.scopes:
            usage = self._usages.setdefault(scope, ScopeUsage())
            usage.messages += part.messages
            usage.stored_bytes += part.stored_bytes
            usage.reasons.add(part.reason)

    def take_back(self, part: ParkedPart) -> None:
        """It was added and is not kept after all. Its reason stays noted: the next look at the parking corrects that."""
        for scope, _ in part.scopes:
            usage = self._usages[scope]
            usage.messages -= part.messages
            usage.stored_bytes -= part.stored_bytes

"""Who consumes a subscription, and whose shard is whose.

Members tell each other that they are there; whoever has the right to write there can lie, so it is a hint: it decides who gets
a shard sooner, never what is handled. The table of members is bounded.

A shard belongs to the member whose hash with it is the highest (*rendezvous hashing*), of those that have less than their share
yet: nobody has two more than another, and when a member joins or leaves few other shards move. A member without a free
lane gets none, unless nobody has one.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

SILENT_SECONDS: Final = 6.0
"""A member that was not heard for so long is gone: three beats."""
MEMBERS_LIMIT: Final = 256
NAME_CHARACTERS_LIMIT: Final = 64


@dataclass(slots=True)
class Member:
    heard_at_seconds: float
    takes: bool


class Membership:
    """The members of one subscription, ourselves included. The caller gives the time, in seconds of any clock."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._members: dict[str, Member] = {own: Member(heard_at_seconds=0.0, takes=True)}

    @property
    def others(self) -> int:
        return len(self._members) - 1

    @property
    def takes(self) -> bool:
        """Whether we have a lane to spare, as we have said."""
        return self._members[self._own].takes

    def say(self, *, takes: bool) -> bool:
        """Of ourselves. Return whether that is new."""
        is_new = self._members[self._own].takes != takes
        self._members[self._own].takes = takes
        return is_new

    def heard(self, name: str, *, takes: bool, now_seconds: float) -> bool:
        """A member says that it is there. Return whether it joins."""
        if name == self._own or not 0 < len(name) <= NAME_CHARACTERS_LIMIT:
            return False
        known = self._members.get(name)
        if known is None and len(self._members) >= MEMBERS_LIMIT:
            return False
        self._members[name] = Member(heard_at_seconds=now_seconds, takes=takes)
        return known is None

    def left(self, name: str) -> bool:
        """A member says that it goes. Return whether it was one."""
        return name != self._own and self._members.pop(name, None) is not None

    def forget_silent(self, now_seconds: float) -> bool:
        """Return whether a member is gone."""
        silent = [
            name
            for name, member in self._members.items()
            if name != self._own and now_seconds - member.heard_at_seconds > SILENT_SECONDS
        ]
        for name in silent:
            del self._members[name]
        return bool(silent)

    def ours(self, shards: int) -> frozenset[int]:
        """Return the shards that belong to us, of so many."""
        names = [name for name, member in self._members.items() if member.takes] or [self._own]
        share, beyond = divmod(shards, len(names))  # so many have one more than the others
        counts = dict.fromkeys(names, 0)
        ours = set()
        for shard in range(shards):
            with_room = (name for name in names if counts[name] < share or (counts[name] == share and beyond))
            owner = max(with_room, key=lambda name: _weight(name, shard))
            beyond -= counts[owner] == share
            counts[owner] += 1
            if owner == self._own:
                ours.add(shard)
        return frozenset(ours)


def _weight(name: str, shard: int) -> bytes:
    return hashlib.blake2b(f"{shard} {name}".encode(), digest_size=8).digest()

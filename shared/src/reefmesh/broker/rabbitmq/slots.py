"""Slots: which shard of a subscription has the messages of a reef.

The publisher writes the reef's slot into the routing key, and each shard is bound by the slots that are its own. So a reef has
the same shard for every publisher, in every version of the broker and after each of its restarts; no exchange of the broker's
that hashes by itself promises that (ADR 0037).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

SLOTS: Final = 256
"""The same for ever, on every channel: a reef whose slot changed would be in two shards."""


def slot_of(reef_id: str) -> int:
    """Return the first byte of the SHA-256 of the reef's name in UTF-8."""
    return sha256(reef_id.encode(errors="replace")).digest()[0]


def routing_key_of(reef_id: str) -> str:
    """Return the slot in two hexadecimal digits, a dot and the reef: ``25.menjangan``."""
    return f"{slot_of(reef_id):02x}.{reef_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSlots:
    """The slots of one shard among so many: those that leave its index when they are divided by the number of shards."""

    index: int
    shards: int

    @classmethod
    def of(cls, reef_id: str, *, shards: int) -> "ShardSlots":
        return cls(index=slot_of(reef_id) % shards, shards=shards)

    @property
    def binding_keys(self) -> Sequence[str]:
        """One for each slot; it takes whatever stands behind the slot, also the dots in the name of a reef."""
        return [f"{slot:02x}.#" for slot in range(self.index, SLOTS, self.shards)]

    def misplacement_of(self, reef_id: str, routing_key: str) -> str | None:
        """Return why a message with this key, which came through this shard, may be in another one than the rest of its reef;
        None: it is where it belongs."""
        if routing_key != routing_key_of(reef_id):
            return f"its routing key {routing_key[:80]!a} is not its reef's"
        if (own := ShardSlots.of(reef_id, shards=self.shards)) != self:
            return f"it came through shard {self.index}, and its reef's is {own.index} of {self.shards}"
        return None

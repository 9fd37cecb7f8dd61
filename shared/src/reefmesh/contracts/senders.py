"""Who may speak where: of which broker users a subscription believes a message. The one place that decides it.

The broker states the authenticated user of each message; what a message says of itself counts for nothing here.
A channel belongs to the services that publish to it. Telemetry has further senders: direct publishers, such as gateways and
partners. Devices send it over MQTT, and ingest's bridge publishes it for them. On the same channel operators exclude readings,
and nobody else does.
A message in a subscription's own queue that an operator, or the service itself, replays from its parking has another sender
than the channel's: it is believed only if it was parked there before (see ``reefmesh.service.forgery``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import EXCLUSION_1
from reefmesh.contracts.services import EVERY_SERVICE, INGEST, ServiceEntry

UNAUTHENTICATED: Final = "(unauthenticated)"
"""In place of a user on an engine without logins, the embedded one: whoever may write to the journal's file speaks there
(ADR 0007). Only the subscriptions of such an engine accept it."""

OPERATOR: Final = "operator"
DEVICES: Final = "buoy"
"""The broker user that all devices share, unless each has a user of its own. It may send as any device over MQTT; on the
channel of telemetry itself it is not believed, because the bridge publishes there for devices."""
PUBLISHERS: Final = "publisher"
"""The broker user that direct publishers of telemetry share, unless each has a user of its own."""

REPLAYED: Final = "replayed"
"""Header of a message that was parked and is sent to its subscription again."""
REPLAY_OF: Final = "replay-of"
"""Header of telemetry that is published again from quarantine: the event id of the first."""
OF_REPLAYERS: Final = frozenset({REPLAYED, REPLAY_OF})
"""Headers that mean something only when operators, or the service itself, set them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerUsers:
    """The names of the broker's users in one deployment.

    ``renamed``: role (a service's name, ``operator``, or ``buoy``) -> the users that have it, where they are not called as
    their role. ``telemetry``: the direct publishers of telemetry, beside ingest's bridge and the operator.
    """

    renamed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    telemetry: frozenset[str] = frozenset({PUBLISHERS})

    def of(self, role: str) -> frozenset[str]:
        return self.renamed.get(role, frozenset({role}))

    def with_own(self, user: str, roles: Iterable[str]) -> "BrokerUsers":
        """Return these users, and ``user`` in each of the roles besides."""
        return BrokerUsers(
            renamed={**self.renamed, **{role: self.of(role) | {user} for role in roles}}, telemetry=self.telemetry
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Senders:
    """Of whom one subscription believes messages.

    ``speakers`` may say anything but that a message is a replay. ``replayers`` may say that, and are believed in what was
    parked before. ``reserved``: schema -> the only speakers who may send it; of what was parked, replayers among them may send
    it again, and from quarantine nobody. ``unstamped_until``: until then a message without a sender is believed too, if its
    schema is not reserved. An upgrade needs that once: the broker had stored messages before it began to state senders.
    """

    speakers: frozenset[str]
    replayers: frozenset[str] = frozenset()
    reserved: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unstamped_until: datetime | None = None

    def accepts_unstamped(self, now: datetime) -> bool:
        return self.unstamped_until is not None and now < self.unstamped_until

    def speaks(self, user_id: str | None, message: Envelope) -> bool:
        """Return whether this user may say this without more: it is no replay, where it is reserved."""
        if user_id not in self.speakers:
            return False
        of_schema = self.reserved.get(message.schema_id)
        return of_schema is None or (user_id in of_schema and OF_REPLAYERS.isdisjoint(message.headers))

    def may_replay(self, user_id: str, message: Envelope) -> bool:
        """Return whether this user may say this again, if it was parked before."""
        if user_id not in self.replayers or not message.headers.get(REPLAYED):
            return False
        of_schema = self.reserved.get(message.schema_id)
        return of_schema is None or (user_id in of_schema and REPLAY_OF not in message.headers)


ANYBODY_WITH_THE_JOURNAL: Final = Senders(speakers=frozenset({UNAUTHENTICATED}), replayers=frozenset({UNAUTHENTICATED}))
"""For an engine without logins."""


def senders_to(
    subscription: Subscription,
    users: BrokerUsers,
    *,
    services: Sequence[ServiceEntry] = EVERY_SERVICE,
    unstamped_until: datetime | None = None,
) -> Senders:
    """Return who may speak to this subscription on an engine with logins. A channel that no service of the list publishes to
    has no speaker."""
    speakers = frozenset[str]().union(*(users.of(each.name) for each in services if subscription.channel in each.publishes))
    reserved: dict[str, frozenset[str]] = {}
    if subscription.channel == channels.TELEMETRY:
        # Of the services ingest alone, whatever else speaks there: no gateway excludes readings.
        reserved[EXCLUSION_1] = users.of(INGEST.name) | users.of(OPERATOR)
        speakers |= users.telemetry | users.of(OPERATOR)
    return Senders(
        speakers=speakers,
        replayers=users.of(OPERATOR) | users.of(subscription.service),
        reserved=reserved,
        unstamped_until=unstamped_until,
    )


def device_senders(users: BrokerUsers) -> frozenset[str]:
    """Return the users that may send as any device over MQTT: the one that devices share, and operators. A user that is not
    among them may send as the device of its own name alone."""
    return users.of(DEVICES) | users.of(OPERATOR)

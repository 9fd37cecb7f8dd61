"""What a message says, once its sender, its envelope and its body are checked."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from faststream.message import StreamMessage
from pydantic import TypeAdapter

from reefmesh.contracts import alerts, channels, readings, scores
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import read_body
from reefmesh.contracts.senders import BrokerUsers, senders_to
from reefmesh.errors import PoisonMessage

Message = TypeVar("Message", bound=StreamMessage[Any])

BODIES: Final[Mapping[Channel, Mapping[str, TypeAdapter[Any]]]] = {
    channels.READINGS: readings.READERS,
    channels.SCORES: scores.READERS,
    channels.ALERTS: alerts.READERS,
}
FORGED: Final = "forged"


class MessageReader:
    """Of one subscription. What it raises makes FastStream reject the message, which the broker then sets aside.

    ``facts_of``: the envelope's facts among a broker's headers; ``sender_of``: the authenticated user that sent a message, by
    the broker's word.
    """

    def __init__(
        self,
        subscription: Subscription,
        users: BrokerUsers,
        *,
        facts_of: Callable[[Mapping[str, Any]], dict[str, str]],
        sender_of: Callable[[Any], str | None],
    ) -> None:
        self._senders = senders_to(subscription, users)
        self._readers = BODIES[subscription.channel]
        self._facts_of, self._sender_of = facts_of, sender_of

    async def parse(self, raw: Any, original: Callable[[Any], Awaitable[Message]]) -> Message:
        """FastStream's parser: the message as FastStream has it, with its ``envelope``.

        Raises:
            PoisonMessage: ``bad-envelope``; ``forged``: its sender may not speak on this channel.
        """
        message = await original(raw)
        body = message.body if isinstance(message.body, bytes) else bytes(message.body)
        envelope = Envelope.from_headers(self._facts_of(message.headers), body)
        self._check_sender(envelope, self._sender_of(raw))
        vars(message)["envelope"] = envelope  # FastStream's class has no field for it; handlers get it by ``ReefEnvelope``
        return message

    async def decode(self, message: StreamMessage[Any]) -> Any:
        """FastStream's decoder: the typed body; a score of an older schema as one of the newest.

        Raises:
            PoisonMessage: ``unknown-schema``, ``bad-body``.
        """
        body = read_body(vars(message)["envelope"], self._readers)
        return scores.current_score(body) if self._readers is scores.READERS else body

    def _check_sender(self, envelope: Envelope, user: str | None) -> None:
        if self._senders.speaks(user, envelope) or (user is not None and self._senders.may_replay(user, envelope)):
            return
        raise PoisonMessage(FORGED, f"sent by {user or 'nobody that the broker names'}, who may not speak here")

"""One attacker's login to RabbitMQ, over which random acts go, as long as it lasts."""

from collections.abc import Sequence
from typing import Final

from pamqp.commands import Basic, Channel

from reefmesh_hostile.acts.amqp_connections import thrown
from reefmesh_hostile.amqp_wire import AmqpConnection
from reefmesh_hostile.attacker import Attacker
from reefmesh_hostile.mischief import AmqpWire
from reefmesh_hostile.stomp_wire import Outcome, Send

ANSWER_SECONDS: Final = 0.4


class AmqpPlay:
    """``play`` and ``send_all`` return how many messages or commands the broker took, and of how many."""

    def __init__(self, attacker: Attacker) -> None:
        self._attacker = attacker
        self._connection: AmqpConnection | None = None

    def leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def send_all(self, sends: Sequence[Send]) -> tuple[int, int]:
        """Raises WireCut, OSError."""
        return self._counted(self._login().send_all(sends))

    def play(self, wire: AmqpWire) -> tuple[int, int]:
        """Raises WireCut, OSError."""
        if wire.thrown:
            thrown(self._attacker.ports_of_rabbitmq.amqp, wire.thrown)
            return 0, 1
        if wire.logins:
            for _ in range(wire.logins):
                self._attacker.amqp().close()
            return wire.logins, wire.logins
        if wire.frames:
            return self._frames(wire.frames)
        return self._counted(self._login().publish_all(wire.messages))

    def _frames(self, frames: Sequence[bytes]) -> tuple[int, int]:
        """On a login of their own: whatever they were about, it is not to be trusted any more."""
        with self._attacker.amqp() as connection:
            for frame in frames:
                connection.write(frame)
            answer = connection.next_method(ANSWER_SECONDS)
        is_refused = answer is None or isinstance(answer, Channel.Close | Basic.Nack)
        return (0 if is_refused else len(frames)), len(frames)

    def _login(self) -> AmqpConnection:
        if self._connection is None:
            self._connection = self._attacker.amqp()
        return self._connection

    def _counted(self, outcomes: Sequence[Outcome]) -> tuple[int, int]:
        if any(outcome.is_cut for outcome in outcomes):
            self.leave()
        return sum(outcome.is_confirmed for outcome in outcomes), len(outcomes)

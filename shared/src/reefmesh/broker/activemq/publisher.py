"""Publishing: confirmed, in order, all publications of one call in one broker transaction."""

from collections.abc import Sequence

from reefmesh.broker.activemq.destinations import subscription_queue
from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.session import ReconnectingSession, Session
from reefmesh.broker.activemq.shared_transactions import SharedTransactions, TransactionPart
from reefmesh.broker.activemq.transaction import ReceiptPolicy, send_and_abort
from reefmesh.broker.port import Publication
from reefmesh.contracts.channels import Subscription


class ActiveMQPublisher:
    """On a connection of its own: a broker that makes a publisher wait must not hold up acknowledgements."""

    def __init__(self, sessions: ReconnectingSession) -> None:
        self._sessions = sessions
        self._session: Session | None = None
        self._transactions: SharedTransactions | None = None
        self._declared: dict[Subscription, None] = {}
        self.in_flight = 0

    async def publish(self, publications: Sequence[Publication]) -> None:
        """Return when the broker has them all on its disk. Raises BrokerUnavailable or PublishRefused."""
        if not publications:
            self._sessions.current()
            return
        messages = [OutboundMessage.of(publication) for publication in publications]
        transactions = self._transactions_of(self._sessions.current())
        self.in_flight += 1
        try:
            await transactions.commit(TransactionPart(messages=messages))
        except BrokerRefusal as refusal:
            raise refusal.as_publish_refused() from refusal
        finally:
            self.in_flight -= 1

    async def declare(self, subscriptions: Sequence[Subscription]) -> None:
        """Make the queues exist, now and after every reconnection: a restarted broker forgets a queue that never had a message,
        and a virtual topic drops a message that it has no queue for.

        Raises:
            ConfigurationError: this user may not.
        """
        session = self._sessions.current()
        self._declared.update(dict.fromkeys(subscriptions))
        await _create_queues(session, subscriptions)

    async def attach(self, session: Session) -> None:
        await _create_queues(session, tuple(self._declared))

    def detach(self) -> None:
        self._session = self._transactions = None

    def _transactions_of(self, session: Session) -> SharedTransactions:
        if self._transactions is None or self._session is not session:
            self._session, self._transactions = session, SharedTransactions(session, ReceiptPolicy(always=True))
        return self._transactions


async def _create_queues(session: Session, subscriptions: Sequence[Subscription]) -> None:
    try:
        await send_and_abort(session, [OutboundMessage.empty(subscription_queue(each)) for each in subscriptions])
    except BrokerRefusal as refusal:
        raise refusal.as_failure() from refusal

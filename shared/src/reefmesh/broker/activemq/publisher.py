"""Publishing: confirmed, in order, all of one call in one broker transaction."""

from collections.abc import Sequence

from reefmesh.broker.activemq.destinations import channel_topic, subscription_queue
from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.message_headers import to_frame
from reefmesh.broker.activemq.reconnecting_session import ReconnectingSession
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.shared_transactions import Care, Send, SharedTransactions, Work
from reefmesh.broker.port import Publication
from reefmesh.contracts.channels import Subscription


class ActiveMQPublisher:
    """On a link of its own: a broker that makes a publisher wait must not hold up acknowledgements."""

    def __init__(self, link: ReconnectingSession) -> None:
        self._link = link
        self._session: Session | None = None
        self._commits: SharedTransactions | None = None
        self._declared: dict[Subscription, None] = {}
        self.in_flight = 0

    async def publish(self, publications: Sequence[Publication]) -> None:
        """Return when the broker has them all on its disk. Raises BrokerUnavailable or PublishRefused."""
        if not publications:
            self._link.session()
            return
        sends = [
            Send(
                destination=channel_topic(publication.channel),
                headers=to_frame(publication.message),
                body=publication.message.body,
            )
            for publication in publications
        ]
        commits = self._commits_of(self._link.session())
        self.in_flight += 1
        try:
            await commits.do(Work(sends=sends))
        except BrokerRefusal as refusal:
            raise refusal.as_publish_refused() from refusal
        finally:
            self.in_flight -= 1

    async def declare(self, subscriptions: Sequence[Subscription]) -> None:
        """Make the queues exist, now and after every reconnection: a restarted broker forgets a queue that never had a message,
        and a virtual topic drops what it has no queue for.

        Raises:
            ConfigurationError: this user may not.
        """
        session = self._link.session()
        self._declared.update(dict.fromkeys(subscriptions))
        await _make(session, subscriptions)

    async def attach(self, session: Session) -> None:
        await _make(session, tuple(self._declared))

    def detach(self) -> None:
        self._session = self._commits = None

    def _commits_of(self, session: Session) -> SharedTransactions:
        if self._commits is None or self._session is not session:
            self._session, self._commits = session, SharedTransactions(session, Care(always=True))
        return self._commits


async def _make(session: Session, subscriptions: Sequence[Subscription]) -> None:
    """Send into each queue in a transaction that is given up: the queue is made, no message is left, nobody is disturbed."""
    if not subscriptions:
        return
    transaction = ("transaction", session.new_name("t"))
    session.tell("BEGIN", (transaction,))
    made = [
        session.request("SEND", (("destination", subscription_queue(each)), transaction, ("persistent", "true")), b"")
        for each in subscriptions
    ]
    ended = session.request("ABORT", (transaction,))
    try:
        for confirmation in made:
            await confirmation
        await ended
    except BrokerRefusal as refusal:
        raise refusal.as_failure() from refusal

"""One caller's part of the journal's next transaction."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from reefmesh.broker.embedded.dispatcher import Dispatcher
from reefmesh.broker.embedded.fifo import Held
from reefmesh.broker.embedded.journal import Journal
from reefmesh.broker.port import Publication
from reefmesh.contracts.envelope import Envelope


class Job:
    """Messages to publish, a delivery to settle, an action inside the transaction: any of them, all or nothing.

    ``future`` gets the action's result (or None) once the transaction is durable, or the failure.
    """

    __slots__ = ("_ended", "action", "dispatcher", "future", "held", "publications", "size_bytes")

    def __init__(
        self,
        publications: Sequence[Publication] = (),
        *,
        dispatcher: Dispatcher | None = None,
        held: Held[Envelope] | None = None,
        action: Callable[[Journal], Any] | None = None,
    ) -> None:
        self.publications = publications
        self.size_bytes = sum([len(publication.message.body) for publication in publications])
        self.dispatcher = dispatcher
        self.held = held
        self.action = action
        self._ended = False
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def succeed(self, result: object) -> None:
        self._ended = True
        if not self.future.done():  # the caller may have been cancelled; the transaction stands all the same
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Nothing of it was written; a job that has succeeded stays so."""
        if self._ended:
            return
        self._ended = True
        if self.held is not None and self.dispatcher is not None:
            self.dispatcher.keep(self.held)
        if not self.future.done():
            self.future.set_exception(error)

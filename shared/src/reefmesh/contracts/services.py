"""The services of the mesh, each declared once: settings, the ``reefmesh`` command, AsyncAPI and the checks of ``deploy/``
read this list.

It names packages as text and imports none: a service that is installed alone still accepts the sections of all others in the
one settings file. (Entry points would show only what is installed.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.contracts import channels
from reefmesh.contracts.channels import Channel, Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEntry:
    """One service. Its ``name`` is also its section of the settings file, its broker user, its database schema, its job in
    Prometheus and, after ``reefmesh-``, its command; ``package`` has a module ``bootstrap`` with its ``PROGRAM``.

    ``consumes``: it has one durable subscription on each of these channels; ``publishes``: its broker user may write to these.
    ``pages_port``: the port of its health, its metrics and its own pages in a container. A service without a database of its
    own (``has_database``) gives its setting ``store_url`` the default ``sqlite://``: in memory, for one run.
    """

    name: str
    package: str
    description: str
    consumes: tuple[Channel, ...] = ()
    publishes: tuple[Channel, ...] = ()
    pages_port: int = 8080
    has_database: bool = True

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        return tuple(Subscription(self.name, channel) for channel in self.consumes)

    def __str__(self) -> str:
        return self.name


INGEST: Final = ServiceEntry(
    name="ingest",
    package="reefmesh_ingest",
    description="Decode telemetry, control its quality, publish readings.",
    consumes=(channels.TELEMETRY,),
    publishes=(channels.READINGS, channels.QUARANTINE, channels.TELEMETRY),
)
SCORING: Final = ServiceEntry(
    name="scoring",
    package="reefmesh_scoring",
    description="Score every reef: heat stress, carbonate chemistry, dive conditions.",
    consumes=(channels.READINGS,),
    publishes=(channels.SCORES,),
)
ALERTS: Final = ServiceEntry(
    name="alerts",
    package="reefmesh_alerts",
    description="Watch the scores, keep episodes, notify people.",
    consumes=(channels.SCORES,),
    publishes=(channels.ALERTS,),
)
DASHBOARD: Final = ServiceEntry(
    name="dashboard",
    package="reefmesh_dashboard",
    description="Keep what people see of the mesh, and show it: pages and an API.",
    consumes=(channels.READINGS, channels.SCORES, channels.ALERTS),
)

GATEWAY: Final = ServiceEntry(
    name="gateway",
    package="reefmesh_gateway",
    description="Let devices in: know them, limit them, hand their reports to the mesh.",
    publishes=(channels.TELEMETRY,),
)

SERVICES: Final = (INGEST, SCORING, ALERTS)
"""What no mesh can do without, upstream first. Their subscriptions may be made before they start, by whoever sends first."""

EVERY_SERVICE: Final = (*SERVICES, GATEWAY, DASHBOARD)
"""And those that a mesh may do without. Each makes its subscriptions itself, when it first starts, so that nothing waits for a
service that never runs."""


def subscriptions_of(services: Sequence[ServiceEntry]) -> tuple[Subscription, ...]:
    return tuple(subscription for each in services for subscription in each.subscriptions)


def service_named(name: str, services: Sequence[ServiceEntry] = EVERY_SERVICE) -> ServiceEntry:
    """Return the service with this name.

    Raises:
        KeyError: there is none.
    """
    found = next((each for each in services if each.name == name), None)
    if found is None:
        raise KeyError(name)
    return found

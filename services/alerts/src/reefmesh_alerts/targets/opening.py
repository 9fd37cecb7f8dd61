"""Makes a target from its entry in the subscriptions file."""

import sys
from typing import assert_never

from reefmesh_alerts.targets.apprise import AppriseTarget
from reefmesh_alerts.targets.console import ConsoleTarget
from reefmesh_alerts.targets.email import EmailTarget
from reefmesh_alerts.targets.entries import AppriseEntry, ConsoleEntry, EmailEntry, TargetEntry, WebhookEntry
from reefmesh_alerts.targets.port import Target
from reefmesh_alerts.targets.proxy import DIRECT, Proxies
from reefmesh_alerts.targets.webhook import WebhookTarget


def open_target(entry: TargetEntry, *, proxies: Proxies = DIRECT) -> Target:
    """Make a target; it connects when it sends, those over HTTP through the proxy that is meant for its address.

    Raises:
        ConfigurationError: its ``ca_file`` cannot be read.
    """
    match entry:
        case ConsoleEntry():
            return ConsoleTarget(sys.stdout if entry.output == "stdout" else None)
        case EmailEntry():
            return EmailTarget(entry)
        case WebhookEntry():
            return WebhookTarget(entry, proxy=proxies.to(entry.url))
        case AppriseEntry():
            return AppriseTarget(entry, proxies=proxies)
        case _:
            assert_never(entry)

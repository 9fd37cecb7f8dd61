"""From a channel's entry in the file to the channel."""

import sys
from typing import assert_never

from reefmesh_alerts.channels.console import ConsoleChannel
from reefmesh_alerts.channels.email import EmailChannel
from reefmesh_alerts.channels.port import Channel
from reefmesh_alerts.channels.webhook import WebhookChannel
from reefmesh_alerts.subscriptions.entries import ChannelEntry, ConsoleEntry, EmailEntry, WebhookEntry


def open_channel(entry: ChannelEntry) -> Channel:
    """Make a channel; nothing is connected yet.

    Raises:
        ConfigurationError: its ``ca_file`` cannot be read.
    """
    match entry:
        case ConsoleEntry():
            return ConsoleChannel(sys.stdout if entry.output == "stdout" else None)
        case EmailEntry():
            return EmailChannel(entry)
        case WebhookEntry():
            return WebhookChannel(entry)
        case _:
            assert_never(entry)

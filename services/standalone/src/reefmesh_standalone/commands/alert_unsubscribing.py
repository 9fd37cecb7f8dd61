"""``reefmesh alerts verify``: was a wish to unsubscribe written by whoever got the mail?"""

import asyncio
from typing import Annotated, Final

import typer

from reefmesh.contracts import services
from reefmesh.errors import ConfigurationError
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_standalone.commands.context import ConfigOption, HomeOption, Outcome, home_of, results, run
from reefmesh_standalone.mesh import addresses

EXIT_FORGED: Final = 1


def verify(
    recipient: Annotated[str, typer.Argument(help="Name in the subscriptions file.", show_default=False)],
    token: Annotated[str, typer.Argument(help="What stands behind the name in the mail's subject.", show_default=False)],
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Tell whether a token of an unsubscribe address belongs to a recipient.

    The key must be in this environment: REEFMESH_ALERTS_UNSUBSCRIBE_KEY, or its ..._KEY_FILE. No file is changed: take a
    recipient out of the subscriptions file by hand.

    Exit code 0: it does; 1: it does not.

    Examples:
      reefmesh alerts verify harbour 3ppPKxkYb0pgcbvMnZlDVBM9IlIuf0sT
    """
    place = home_of(home, config=config)

    async def main(_: asyncio.Event) -> None:
        unsubscribing = AlertsSettings.load(config=config, overrides=addresses(place, services.ALERTS)).unsubscribing()
        if unsubscribing.key is None:
            raise ConfigurationError(
                "there is no key to verify tokens with: set REEFMESH_ALERTS_UNSUBSCRIBE_KEY, or ..._KEY_FILE"
            )
        if not unsubscribing.is_token_of(recipient, token):
            results().print(f"This is not the token of {recipient}: somebody guessed it, or the key is another one now.")
            raise Outcome(EXIT_FORGED)
        results().print(f"This is the token of {recipient}, who wants no more mails.")

    run(main)

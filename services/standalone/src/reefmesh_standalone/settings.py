"""The settings of the ``reefmesh`` command: its home, its broker and its databases."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from reefmesh.broker.connect import ENGINES, nearest_engine
from reefmesh.contracts.senders import PUBLISHERS
from reefmesh.settings import (
    COMMAND_SECTION,
    BrokerUsersText,
    ServiceSettings,
    Settings,
    TelemetrySendersText,
    with_credentials,
)

_SCHEME: Final = re.compile(r"^([a-z][a-z+]*://|[a-z]+:\()")

DEFAULT_HOME: Final = Path("~/.local/share/reefmesh")


def _named(folder: object) -> object:
    """Refuse an empty name: it would mean the folder in which the command happens to run."""
    if folder in ("", Path()):
        raise ValueError("that names no folder")
    return folder


def _address(url: str) -> str:
    if not _SCHEME.match(url):
        near = nearest_engine(url.partition(":")[0])
        raise ValueError("that is no address" + ("" if near is None else f", is one like {near.example} meant?"))
    return url


class StandaloneSettings(Settings):
    """All other settings (lanes, drain time-out, mail server ...) are read by each service for itself."""

    SECTION: ClassVar[str] = COMMAND_SECTION
    ELSEWHERE: ClassVar[frozenset[str]] = frozenset(ServiceSettings.model_fields)
    OPTIONS: ClassVar[Mapping[str, str]] = {"broker_url": "--broker", "store_url": "--store"}

    home: Annotated[Path, BeforeValidator(_named)] = Field(
        default=DEFAULT_HOME, description="a folder for the journal and the databases"
    )
    broker_url: Annotated[str, AfterValidator(_address)] | None = Field(
        default=None,
        description=f"a broker's address, as {' or '.join(engine.example for engine in ENGINES)}; unset: embedded in the home",
    )
    broker_username: str | None = Field(default=None, description="a user name of the broker, when the address has none")
    broker_password: SecretStr | None = Field(default=None, description="a password of the broker, when the address has none")
    broker_users: BrokerUsersText = ""
    telemetry_senders: TelemetrySendersText = PUBLISHERS
    visibility_timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = Field(
        default=None,
        description="seconds from 1 to 86400: how long a lane may hold a message of the embedded broker before another lane "
        "gets it; unset: without limit",
    )
    store_url: str | None = Field(
        default=None,
        pattern=r"^postgresql://",
        description="a PostgreSQL address; each service gets a schema of its own; unset: SQLite files in the home",
    )
    store_password: SecretStr | None = Field(default=None, description="a password of the database, when the address has none")

    def broker_address(self) -> str | None:
        """Return the broker's address with user name and password in it: never to be logged. None: embedded."""
        return self.broker_url and with_credentials(self.broker_url, self.broker_username, self.broker_password)

    def store_address(self) -> str | None:
        """Return the database's address with its password in it: never to be logged. None: files in the home."""
        return self.store_url and with_credentials(self.store_url, None, self.store_password)

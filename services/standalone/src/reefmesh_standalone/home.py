"""The folder of a standalone mesh: the broker's journal and one database for each service."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from reefmesh.broker.embedded.ownership import is_owned
from reefmesh.contracts.senders import BrokerUsers, device_senders
from reefmesh.errors import ConfigurationError
from reefmesh.settings import users_of_broker
from reefmesh_standalone.settings import StandaloneSettings

JOURNAL: Final = "journal.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The addresses of journal and databases of a mesh on this machine; ``broker_url`` and ``store_url``, if set, name a broker
    and a database server elsewhere.

    A ``temporary`` home is deleted when its command ends. ``visibility_timeout_seconds`` is the embedded broker's.
    ``device_senders``: the broker users that may send as any device over MQTT.
    """

    path: Path
    broker_url: str | None = None
    store_url: str | None = None
    temporary: bool = False
    visibility_timeout_seconds: int | None = None
    device_senders: frozenset[str] = device_senders(BrokerUsers())

    @classmethod
    def of(cls, settings: StandaloneSettings) -> "Home":
        """Return the home that the settings name; create nothing.

        Raises:
            ConfigurationError: a database cannot have such an address.
        """
        path = settings.home.expanduser().absolute()
        if "?" in str(path):  # it would begin the parameters of the databases' addresses
            raise ConfigurationError(f"cannot use {path} as home: its name has a question mark; give another with --home")
        return cls(
            path=path,
            broker_url=settings.broker_address(),
            store_url=settings.store_address(),
            visibility_timeout_seconds=settings.visibility_timeout_seconds,
            device_senders=device_senders(users_of_broker(settings.broker_users, settings.telemetry_senders)),
        )

    @property
    def embedded(self) -> bool:
        return self.broker_url is None

    def create(self) -> None:
        """Make the folder, readable by its owner alone.

        Raises:
            ConfigurationError: it cannot be made or written to.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise ConfigurationError(
                f"cannot use {self.path} as home: {why}; give another with --home or REEFMESH_HOME"
            ) from None
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise ConfigurationError(f"cannot write in {self.path}; give another folder with --home or REEFMESH_HOME")

    def require(self) -> None:
        """Raise ConfigurationError when this home is empty: no register was filled and no mesh has run here."""
        if not self.exists():
            raise ConfigurationError(
                f"no mesh has run in {self.path} yet; start one with 'reefmesh up', or give another --home"
            )

    def mesh_is_up(self) -> bool | None:
        """Whether a mesh runs here now; None when it would be at a broker elsewhere."""
        return is_owned(self.path / JOURNAL) if self.embedded else None

    def exists(self) -> bool:
        """Whether there may be a register here; a database server is not asked."""
        try:
            return self.store_url is not None or (self.path / "ingest.db").exists()
        except OSError:  # no permission to read the path
            return False

    def broker_address(self, *, publisher_only: bool = False) -> str:
        if self.broker_url is not None:
            return self.broker_url
        journal = f"embedded://{quote(str(self.path / JOURNAL))}"
        if publisher_only:
            return f"{journal}?role=publisher"
        if self.visibility_timeout_seconds is None:
            return journal
        return f"{journal}?visibility_timeout_seconds={self.visibility_timeout_seconds}"

    def store_address(self, service: str) -> str:
        """Return the address of one service's database: a schema of ``store_url``, or a SQLite file."""
        if self.store_url is None:
            return f"sqlite:///{self.path / f'{service}.db'}"
        parts = urlsplit(self.store_url)
        query = dict(parse_qsl(parts.query)) | {"schema": service}
        return parts._replace(query=urlencode(query)).geturl()

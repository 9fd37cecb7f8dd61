"""One ``[[target]]`` table of the subscriptions file, field by field."""

import ipaddress
import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from reefmesh.contracts.contract import Contract
from reefmesh_alerts.targets.apprise_services import refuse_service
from reefmesh_alerts.targets.loopback import is_loopback
from reefmesh_alerts.targets.public_addresses import is_public, refusal

_ADDRESS: Final = re.compile(r"^[^@\s,;<>\"]+@[^@\s,;<>\"]+$")

SECRET_CHARACTERS: Final = 16

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Timeout = Annotated[float, Field(gt=0, le=60)]
Concurrency = Annotated[int, Field(ge=1, le=32)]


def _address(value: str) -> str:
    if not _ADDRESS.match(value) or not value.isprintable():
        raise ValueError("write an e-mail address like name@example.org")
    return value


EmailAddress = Annotated[str, Field(max_length=254), AfterValidator(_address)]


class ConsoleEntry(Contract):
    """One line for each alert: ``log`` writes a log event to standard error, ``stdout`` plain text to standard output."""

    type: Literal["console"]
    name: Name
    output: Literal["log", "stdout"] = "log"
    timeout_seconds: Timeout = 5.0
    concurrency: Concurrency = 1


class EmailEntry(Contract):
    """A mail server.

    ``tls`` is ``starttls``, ``implicit`` (TLS from the first byte) or ``none`` (allowed without a password, or to this
    machine). ``ca_file`` names certificate authorities that are trusted besides the system's.
    """

    type: Literal["email"]
    name: Name
    host: str = Field(min_length=1, max_length=255)
    port: int = Field(default=587, ge=1, le=65_535)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca_file: str | None = None
    username: str | None = Field(default=None, max_length=255)
    password: SecretStr | None = None
    sender: EmailAddress
    sender_name: str = Field(default="reefmesh", max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")
    timeout_seconds: Timeout = 20.0
    concurrency: Concurrency = 2

    @model_validator(mode="after")
    def _keeps_its_password(self) -> "EmailEntry":
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.password is not None and self.tls == "none" and not is_loopback(self.host):
            raise ValueError('a password needs tls = "starttls" or "implicit"')
        return self


class WebhookEntry(Contract):
    """An HTTPS address that accepts JSON.

    ``secret`` signs every request; while it is being replaced, ``previous_secret`` signs too. Plain HTTP is refused, except to
    this machine or with ``allow_plain_http``. An address that is not public (of this machine or its network, say) is refused
    without ``allow_private``; what a name resolves to is checked at each connection. ``ca_file`` is the same as for a mail
    server.
    """

    type: Literal["webhook"]
    name: Name
    url: str = Field(max_length=2000)
    secret: SecretStr
    previous_secret: SecretStr | None = None
    allow_plain_http: bool = False
    allow_private: bool = False
    ca_file: str | None = None
    timeout_seconds: Timeout = 10.0
    concurrency: Concurrency = 4

    @model_validator(mode="after")
    def _is_safe(self) -> "WebhookEntry":
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not self.url.isprintable() or " " in self.url:
            raise ValueError("url: write an address like https://example.org/hook")
        if parts.username or parts.password:
            raise ValueError("url: leave user name and password out of the address, requests are signed")
        if parts.scheme == "http" and not self.allow_plain_http and not is_loopback(parts.hostname):
            raise ValueError("url: must be https (or set allow_plain_http = true)")
        if not self.allow_private and names_no_public_address(parts.hostname):
            raise ValueError(f"url: {refusal(parts.hostname, parts.hostname)}")
        if len(self.secret.get_secret_value()) < SECRET_CHARACTERS:
            raise ValueError(f"secret: must have at least {SECRET_CHARACTERS} characters")
        if self.previous_secret is not None and len(self.previous_secret.get_secret_value()) < SECRET_CHARACTERS:
            raise ValueError(f"previous_secret: must have at least {SECRET_CHARACTERS} characters")
        if self.previous_secret == self.secret:
            raise ValueError("previous_secret: is the secret itself; remove it when every receiver has the new one")
        return self


class AppriseEntry(Contract):
    """A messenger, chat or SMS service that the library Apprise speaks to; ``url`` is the service's address in its notation.

    The address holds keys, so it is a secret. Only the services in ``apprise_services`` are taken. One whose host is of the
    writer's choosing needs ``allow_private``: its address is not checked at each connection. ``allow_plain_http`` is the same
    as for a webhook.
    """

    type: Literal["apprise"]
    name: Name
    url: SecretStr
    allow_plain_http: bool = False
    allow_private: bool = False
    timeout_seconds: Timeout = 20.0
    concurrency: Annotated[int, Field(ge=1, le=8)] = 1

    @model_validator(mode="after")
    def _is_a_service_that_we_know(self) -> "AppriseEntry":
        refuse_service(self.url.get_secret_value(), allow_private=self.allow_private, allow_plain_http=self.allow_plain_http)
        return self


TargetEntry = Annotated[ConsoleEntry | EmailEntry | WebhookEntry | AppriseEntry, Field(discriminator="type")]


def names_no_public_address(host: str) -> bool:
    """Whether a host is an address that is not public, so that no resolver has to be asked; a name has to be, but for
    ``localhost``."""
    if host.casefold() == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return not is_public(host)

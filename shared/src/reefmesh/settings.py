"""Settings: environment variables win over one TOML file, the file wins over defaults; every mistake becomes one line."""

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator, AwareDatetime, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from reefmesh.broker.connect import ENGINES
from reefmesh.contracts.senders import PUBLISHERS, BrokerUsers
from reefmesh.contracts.services import EVERY_SERVICE, ServiceEntry
from reefmesh.errors import ConfigurationError
from reefmesh.mistake_sentence import sentence_of
from reefmesh.observability.logs import LogFormat, LogLevel, hide_url_secrets
from reefmesh.observability.progress import STALL_AFTER_SECONDS
from reefmesh.observability.tracing import TracingKind
from reefmesh.secret_files import SUFFIX, SecretOfFile, read_secret_file, refuse_both, secret_of
from reefmesh.variables import CONFIG_VARIABLE, PREFIX, refuse_misspelt

COMMAND_SECTION: Final = "standalone"
"""The section of the ``reefmesh`` command, beside one for each service."""
FILE_BYTES_LIMIT: Final = 1024 * 1024

PoisonPolicy = Literal["continue", "park"]
UNSTAMPED_DAYS_LIMIT: Final = 30


def _soon(instant: datetime) -> datetime:
    if instant > datetime.now(UTC) + timedelta(days=UNSTAMPED_DAYS_LIMIT):
        raise ValueError(f"that is more than {UNSTAMPED_DAYS_LIMIT} days ahead")
    return instant


BrokerUsersText = Annotated[
    str,
    Field(
        pattern=r"^([^,=\s]+=[^,=\s]+(,[^,=\s]+=[^,=\s]+)*)?$",
        description="pairs of a role (a service's name, operator, or buoy, which MQTT devices share) and the broker user that"
        " has it, with commas: ingest=reef-ingest,operator=admin; a role that is not named has the user of its own name",
    ),
]
TelemetrySendersText = Annotated[
    str,
    Field(
        pattern=r"^[^,\s]+(,[^,\s]+)*$",
        description="the broker users that publish telemetry of any device over STOMP (gateways, partners), with commas",
    ),
]


class Settings(BaseSettings):
    """``load`` reads file and environment, once; the constructor reads nothing (tests pass keywords).

    A subclass names its ``SECTION``: that table of the file and ``REEFMESH_<SECTION>_<NAME>`` are for it alone, and win
    over the top of the file and over ``REEFMESH_<NAME>``. A field's description states the allowed values; errors quote it.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )
    SECTION: ClassVar[str] = ""
    ELSEWHERE: ClassVar[frozenset[str]] = frozenset(
        {"home", "mqtt_password", "mqtt_password_file", "visibility_timeout_seconds"}
    )
    """Settings of other programs that may stand at the top of the file: all programs of a machine share one file."""
    _files: dict[str, SecretOfFile] = PrivateAttr(default_factory=dict)
    """Secrets that were given as files."""
    OPTIONS: ClassVar[Mapping[str, str]] = {}
    """Setting -> its option on the command line, where that is not ``--`` and its name."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @classmethod
    def load(
        cls,
        *,
        environment: Mapping[str, str] | None = None,
        config: Path | None = None,
        overrides: Mapping[str, Any] | None = None,
        services: Sequence[ServiceEntry] = EVERY_SERVICE,
    ) -> Self:
        """Read the file (``config``, else ``REEFMESH_CONFIG``), the environment and ``overrides`` (they win).

        Every one of ``services`` may have its section in the file.

        Raises:
            ConfigurationError: one line that names the setting, its value (unless secret) and what is allowed.
        """
        environment = os.environ if environment is None else environment
        named = environment.get(CONFIG_VARIABLE)
        path = config or (Path(named) if named else None)
        layers = [
            *([_from_file(cls, path, sections=(*(each.name for each in services), COMMAND_SECTION))] if path else []),
            _from_environment(cls, environment, PREFIX),
            *([_from_environment(cls, environment, _section_prefix(cls))] if cls.SECTION else []),
            {
                name: (cls.OPTIONS.get(name, f"--{name.replace('_', '-')}"), value)
                for name, value in (overrides or {}).items()
                if value is not None
            },
        ]
        origins: dict[str, tuple[str, Any]] = {}
        for layer in layers:
            origins |= layer
        try:
            settings = cls(**{name: value for name, (_, value) in origins.items()})
        except ValidationError as error:
            mistakes = [_mistake(cls, each, origins) for each in error.errors(include_url=False)]
            raise ConfigurationError("; ".join(mistakes)) from None  # the cause would print secrets
        settings._files |= {name: value for name, (_, value) in origins.items() if isinstance(value, SecretOfFile)}
        return settings

    @classmethod
    def secrets(cls) -> Sequence[str]:
        """Return the settings that may be given as a file instead: ``<NAME>_FILE``, in the settings file ``<name>_file``."""
        return [name for name in cls.model_fields if _is_secret(cls, name)]

    @classmethod
    def variables(cls) -> frozenset[str]:
        """Return the name of every variable that ``load`` reads."""
        names = [*map(str.upper, cls.model_fields), *(f"{name.upper()}{SUFFIX}" for name in cls.secrets())]
        return frozenset(f"{prefix}{name}" for prefix in {PREFIX, _section_prefix(cls)} for name in names)

    @classmethod
    def refuse_misspelt_variables(
        cls, environment: Mapping[str, str] | None = None, *, services: Sequence[ServiceEntry] = EVERY_SERVICE
    ) -> None:
        """Refuse variables that look like settings of this service and are none; those of the other ``services`` and of the
        command are let be.

        Raises:
            ConfigurationError: one line with the nearest names.
        """
        sections = {*(each.name for each in services), COMMAND_SECTION} - {cls.SECTION}
        refuse_misspelt(
            os.environ if environment is None else environment,
            {*cls.variables(), *(f"{PREFIX}{name.upper()}" for name in cls.ELSEWHERE)},
            own_prefix=_section_prefix(cls),
            prefixes_of_others=[f"{PREFIX}{each.upper()}_" for each in sections],
        )


class ServiceSettings(Settings):
    """The settings that every service has."""

    broker_url: str = Field(
        pattern=r"^([a-z][a-z+]*://|[a-z]+:\()",
        description=f"a broker's address: {' or '.join(engine.example for engine in ENGINES)}",
    )
    broker_username: str | None = Field(default=None, description="a user name of the broker, when the address has none")
    broker_password: SecretStr | None = Field(default=None, description="a password of the broker, when the address has none")
    broker_users: BrokerUsersText = ""
    telemetry_senders: TelemetrySendersText = PUBLISHERS
    accept_unstamped_until: Annotated[AwareDatetime, AfterValidator(_soon)] | None = Field(
        default=None,
        description=f"an instant like 2026-12-24T00:00:00Z, at most {UNSTAMPED_DAYS_LIMIT} days ahead: until then messages are"
        " believed of which the broker does not state who sent them (for one upgrade)",
    )
    store_url: str = Field(
        pattern=r"^[a-z][a-z+]*://", description="a database's address: sqlite:////absolute/path or postgresql://user@host/name"
    )
    store_password: SecretStr | None = Field(default=None, description="a password of the database, when the address has none")
    http_host: str = Field(default="127.0.0.1", min_length=1, description="an address of this machine (0.0.0.0: all)")
    http_port: Annotated[int, Field(ge=0, le=65_535)] = Field(default=8080, description="a port from 0 (any free one) to 65535")
    lanes: Annotated[int, Field(ge=1, le=1024)] = Field(default=128, description="a whole number from 1 to 1024")
    drain_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=90.0, description="seconds, above 0 and at most 3600"
    )
    stall_after_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        default=STALL_AFTER_SECONDS, description="seconds, above 0 and at most 86400"
    )
    metrics_reefs_limit: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=1000, description="a whole number from 0 to 100000: reefs with series of their own; the rest share one, 'other'"
    )
    log_level: LogLevel = Field(default="info", description="debug, info, warning or error")
    log_format: LogFormat = Field(default="auto", description="auto (text on a terminal, else JSON), json or pretty")
    tracing: TracingKind = Field(
        default="off", description="off or otlp (spans to an OpenTelemetry collector, where the OTEL_ variables say)"
    )
    poison_policy: PoisonPolicy = Field(
        default="continue", description="continue (park the message alone) or park (and every later one of its reef)"
    )
    crash_limit: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=5, description="a whole number from 1 to 1000: tries of a message that kills its process"
    )
    gap_patience_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=60.0,
        description="seconds from 0 to 3600: how long a message waits for a missing earlier one of its reef",
    )
    reefs_cached_limit: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=20_000, description="a whole number from 1 to 1000000: reefs whose state is kept in memory"
    )
    parking_messages_limit: Annotated[int, Field(ge=1, le=9_000)] = Field(
        default=5_000,
        description="a whole number from 1 to 9000: messages that each subscription's parking keeps of those who may not be"
        " trusted with all of it",
    )
    parking_bytes_limit: Annotated[int, Field(ge=1024, le=1 << 40)] = Field(
        default=64 * 1024 * 1024, description="bytes, from 1024: what these messages may take"
    )
    parking_age_limit_days: Annotated[float, Field(ge=0, le=36_500)] = Field(
        default=30.0, description="days from 0 to 36500: how long they stay in a parking (0: for ever)"
    )
    parking_own_age_limit_days: Annotated[float, Field(ge=0, le=36_500)] = Field(
        default=365.0,
        description="days from 0 to 36500: how long messages of the mesh's own services stay in a parking (0: for ever)",
    )
    poison_breaker_ratio: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5, description="a share above 0 and at most 1 of the latest messages, and of their reefs"
    )
    poison_breaker_reefs: Annotated[int, Field(ge=2, le=200)] = Field(
        default=8, description="a whole number from 2 to 200: poison of fewer reefs never stops a service"
    )
    poison_linger_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=60.0,
        description="seconds from 0 to 3600: how long a service that stopped because of too much poison still shows its pages",
    )

    def broker_address(self) -> str:
        """Return the broker's address with user name and password in it: never to be logged."""
        return with_credentials(self.broker_url, self.broker_username, self.broker_password)

    def broker_password_reader(self) -> Callable[[], str] | None:
        """Return what reads the broker's password for each login; None: as for the database's."""
        return self._reader("broker_password", self.broker_url)

    def users_of_broker(self, own_roles: Sequence[str]) -> BrokerUsers:
        """Return the broker's users by their roles; whoever this process logs in as has its own roles besides."""
        users = users_of_broker(self.broker_users, self.telemetry_senders)
        own = urlsplit(self.broker_address()).username
        return users.with_own(unquote(own), own_roles) if own else users

    def store_address(self) -> str:
        """Return the database's address with its password in it: never to be logged."""
        return with_credentials(self.store_url, None, self.store_password)

    def store_password_reader(self) -> Callable[[], str] | None:
        """Return what reads the database's password for each connection, so that a changed one is seen; None: it is in no
        file, or the address has one, which wins."""
        return self._reader("store_password", self.store_url)

    def _reader(self, password: str, url: str) -> Callable[[], str] | None:
        secret = self._files.get(password)
        credentials = urlsplit(url).netloc.rpartition("@")[0]
        return None if secret is None or ":" in credentials else secret.read_again


def users_of_broker(pairs: str, telemetry_senders: str) -> BrokerUsers:
    """Return the users that the settings ``broker_users`` and ``telemetry_senders`` name."""
    renamed: dict[str, frozenset[str]] = {}
    for pair in pairs.split(",") if pairs else ():
        role, _, user = pair.partition("=")
        renamed[role] = renamed.get(role, frozenset()) | {user}
    return BrokerUsers(renamed=renamed, telemetry=frozenset(telemetry_senders.split(",")))


Origins = dict[str, tuple[str, Any]]
"""Setting -> (its place in an operator's words, value)."""


def with_credentials(url: str, username: str | None, password: SecretStr | None) -> str:
    """Return the address with user name and password added where it has none. Raises ConfigurationError if it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError("an address cannot be read: write [ and ] in user name and password as %5B and %5D") from None
    named, _, hosts = parts.netloc.rpartition("@")
    user, colon, secret = named.partition(":")
    if not (user or username) or (username is None and password is None):
        return url
    user = user or quote(username or "", safe="")
    secret = secret if colon or password is None else quote(password.get_secret_value(), safe="")
    return parts._replace(netloc=f"{user}:{secret}@{hosts}" if secret else f"{user}@{hosts}").geturl()


def _section_prefix(cls: type[Settings]) -> str:
    return f"{PREFIX}{cls.SECTION.upper()}_" if cls.SECTION else PREFIX


def _from_environment(cls: type[Settings], environment: Mapping[str, str], prefix: str) -> Origins:
    source = EnvSettingsSource(cls, env_prefix=prefix)
    source.env_vars = {name.lower(): value for name, value in environment.items()}
    try:
        values = source()
    except SettingsError as error:
        name = next((name for name in cls.model_fields if f'"{name}"' in str(error)), "")
        raise ConfigurationError(f"{prefix}{name.upper()} is not valid JSON{_allowed(cls, name)}") from None
    origins = {name: (f"{prefix}{name.upper()}", value) for name, value in values.items()}
    variables = {name.upper(): value for name, value in environment.items()}
    for name in cls.secrets():
        variable = f"{prefix}{name.upper()}"
        if f"{variable}{SUFFIX}" in variables:
            origins[name] = (f"{variable}{SUFFIX}", secret_of(variables, variable))
    return origins


def _from_file(cls: type[Settings], path: Path, *, sections: Sequence[str]) -> Origins:
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_LIMIT + 1)
        if len(text) > FILE_BYTES_LIMIT:
            raise ConfigurationError(f"the settings file {path} is larger than {FILE_BYTES_LIMIT} bytes")
        content = tomllib.loads(text.decode())
    except OSError as error:
        raise ConfigurationError(f"cannot read the settings file {path}: {(error.strerror or str(error)).lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the settings file {path} is not valid TOML: {' '.join(str(error).split())}") from None
    of_others = {*sections, cls.SECTION, *cls.ELSEWHERE} - set(cls.model_fields)
    top = {key: value for key, value in content.items() if key not in of_others}
    own = content.get(cls.SECTION, {}) if cls.SECTION else {}
    if not isinstance(own, dict):
        raise ConfigurationError(f"{cls.SECTION} in {path} must be a table: [{cls.SECTION}]")
    origins: Origins = {}
    for place, values in ((f"in {path}", top), (f"under [{cls.SECTION}] in {path}", own)):
        for key, value in values.items():
            if (secret := _secret_of_file_key(cls, key)) is not None:
                refuse_both(secret in values, f"{secret} {place}", key)
                origins[secret] = (f"{key} {place}", read_secret_file(Path(str(value)), named_by=f"{key} {place}"))
                continue
            if key not in cls.model_fields:
                near = difflib.get_close_matches(key, [*cls.model_fields, *sections, *cls.ELSEWHERE], n=1)
                hint = f"; is {near[0]} meant?" if near else f"; known are {', '.join(sorted(cls.model_fields))}"
                raise ConfigurationError(f"unknown setting {key} {place}{hint}")
            origins[key] = (f"{key} {place}", value)
    return origins


def _secret_of_file_key(cls: type[Settings], key: str) -> str | None:
    name = key.removesuffix(SUFFIX.lower())
    return name if name != key and name in cls.secrets() else None


def _mistake(cls: type[Settings], error: ErrorDetails, origins: Origins) -> str:
    name = str(error["loc"][0]) if error["loc"] else ""
    allowed = _allowed(cls, name)
    if error["type"] == "missing" and len(error["loc"]) == 1:
        return f"{PREFIX}{name.upper()} is not set{allowed}"
    if not name:
        return sentence_of(error)
    place, value = origins.get(name, (f"{PREFIX}{name.upper()}", error["input"]))
    inside = "".join(f".{part}" for part in error["loc"][1:])
    shown = "" if _is_secret(cls, name) else f" is {_shown(error['input'] if inside else value)}"
    if error["type"] == "extra_forbidden" and not inside:
        return f"unknown setting {place}"
    problem = f": {sentence_of(error)}" if error["type"] in ("value_error", "assertion_error") or inside or not allowed else ""
    return f"{place}{inside}{shown or ' is not valid'}{problem}{'' if inside else allowed}"


def _allowed(cls: type[Settings], name: str) -> str:
    field = cls.model_fields.get(name)
    return f"; set it to {field.description}" if field is not None and field.description else ""


def _is_secret(cls: type[Settings], name: str) -> bool:
    field = cls.model_fields.get(name)
    return field is not None and "Secret" in repr(field.annotation)


def _shown(value: object) -> str:
    text = hide_url_secrets(repr(value))
    return text if len(text) <= 120 else text[:117] + "..."

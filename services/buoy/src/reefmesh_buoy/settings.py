"""The settings file (TOML). Each mistake is one line that says what to set; a secret stands in a file of its own."""

import re
import termios
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from reefmesh_buoy.failures import WrongSetting

DEFAULT_FILE: Final = Path("/etc/reefmesh-buoy/agent.toml")
READINGS_DEFAULT: Final = 200_000
"""Eleven years of half-hourly readings; about 40 MB."""
PORTS: Final = {("mqtt", False): 1883, ("mqtt", True): 8883, ("stomp", False): 61613, ("stomp", True): 61614}

_DEVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REEF: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_OF_SOURCE: Final = {
    "command": {"command"},
    "serial": {"path", "baud"},
    "socket": {"address"},
    "folder": {"path"},
}
_OF_SEND: Final = {
    "http": {"url", "token_file"},
    "mqtt": {"host", "port", "tls", "user", "password_file", "certificate_file", "key_file"},
    "stomp": {"host", "port", "tls", "user", "password_file", "reef"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEntry:
    """``command``, ``path``, ``baud``, ``address``: what the kind of source needs of them."""

    kind: str
    again_seconds: float
    command: tuple[str, ...] = ()
    path: Path = Path()
    baud: int = 9600
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendEntry:
    """``url``, ``token_file`` of HTTP; the rest of MQTT and STOMP; ``reef`` of STOMP alone; ``certificate_file`` with
    ``key_file`` of MQTT alone."""

    transport: str
    timeout_seconds: float
    ca_file: str | None = None
    url: str = ""
    token_file: Path | None = None
    host: str = ""
    port: int = 0
    is_tls: bool = True
    user: str | None = None
    password_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    reef: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    device: str
    spool: Path
    spool_readings: int
    spool_bytes: int | None
    interval_seconds: float
    is_clock_trusted: bool
    send: SendEntry
    sources: tuple[SourceEntry, ...]


def read_settings(file: Path) -> AgentSettings:
    """Raises WrongSetting."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongSetting(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongSetting(f"{file} is no TOML: {error}") from None
    return settings_of(document)


def read_secret(file: Path | None, field: str) -> str:
    """Return the first line of a file. Raises WrongSetting."""
    try:
        lines = [] if file is None else file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSetting(f"{field}: {file} cannot be read: {error}") from None
    if not lines or not lines[0].strip():
        raise WrongSetting(f"{field}: put the secret into the first line of {file}")
    return lines[0].strip()


def settings_of(document: Mapping[str, Any]) -> AgentSettings:
    """Raises WrongSetting."""
    table = _Fields("", document)
    table.allow({"device", "spool", "spool_readings", "spool_bytes", "interval_seconds", "clock", "send", "source"})
    sources = document.get("source")
    if not isinstance(sources, list) or not sources:
        raise WrongSetting("source: name at least one, as [[source]]")
    clock = table.text("clock", "kernel")
    if clock not in {"kernel", "trusted"}:
        raise WrongSetting(f'clock must be "kernel" or "trusted", not {clock!r}')
    return AgentSettings(
        device=table.matching("device", _DEVICE),
        spool=Path(table.text("spool", "/var/lib/reefmesh-buoy/spool.db")),
        spool_readings=int(table.number("spool_readings", READINGS_DEFAULT, least=1000)),
        spool_bytes=int(table.number("spool_bytes", 0, least=1_000_000)) if "spool_bytes" in document else None,
        interval_seconds=table.number("interval_seconds", 60, least=0.05),
        is_clock_trusted=clock == "trusted",
        send=_send(_Fields("send.", document.get("send"))),
        sources=tuple(_source(_Fields(f"source[{place}].", each)) for place, each in enumerate(sources)),
    )


def _source(table: "_Fields") -> SourceEntry:
    kind = table.one_of("kind", _OF_SOURCE)
    table.allow({"kind", "again_seconds", *_OF_SOURCE[kind]})
    arguments = table.values.get("command", [])
    if kind == "command" and not (isinstance(arguments, list) and arguments and all(isinstance(a, str) for a in arguments)):
        raise WrongSetting(f'{table.place}command must be a list of texts: ["/usr/bin/program", "argument"]')
    baud = int(table.number("baud", 9600, least=50))
    if not hasattr(termios, f"B{baud}"):
        raise WrongSetting(f"{table.place}baud: no serial line knows {baud}; 9600 and 115200 are usual")
    address = table.text("address") if kind == "socket" else ""
    if kind == "socket" and not re.fullmatch(r"unix:/.+|.+:\d{1,5}", address):
        raise WrongSetting(f"{table.place}address must be unix:/path or host:port, not {address!r}")
    return SourceEntry(
        kind=kind,
        again_seconds=table.number("again_seconds", 10, least=0.05),
        command=tuple(arguments),
        path=Path(table.text("path")) if kind in {"serial", "folder"} else Path(),
        baud=baud,
        address=address,
    )


def _send(table: "_Fields") -> SendEntry:
    transport = table.one_of("transport", _OF_SEND)
    table.allow({"transport", "timeout_seconds", "ca_file", *_OF_SEND[transport]})
    timeout_seconds = table.number("timeout_seconds", 30, least=1)
    ca_file = table.text("ca_file") if "ca_file" in table.values else None
    if transport == "http":
        url = table.text("url")
        if urlsplit(url).scheme not in {"https", "http"} or not urlsplit(url).hostname:
            raise WrongSetting(f"send.url must be https://host[:port], not {url!r}")
        token_file = Path(table.text("token_file"))
        return SendEntry(transport=transport, timeout_seconds=timeout_seconds, ca_file=ca_file, url=url, token_file=token_file)
    is_tls = table.values.get("tls", True)
    if not isinstance(is_tls, bool):
        raise WrongSetting("send.tls must be true or false")
    if transport == "stomp" and is_tls and ca_file is None:
        raise WrongSetting("send.ca_file: STOMP with TLS needs the file of the authority that the broker's certificate is of")
    shows_certificate = not table.values.keys().isdisjoint({"certificate_file", "key_file"})
    if shows_certificate and not is_tls:
        raise WrongSetting("send.certificate_file: a certificate needs tls = true")
    needs_user = transport == "stomp" or "user" in table.values
    return SendEntry(
        transport=transport,
        timeout_seconds=timeout_seconds,
        ca_file=ca_file,
        host=table.text("host"),
        port=int(table.number("port", PORTS[transport, is_tls], least=1)),
        is_tls=is_tls,
        user=table.text("user") if needs_user else None,
        password_file=Path(table.text("password_file")) if needs_user else None,
        certificate_file=Path(table.text("certificate_file")) if shows_certificate else None,
        key_file=Path(table.text("key_file")) if shows_certificate else None,
        reef=table.matching("reef", _REEF) if transport == "stomp" else "",
    )


class _Fields:
    """A table of the file; ``place`` stands before its fields in what is wrong with them."""

    def __init__(self, place: str, values: object) -> None:
        if not isinstance(values, Mapping):
            raise WrongSetting(f"{place.rstrip('.')}: this table is missing")
        self.place, self.values = place, values

    def allow(self, fields: set[str]) -> None:
        if strange := sorted(self.values.keys() - fields):
            raise WrongSetting(f"{self.place}{strange[0]} is no setting here; there are {', '.join(sorted(fields))}")

    def text(self, field: str, default: str | None = None) -> str:
        value = self.values.get(field, default)
        if not isinstance(value, str) or not value:
            raise WrongSetting(f"{self.place}{field} must be set, as a text")
        return value

    def matching(self, field: str, pattern: re.Pattern[str]) -> str:
        value = self.text(field)
        if not pattern.fullmatch(value):
            raise WrongSetting(f"{self.place}{field}: {value!r} does not match {pattern.pattern}")
        return value

    def one_of(self, field: str, names: Mapping[str, object]) -> str:
        value = self.values.get(field)
        if not isinstance(value, str) or value not in names:
            raise WrongSetting(f"{self.place}{field} must be one of {', '.join(names)}, not {value!r}")
        return value

    def number(self, field: str, default: float, *, least: float) -> float:
        value = self.values.get(field, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= 1e12:
            if field not in self.values:
                return default
            raise WrongSetting(f"{self.place}{field} must be a number from {least:g} up, not {value!r}")
        return value

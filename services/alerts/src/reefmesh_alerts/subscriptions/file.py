"""Reading the subscriptions file (TOML): every mistake is one line that names the file, the entry and the field."""

import os
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reefmesh.errors import ConfigurationError
from reefmesh_alerts.subscriptions.entries import (
    ChannelEntry,
    ConsoleEntry,
    EmailEntry,
    SubscriptionEntry,
    SubscriptionsFile,
)

FILE_BYTES_LIMIT: Final = 4 * 1024 * 1024
SECRET_FIELDS: Final = ("password", "secret")
ENVIRONMENT_REFERENCE: Final = "env:"

CONSOLE_ALONE: Final = SubscriptionsFile(
    channel=[ConsoleEntry(type="console", name="console")],
    subscription=[SubscriptionEntry(name="console", who="whoever reads the log", channels=["console"])],
)
"""What holds without a file: everything that is not old goes to the log."""


def read_subscriptions(path: Path, *, environment: Mapping[str, str] | None = None) -> SubscriptionsFile:
    """Read and check a file; secrets are taken from the environment variables that it names.

    Raises:
        ConfigurationError: it cannot be read or is wrong.
    """
    try:
        if path.stat().st_size > FILE_BYTES_LIMIT:
            raise ConfigurationError(f"{path}: larger than {FILE_BYTES_LIMIT} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 at byte {error.start}") from error
    return parse_subscriptions(text, name=str(path), environment=os.environ if environment is None else environment)


def parse_subscriptions(text: str, *, name: str, environment: Mapping[str, str]) -> SubscriptionsFile:
    """As ``read_subscriptions``, from text; ``name`` is what errors call the file."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}: not TOML: {error}") from error
    _fill_in_secrets(tables, name, environment)
    try:
        file = SubscriptionsFile.model_validate(tables)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise ConfigurationError(f"{name}: {_said(first, tables)}"[:500]) from None  # the cause would print secrets
    _check_names(file, name)
    return file


def _fill_in_secrets(tables: Mapping[str, Any], name: str, environment: Mapping[str, str]) -> None:
    channels = tables.get("channel")
    for number, channel in enumerate(channels if isinstance(channels, list) else [], start=1):
        for field in SECRET_FIELDS if isinstance(channel, dict) else ():
            given = channel.get(field)
            if given is None:
                continue
            place = f"{name}: channel {number} ({channel.get('name', 'no name')}), {field}"
            if not isinstance(given, str) or not given.startswith(ENVIRONMENT_REFERENCE):
                raise ConfigurationError(f'{place}: no secrets in files; write "env:NAME" and set that variable')
            variable = given.removeprefix(ENVIRONMENT_REFERENCE)
            if not environment.get(variable):
                raise ConfigurationError(f"{place}: the environment variable {variable} is not set")
            channel[field] = environment[variable]


def _said(error: ErrorDetails, tables: Mapping[str, Any]) -> str:
    loc = list(error["loc"])
    place = ""
    if len(loc) >= 2 and isinstance(loc[1], int):
        entry = tables[str(loc[0])][loc[1]]
        called = f" ({entry['name']})" if isinstance(entry, dict) and isinstance(entry.get("name"), str) else ""
        place = f"{loc[0]} {loc[1] + 1}{called}"
        # Behind the number of a channel stands its type, which is no field.
        loc = loc[3:] if loc[0] == "channel" and len(loc) > 2 else loc[2:]
    field = ".".join(str(part) for part in loc)
    message = " ".join(error["msg"].removeprefix("Value error, ").split())
    if error["type"] == "extra_forbidden":
        message = "there is no such field"
    given = error["input"]
    secret = any(str(part) in SECRET_FIELDS for part in loc)
    shown = f" (not {given!r})" if isinstance(given, str | int | float) and not secret and error["type"] != "missing" else ""
    return f"{', '.join(part for part in (place, field) if part)}: {message}{shown}"


def _check_names(file: SubscriptionsFile, name: str) -> None:
    _refuse_twice([channel.name for channel in file.channel], f"{name}: channel")
    _refuse_twice([subscription.name for subscription in file.subscription], f"{name}: subscription")
    channels: dict[str, ChannelEntry] = {channel.name: channel for channel in file.channel}
    for number, subscription in enumerate(file.subscription, start=1):
        place = f"{name}: subscription {number} ({subscription.name})"
        for wanted in subscription.channels:
            channel = channels.get(wanted)
            if channel is None:
                known = ", ".join(channels) or "none is defined"
                raise ConfigurationError(f"{place}, channels: there is no channel {wanted!r} ({known})")
            if isinstance(channel, EmailEntry) and not subscription.to:
                raise ConfigurationError(f"{place}, to: the channel {wanted!r} needs at least one address")


def _refuse_twice(names: Sequence[str], place: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigurationError(f"{place} {twice[0]!r} is there twice")

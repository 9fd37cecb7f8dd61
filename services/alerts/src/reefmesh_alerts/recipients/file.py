"""Reading the subscriptions file (TOML): every mistake is one line that names the file, the entry and the field."""

import os
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reefmesh.errors import ConfigurationError
from reefmesh.mistake_sentence import sentence_of
from reefmesh.secret_files import SUFFIX, secret_of
from reefmesh_alerts.recipients.entries import RecipientEntry, SubscriptionsFile
from reefmesh_alerts.recipients.old_words import with_new_words
from reefmesh_alerts.targets.entries import ConsoleEntry, EmailEntry, TargetEntry

FILE_BYTES_LIMIT: Final = 4 * 1024 * 1024
SECRET_FIELDS: Final = ("password", "secret", "previous_secret")
STAND_INS: Final = {"url": "ntfys://stand-in"}
ENVIRONMENT_REFERENCE: Final = "env:"

CONSOLE_ALONE: Final = SubscriptionsFile(
    target=[ConsoleEntry(type="console", name="console")],
    subscription=[RecipientEntry(name="console", who="whoever reads the log", targets=["console"])],
)
"""In force when there is no file: every alert on fresh data goes to the log."""


def read_subscriptions(path: Path, *, environment: Mapping[str, str] | None = None) -> SubscriptionsFile:
    """Read and check a file; secrets are taken from the environment variables that it names, or from the files that
    ``<variable>_FILE`` name.

    Raises:
        ConfigurationError: it cannot be read or is wrong; its first mistake.
    """
    return _first_mistake_raised(*check_subscriptions(path, environment=environment))


def check_subscriptions(
    path: Path, *, environment: Mapping[str, str] | None = None
) -> tuple[SubscriptionsFile | None, Sequence[str]]:
    """As ``read_subscriptions``, but return the file and all of its mistakes, one line each; None if it cannot be understood.

    Raises:
        ConfigurationError: it cannot be read, or is not TOML.
    """
    try:
        if path.stat().st_size > FILE_BYTES_LIMIT:
            raise ConfigurationError(f"{path}: larger than {FILE_BYTES_LIMIT} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 at byte {error.start}") from error
    return _checked(text, name=str(path), environment=os.environ if environment is None else environment)


def parse_subscriptions(text: str, *, name: str, environment: Mapping[str, str]) -> SubscriptionsFile:
    """As ``read_subscriptions``, from text; ``name`` is the file's name in messages."""
    return _first_mistake_raised(*_checked(text, name=name, environment=environment))


def _first_mistake_raised(file: SubscriptionsFile | None, mistakes: Sequence[str]) -> SubscriptionsFile:
    if mistakes or file is None:
        raise ConfigurationError(mistakes[0])
    return file


def _checked(text: str, *, name: str, environment: Mapping[str, str]) -> tuple[SubscriptionsFile | None, Sequence[str]]:
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}: not TOML: {error}") from error
    tables, places = with_new_words(written, name=name)
    mistakes = list(_fill_in_secrets(tables, places, name, environment))
    try:
        file = SubscriptionsFile.model_validate(tables)
    except ValidationError as error:  # not its cause: that shows secrets
        errors = error.errors(include_url=False)
        return None, [*mistakes, *(f"{name}: {_described(each, tables, places)}"[:500] for each in errors)]
    return file, [*mistakes, *_wrong_names(file, name)]


def _fill_in_secrets(
    tables: Mapping[str, Any], places: Sequence[str], name: str, environment: Mapping[str, str]
) -> Iterator[str]:
    """Put each secret in the place of its reference; yield a line for each that there is not, and put another in its place so
    that the rest of the file can be checked."""
    targets = tables.get("target")
    for target, place in zip(targets if isinstance(targets, list) else [], places, strict=True):
        for field in secret_fields(target) if isinstance(target, dict) else ():
            given = target.get(field)
            if given is None:
                continue
            where = f"{name}: {place} ({target.get('name', 'no name')}), {field}"
            try:
                target[field] = _secret(given, environment)
            except ConfigurationError as mistake:
                yield f"{where}: {mistake}"
                target[field] = STAND_INS.get(field, f"no {field} was given")


def secret_fields(target: Mapping[str, Any]) -> Sequence[str]:
    """Return the fields of a ``[[target]]`` table that are secrets; the address of a service holds its keys."""
    return (*SECRET_FIELDS, "url") if target.get("type") == "apprise" else SECRET_FIELDS


def _secret(given: object, environment: Mapping[str, str]) -> str:
    if not isinstance(given, str) or not given.startswith(ENVIRONMENT_REFERENCE):
        raise ConfigurationError('no secrets in files; write "env:NAME" and set that variable')
    variable = given.removeprefix(ENVIRONMENT_REFERENCE)
    secret = secret_of(environment, variable)
    if not secret:
        raise ConfigurationError(f"the environment variable {variable} is not set, nor is {variable}{SUFFIX}")
    return secret


def _described(error: ErrorDetails, tables: Mapping[str, Any], places: Sequence[str]) -> str:
    loc = list(error["loc"])
    place, entry = "", None
    if len(loc) >= 2 and isinstance(loc[1], int):
        entry = tables[str(loc[0])][loc[1]]
        called = f" ({entry['name']})" if isinstance(entry, dict) and isinstance(entry.get("name"), str) else ""
        place = (places[loc[1]] if loc[0] == "target" else f"{loc[0]} {loc[1] + 1}") + called
        # After the number of a target comes its type, which is not a field.
        loc = loc[3:] if loc[0] == "target" and len(loc) > 2 else loc[2:]
    field = ".".join(str(part) for part in loc)
    given = error["input"]
    of_target = entry if place and isinstance(entry, dict) else {}
    secret = any(str(part) in secret_fields(of_target) for part in loc)
    shown = f" (not {given!r})" if isinstance(given, str | int | float) and not secret and error["type"] != "missing" else ""
    return f"{', '.join(part for part in (place, field) if part)}: {sentence_of(error)}{shown}"


def _wrong_names(file: SubscriptionsFile, name: str) -> Iterator[str]:
    yield from _given_twice([target.name for target in file.target], f"{name}: target")
    yield from _given_twice([recipient.name for recipient in file.subscription], f"{name}: subscription")
    targets: dict[str, TargetEntry] = {target.name: target for target in file.target}
    for number, recipient in enumerate(file.subscription, start=1):
        place = f"{name}: subscription {number} ({recipient.name})"
        for wanted in recipient.targets:
            target = targets.get(wanted)
            if target is None:
                known = ", ".join(targets) or "none is defined"
                yield f"{place}, targets: there is no target {wanted!r} ({known})"
            if isinstance(target, EmailEntry) and not recipient.to:
                yield f"{place}, to: the target {wanted!r} needs at least one address"


def _given_twice(names: Sequence[str], place: str) -> Iterator[str]:
    yield from (f"{place} {twice!r} is there twice" for twice, count in Counter(names).items() if count > 1)

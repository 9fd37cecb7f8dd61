"""Shared by ``reefs`` and ``buoys``: opens the register, shows an entry and changes it field by field."""

import difflib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from reefmesh.errors import ConfigurationError
from reefmesh.mistake_sentence import sentence_of
from reefmesh.store.connect import open_store
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_ingest.bootstrap import MIGRATIONS
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.commands.context import people, print_json, results
from reefmesh_standalone.home import Home

Entry = TypeVar("Entry", bound=BaseModel)


@asynccontextmanager
async def open_register(place: Home, *, create: bool = False) -> AsyncIterator[Register]:
    """Open the register of a home, beside a mesh that is up or without one.

    Raises:
        ConfigurationError: there is none, and ``create`` does not ask for one.
    """
    if create:
        place.create()
    elif not place.exists():
        raise ConfigurationError(
            f"there is no register in {place.path} yet; 'reefmesh reefs set' or 'reefmesh reefs load' begins one,"
            " or give another --home"
        )
    store = open_store(place.store_address("ingest"), migrations=MIGRATIONS)
    await store.open()
    try:
        register = Register(store)
        await register.refresh()
        yield register
    finally:
        await store.close()


def changed(kind: type[Entry], current: dict[str, Any], fields: Sequence[str]) -> Entry:
    """Return an entry with ``field=value`` texts applied; values are JSON where they parse as such, else text.

    Raises:
        ConfigurationError: no field at all, none of that name, one that is stated twice, or a value that it does not take.
    """
    values, stated = dict(current), dict[str, str]()
    known = [name for name in kind.model_fields if name != "id"]
    if not fields:
        raise ConfigurationError(f"state what to set, as field=value or as an option; the fields are {', '.join(known)}")
    for field in fields:
        name, separator, text = field.partition("=")
        if not separator or name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"is {near[0]} meant?" if near and separator else f"the fields are {', '.join(known)}"
            raise ConfigurationError(f"'{field}' is not field=value with a field that is known; {hint}")
        if stated.setdefault(name, text) != text:
            raise ConfigurationError(f"{name} is stated twice: {stated[name]} and {text}")
        values[name] = _value(kind, name, text)
    return entry_of(kind, values)


def entry_of(kind: type[Entry], values: dict[str, Any]) -> Entry:
    """Return a checked entry.

    Raises:
        ConfigurationError: one line that names the field, its value and what is wrong with it.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        lacking = [str(each["loc"][0]) for each in mistakes if each["type"] == "missing" and len(each["loc"]) == 1]
        if lacking:
            raise ConfigurationError(
                f"{_listed(lacking)} not given: write {' '.join(f'{each}=...' for each in lacking)}"
            ) from None
        first = mistakes[0]
        place = ".".join(str(part) for part in first["loc"])
        shown = f" is {first['input']!r}" if place and not isinstance(first["input"], dict) else ""
        raise ConfigurationError(f"{place}{shown}: {sentence_of(first)}".lstrip(": ")) from None


def show_entry(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """Print an entry: one document, or a line for each field as ``set`` takes it; what nobody set goes beside it."""
    if as_json:
        print_json(fields)
        return
    for name, value in fields.items():
        if name == "in_force":
            in_force = ", ".join(f"{key}={json.dumps(each)}" for key, each in value.items())
            people.print(plain(f"In force, from the entry and from reports: {in_force}"), soft_wrap=True)
        else:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            results().print(plain(f"{name}={shown}"), soft_wrap=True)


def _listed(names: Sequence[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} are"


def _value(kind: type[BaseModel], name: str, text: str) -> Any:
    if kind.model_fields[name].annotation is str:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text

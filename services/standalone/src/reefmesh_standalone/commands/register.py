"""Shared by ``reefs`` and ``buoys``: opens the register, and changes an entry field by field."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from reefmesh.errors import ConfigurationError
from reefmesh.store.connect import open_store
from reefmesh_ingest.bootstrap import MIGRATIONS
from reefmesh_ingest.register.table import Register
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
    else:
        place.require()
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
        ConfigurationError: no such field, or a value that it does not take.
    """
    values = dict(current)
    for field in fields:
        name, separator, text = field.partition("=")
        if not separator or name not in kind.model_fields or name == "id":
            known = ", ".join(name for name in kind.model_fields if name != "id")
            raise ConfigurationError(f"'{field}' is not field=value with one of the fields {known}")
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
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        if first["type"] == "missing":
            raise ConfigurationError(f"{place} is not given: write {place}=...") from None
        shown = f" is {first['input']!r}" if place and not isinstance(first["input"], dict) else ""
        raise ConfigurationError(f"{place}{shown}: {problem[:1].lower()}{problem[1:]}".lstrip(": ")) from None


def _value(kind: type[BaseModel], name: str, text: str) -> Any:
    if kind.model_fields[name].annotation is str:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text

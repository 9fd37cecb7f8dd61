"""The register as a file (TOML), and one line for each way in which it can be wrong: file, line, field, what to write."""

import re
import tomllib
from pathlib import Path
from typing import Final

import structlog
from pydantic import Field, ValidationError

from reefmesh.contracts.contract import Contract
from reefmesh.errors import ConfigurationError
from reefmesh.mistake_sentence import sentence_of
from reefmesh_ingest.register.entries import OLD_QUANTITY_KEY, BuoyEntry, ReefEntry

FILE_BYTES_LIMIT: Final = 64 * 1024 * 1024

_HEADER: Final = re.compile(r"^\s*\[(\[)?\s*([A-Za-z0-9_.\s-]+?)\s*\]?\]")
_KEY: Final = re.compile(r"^\s*\"?([A-Za-z0-9_-]+)\"?\s*(?:\.|=)")

log = structlog.get_logger()


class RegisterFile(Contract):
    """All ``[[reef]]`` and ``[[buoy]]`` tables of a file."""

    reef: list[ReefEntry] = Field(default_factory=list)
    buoy: list[BuoyEntry] = Field(default_factory=list)


def read_register(path: Path) -> RegisterFile:
    """Read and check a file.

    Raises:
        ConfigurationError: it cannot be read or is wrong; the message is one line that names file, line and field.
    """
    try:
        if path.stat().st_size > FILE_BYTES_LIMIT:
            raise ConfigurationError(f"{path}: larger than {FILE_BYTES_LIMIT} bytes, split the register")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 at byte {error.start}") from error
    return parse_register(text, name=str(path))


def parse_register(text: str, *, name: str) -> RegisterFile:
    """As ``read_register``, from text; ``name`` is what errors call the file."""
    try:
        document = tomllib.loads(text)
        register = RegisterFile.model_validate(document)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}: not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        line = _line_of(text, first["loc"])
        field = ".".join(str(part) for part in first["loc"])
        given = first["input"]
        shown = f" (not {given!r})" if isinstance(given, str | int | float) and "missing" not in first["type"] else ""
        raise ConfigurationError(f"{name}, line {line}: {field}: {sentence_of(first)}{shown}"[:500]) from error
    _check_names(register, text, name)
    old = [buoy["id"] for buoy in document.get("buoy", ()) for sensor in buoy.get("sensor", ()) if OLD_QUANTITY_KEY in sensor]
    if old:
        facts = {"file": name, "key": OLD_QUANTITY_KEY, "write": "quantity", "sensors": len(old), "first_buoy": old[0]}
        log.warning("register: deprecated key of a sensor", **facts)
    return register


def _check_names(register: RegisterFile, text: str, name: str) -> None:
    seen: dict[str, str] = {}
    for index, reef in enumerate(register.reef):
        if reef.id in seen:
            raise ConfigurationError(f"{name}, line {_line_of(text, ('reef', index, 'id'))}: reef {reef.id} is there twice")
        seen[reef.id] = "reef"
    devices: dict[str, str] = {}
    for index, buoy in enumerate(register.buoy):
        for device in (buoy.id, *buoy.aliases):
            if device in devices:
                line = _line_of(text, ("buoy", index, "id"))
                raise ConfigurationError(f"{name}, line {line}: device {device} is there twice (see {devices[device]})")
            devices[device] = buoy.id


def _line_of(text: str, location: tuple[int | str, ...]) -> int:
    """Return the line of the field at ``location`` (``("buoy", 1, "sensor", 0, "unit")``), or of the nearest table above it.

    tomllib keeps no positions, so headers are counted here; a best effort that is right for tables written one under the other.
    """
    best, best_length = 1, 0
    counts: dict[tuple[int | str, ...], int] = {}
    here: tuple[int | str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header is not None:
            here = _table_of(header[2], repeated=header[1] is not None, counts=counts)
            reached = here
        elif (key := _KEY.match(line)) is not None:
            reached = (*here, key[1])
        else:
            continue
        if location[: len(reached)] == reached and len(reached) > best_length:
            best, best_length = number, len(reached)
    return best


def _table_of(dotted: str, *, repeated: bool, counts: dict[tuple[int | str, ...], int]) -> tuple[int | str, ...]:
    here: tuple[int | str, ...] = ()
    parts = [part.strip() for part in dotted.split(".")]
    for place, part in enumerate(parts):
        here = (*here, part)
        if place == len(parts) - 1 and repeated:
            counts[here] = counts.get(here, -1) + 1
        if here in counts:
            here = (*here, counts[here])
    return here

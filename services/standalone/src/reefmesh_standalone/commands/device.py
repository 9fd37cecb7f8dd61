"""``reefmesh buoys ping`` and ``reboot``: a command to a device, and its answer."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import typer

from reefmesh.broker.connect import ENGINES, open_broker
from reefmesh.broker.devices import DeviceBroker
from reefmesh.clock import SystemClock
from reefmesh.errors import ConfigurationError, TransientError
from reefmesh.store.connect import open_store
from reefmesh.store.port import Store
from reefmesh_ingest.bootstrap import MIGRATIONS
from reefmesh_ingest.domain.decode.values import instant_of
from reefmesh_ingest.receipts import last_received
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.commands.context import (
    BrokerOption,
    ConfigOption,
    HomeOption,
    JsonOption,
    Outcome,
    StoreOption,
    home_of,
    print_json,
    results,
    run,
    until_stopped,
)
from reefmesh_standalone.commands.reef_table import age
from reefmesh_standalone.device_commands import Answer, Command, DeviceCommands
from reefmesh_standalone.home import Home

IMEI_DIGITS: Final = 15
DEVICE_ENGINE: Final = next(engine for engine in ENGINES if engine.reaches_devices)

ImeiArgument = Annotated[str, typer.Argument(metavar="IMEI", help="IMEI of the device.", show_default=False)]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.1, max=3600, help="Seconds to wait for the answer.")]

Found = TypeVar("Found")


class NoAnswer(TransientError):
    """The device did not answer in time; it may later."""


def ping(
    imei: ImeiArgument,
    timeout: TimeoutOption = 10.0,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a device whether it is there.

    The command goes to the device over MQTT, through the broker. Exit codes: 0 it answered, 1 it answered that it failed,
    75 no answer in time (or no broker), 78 wrong settings.

    Examples:
      reefmesh buoys ping 867740030000003 --timeout 30 --broker stomp+ssl://operator@broker:61614
    """
    _command("ping", imei, timeout, home_of(home, broker, store, config), as_json=as_json)


def reboot(
    imei: ImeiArgument,
    timeout: TimeoutOption = 30.0,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a device restart.

    It answers before it does so. Exit codes as of 'reefmesh buoys ping'.

    Examples:
      reefmesh buoys reboot 867740030000003 --broker stomp+ssl://operator@broker:61614
    """
    _command("reboot", imei, timeout, home_of(home, broker, store, config), as_json=as_json)


def _command(command: Command, name: str, timeout_seconds: float, place: Home, *, as_json: bool) -> None:
    async def asked() -> None:
        device = await _looked_up(place, partial(_device, name)) or name
        answer = await _ask(place, device, command, timeout_seconds)
        if as_json:
            seen = await _looked_up(place, partial(_last_seen, device))
            print_json(_document(device, command, answer, seen))
        if answer is None:
            seen = await _looked_up(place, partial(_last_seen, device))
            since = "last seen: unknown" if seen is None else f"last seen {age(seen, datetime.now(UTC))} ago"
            raise NoAnswer(f"no answer of {device} to {command} within {timeout_seconds:g} s; {since}")
        if not as_json:
            results().print(_sentence(device, command, answer))
        if not answer.is_ok:
            raise Outcome(1)

    run(lambda stop: until_stopped(stop, asked()))


async def _ask(place: Home, device: str, command: Command, timeout_seconds: float) -> Answer | None:
    broker = open_broker(place.broker_address(), clock=SystemClock())
    if not isinstance(broker, DeviceBroker):
        raise ConfigurationError(
            f"devices are reached through {DEVICE_ENGINE.system}, which this mesh does not use;"
            f" name its address with --broker {DEVICE_ENGINE.schemes[-1]}://..."
        )
    await broker.connect()
    try:
        commands = DeviceCommands(broker.device_topics(), device_senders=place.device_senders)
        return await commands.send(device, command, timeout_seconds=timeout_seconds)
    finally:
        await broker.close()


async def _looked_up(place: Home, look: Callable[[Store], Awaitable[Found | None]]) -> Found | None:
    """Ask ingest's database, if it is there: a device can be reached without it."""
    if not place.exists():
        return None
    store = open_store(place.store_address("ingest"), migrations=MIGRATIONS)
    try:
        await store.open()
        return await look(store)
    except TransientError:
        return None
    finally:
        await store.close()


async def _device(name: str, store: Store) -> str | None:
    """Return the IMEI of a buoy that was named otherwise, where the register knows one."""
    register = Register(store)
    await register.refresh()
    known = register.buoy(name)
    if known is None or _is_imei(name):
        return None
    return next((each for each in (known.entry.id, *known.entry.aliases) if _is_imei(each)), None)


async def _last_seen(device: str, store: Store) -> datetime | None:
    register = Register(store)
    await register.refresh()
    known = register.buoy(device)
    received_us = await last_received(store, device=device, buoy_id=known.entry.id if known else None)
    return None if received_us is None else instant_of(received_us)


def _is_imei(name: str) -> bool:
    return len(name) == IMEI_DIGITS and name.isascii() and name.isdigit()


def _sentence(device: str, command: Command, answer: Answer) -> str:
    if answer.is_ok:
        return f"{device} answered {command} after {answer.after_seconds:.1f} s: ok"
    why = f" ({answer.reason})" if answer.reason else ""
    return f"{device} answered {command} after {answer.after_seconds:.1f} s: {answer.status}{why}"


def _document(device: str, command: Command, answer: Answer | None, seen: datetime | None) -> dict[str, Any]:
    return {
        "device": device,
        "command": command,
        "answered": answer is not None,
        **(asdict(answer) if answer else {}),
        "last_seen_at": seen.isoformat() if seen else None,
    }

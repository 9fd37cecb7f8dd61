"""``reefmesh send``: sends raw payloads unchanged and reports the outcome of each."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import uuid4

import typer

from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh.contracts.channels import UNREGISTERED
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT, Envelope
from reefmesh.contracts.schema import NEMOPI_2021_1, NEMOPI_MQTT_1, TELEMETRY_1
from reefmesh.errors import ConfigurationError
from reefmesh.service.exit import explain
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_ingest.domain.decode import Reason, Refusal, Report, decode
from reefmesh_ingest.receipts import Receipt
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
    refuse_unfinished,
    results,
    run,
)
from reefmesh_standalone.commands.progress import bars
from reefmesh_standalone.commands.reef_table import table_of
from reefmesh_standalone.commands.replaying import counted
from reefmesh_standalone.following import Follower
from reefmesh_standalone.sending import send_all
from reefmesh_standalone.session import mesh_session


class PayloadFormat(StrEnum):
    """The values of ``--format``."""

    NEMOPI_MQTT = "nemopi-mqtt"
    NEMOPI_2021 = "nemopi-2021"
    TELEMETRY = "telemetry"


SCHEMAS: Final = {
    PayloadFormat.NEMOPI_MQTT: NEMOPI_MQTT_1,
    PayloadFormat.NEMOPI_2021: NEMOPI_2021_1,
    PayloadFormat.TELEMETRY: TELEMETRY_1,
}


def send(
    files: Annotated[list[str], typer.Argument(metavar="FILE|- ...", help="Payloads; - reads standard input.")],
    payload_format: Annotated[PayloadFormat, typer.Option("--format", help="What the payloads are.")],
    buoy: Annotated[
        str | None,
        typer.Option(
            help="IMEI, serial number or name of the buoy that sent them; not needed where the payload names it.",
            show_default=False,
        ),
    ] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Each line is a payload of its own.")] = False,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send raw payloads to the mesh and report the outcome of each.

    They go to the mesh that is up in the home (or behind --broker); without one, the mesh runs for as long as it takes.
    Exit code 0: all became readings or duplicates; 1: something was quarantined.

    Examples:
      reefmesh send report.json --format nemopi-2021
      reefmesh send - --lines --format nemopi-mqtt --buoy 867740030000003 < reports.jsonl
    """
    place = home_of(home, broker, store, config)
    payloads = _read_all(files, lines=lines)
    devices = _devices(payloads, SCHEMAS[payload_format], buoy)

    async def main(stop: asyncio.Event) -> None:
        async with mesh_session(place, clock=SystemClock(), run_services=place.embedded, config=config) as session:
            register = Register(session.stores[services.INGEST])
            await register.refresh()
            messages = [
                _message(payload, SCHEMAS[payload_format], device, register)
                for (_, payload), device in zip(payloads, devices, strict=True)
            ]
            follower = Follower(session.stores, [(message.event_id, message.reef_id) for message in messages])
            with bars(quiet=as_json or len(messages) == 1) as add:
                sent, done = add("sent", len(messages)), add("through the mesh", len(messages))
                await send_all(session.broker, messages, report=sent, stop=stop)
                complete = await follower.until_done(done, stop=stop, ended=session.ended)
            receipts = [follower.receipts.get(message.event_id) for message in messages]
            outcomes = [
                _Outcome(payload=name, device=device, receipt=receipt)
                for (name, _), device, receipt in zip(payloads, devices, receipts, strict=True)
            ]
            if as_json:
                print_json([_document(outcome) for outcome in outcomes])
            else:
                _show(outcomes)
            refuse_unfinished(complete, session, kept="what was sent is safe in the broker; its outcome was not awaited.")
        if any(receipt is None or receipt.outcome == "quarantined" for receipt in receipts):
            raise Outcome(1)

    run(main)


def _read_all(files: Sequence[str], *, lines: bool) -> list[tuple[str, bytes]]:
    """Read before the event loop runs, so that Ctrl-C works while a terminal or pipe sends nothing."""
    try:
        payloads = [part for file in files for part in _read(file, lines=lines)]
    except ConfigurationError as error:
        raise typer.Exit(explain(error)) from None
    if not payloads:
        raise typer.Exit(explain(ConfigurationError("there is nothing to send: every line of the input is empty")))
    return payloads


def _read(file: str, *, lines: bool) -> list[tuple[str, bytes]]:
    """Return (its name, payload) of one argument, limited to the size that a broker carries."""
    at_most = -1 if lines else BODY_BYTES_LIMIT + 1
    try:
        if file == "-":
            content = sys.stdin.buffer.read(at_most)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(at_most)
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {(error.strerror or str(error)).lower()}") from None
    name = "standard input" if file == "-" else file
    parts = [(f"{name}:{number}", line) for number, line in enumerate(content.splitlines(), start=1) if line.strip()]
    payloads = parts if lines else [(name, content)]
    for called, payload in payloads:
        if len(payload) > BODY_BYTES_LIMIT:
            raise ConfigurationError(f"{called} is larger than the {BODY_BYTES_LIMIT} bytes that a broker carries")
    return payloads


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    """Under which name a payload is sent, and how it names its sender itself."""

    name: str
    in_payload: str | None

    @property
    def differs(self) -> str:
        """Both names where they are two, for the end of a sentence."""
        return "" if self.in_payload in (None, self.name) else f" --buoy says {self.name}, the payload {self.in_payload}."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    payload: str
    device: _Device
    receipt: Receipt | None

    @property
    def sentence(self) -> str | None:
        """Why the payload was refused as a whole."""
        if self.receipt is None or not self.receipt.reason:
            return None
        reason = Reason(self.receipt.reason)
        return reason.sentence + (self.device.differs if reason is Reason.DEVICE_MISMATCH else "")


def _devices(payloads: Sequence[tuple[str, bytes]], schema_id: str, buoy: str | None) -> list[_Device]:
    """Return the sender of each payload; ends the command when nobody says it."""
    devices = []
    for name, payload in payloads:
        report = _decoded(schema_id, payload)
        named = report.device if isinstance(report, Report) else None
        sender = buoy or named
        if sender is None:
            why, then = "The payload does not name its device.", ""
            if isinstance(report, Refusal):
                why, then = report.reason.sentence, ", and it is kept in quarantine"
            hint = f"say with --buoy which buoy sent it{then}"
            raise typer.Exit(explain(ConfigurationError(f"{name}: {why} Nothing was sent; {hint}")))
        devices.append(_Device(name=sender, in_payload=named))
    return devices


def _decoded(schema_id: str, payload: bytes) -> Report | Refusal:
    try:
        return decode(schema_id, payload)
    except Exception:  # noqa: BLE001 - a decoder's own fault is for ingest, which keeps the payload
        return Refusal(reason=Reason.DECODER_FAULT)


def _message(payload: bytes, schema_id: str, device: _Device, register: Register) -> Envelope:
    now = SystemClock().now()
    known = register.buoy(device.name)
    return Envelope(
        event_id=str(uuid4()),
        reef_id=known.entry.reef if known else UNREGISTERED,
        schema_id=schema_id,
        produced_at=now,
        body=payload,
        headers={"device": device.name, "received-at": now.isoformat()},
    )


def _document(outcome: _Outcome) -> dict[str, Any]:
    receipt = outcome.receipt
    about = {"payload": outcome.payload, "device": outcome.device.name, "device_in_payload": outcome.device.in_payload}
    if receipt is None:
        return about | {"outcome": "unknown"}
    return {
        **about,
        "event_id": receipt.event_id,
        "reef_id": receipt.reef_id,
        "outcome": receipt.outcome,
        "reason": receipt.reason,
        "says": outcome.sentence,
        "readings": receipt.readings_new + receipt.readings_merged,
        "duplicates": receipt.readings_duplicate,
        "quarantined": receipt.readings_quarantined,
        "channels_quarantined": receipt.channels_quarantined,
    }


def _show(outcomes: Sequence[_Outcome]) -> None:
    table = table_of("", "payload", "outcome", "what became of it", whole=("outcome",))
    for each in outcomes:
        if each.receipt is None:
            table.add_row(each.payload, "not known", "It was not awaited.")
        else:
            table.add_row(each.payload, each.receipt.outcome, plain(_said(each.receipt, each.sentence)))
    out = results()
    out.print(table)
    if any(each.receipt is not None and each.receipt.channels_quarantined for each in outcomes):
        out.print("'reefmesh quarantine list' says what is wrong with each value.")


def _said(receipt: Receipt, sentence: str | None) -> str:
    if sentence is not None:
        return f"{receipt.reason}: {sentence}"
    counts = (
        (receipt.readings_new + receipt.readings_merged, "reading", ""),
        (receipt.readings_duplicate, "duplicate reading", ""),
        (receipt.readings_quarantined, "reading", " quarantined"),
        (receipt.channels_quarantined, "value", " quarantined"),
    )
    return ", ".join(f"{counted(number, noun)}{rest}" for number, noun, rest in counts if number) or "no readings in it"

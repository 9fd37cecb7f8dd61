"""``reefmesh doctor``: checks by behaviour whether this broker and these databases are fit for the mesh."""

from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich.text import Text

from reefmesh.clock import SystemClock
from reefmesh.contracts.services import ALERTS, EVERY_SERVICE, SERVICES, ServiceEntry, service_named
from reefmesh.service.program import load_program
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
from reefmesh_standalone.doctor.examination import Examination
from reefmesh_standalone.doctor.finding import Finding, Verdict

COLOURS: Final[dict[Verdict, str]] = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def _service(name: str) -> ServiceEntry:
    try:
        return service_named(name)
    except KeyError:
        raise typer.BadParameter(f"'{name}' is not one of {', '.join(map(str, EVERY_SERVICE))}.") from None


def doctor(
    service: Annotated[
        list[ServiceEntry] | None,
        typer.Option(
            parser=_service,
            metavar="SERVICE",
            help=f"Whose rights and database to check, of {', '.join(map(str, EVERY_SERVICE))}; repeatable. "
            "Without it: those that every mesh has.",
        ),
    ] = None,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a live installation by its behaviour; report each fault and how to mend it.

    Login, rights, persistence, 1,500 message groups on two consumers, order, clocks, latency; each service's database and its
    migrations; targets of alerts that take nothing. The messages are the doctor's own, on a channel of its own (reef.doctor),
    and are taken back; nothing of the services is consumed, written or migrated.

    Exit code 0: nothing failed; 1: something did.

    Examples:
      reefmesh doctor
      export REEFMESH_BROKER_PASSWORD_FILE=broker.txt REEFMESH_STORE_PASSWORD_FILE=database.txt
      reefmesh doctor --broker stomp://operator@broker:61613 --store postgresql://reefmesh@db/reefmesh
      reefmesh doctor --broker stomp+ssl://ingest@host-1:61614,host-2:61614 --service ingest --json
      reefmesh doctor --broker amqps://operator@broker:5671
    """
    place = home_of(home, broker, store, config)
    services = service or SERVICES

    async def examined() -> None:
        if place.embedded:
            place.require()
        examination = Examination((lambda _: None) if as_json else _show, clock=SystemClock())
        await examination.examine_broker(place.broker_address(), services)
        await examination.examine_databases(
            {
                each.name: (place.store_address(each.name), load_program(each).migrations)
                for each in services
                if each.has_database
            }
        )
        if ALERTS in services:
            await examination.examine_targets(place.store_address(ALERTS.name), load_program(ALERTS).migrations)
        failed = [finding for finding in examination.findings if finding.verdict == "fail"]
        if as_json:
            print_json({"ok": not failed, "findings": [asdict(finding) for finding in examination.findings]})
        if failed:
            raise Outcome(1)

    run(lambda stop: until_stopped(stop, examined()), log_level="error")


def _show(finding: Finding) -> None:
    line = Text(f"{finding.verdict:<5}", style=COLOURS[finding.verdict])
    line.append(f"{finding.check}: {finding.said}", style="default")
    if finding.mend:
        line.append(f"; {finding.mend}", style="default")
    results().print(line, soft_wrap=True)

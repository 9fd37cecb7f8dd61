"""``reefmesh buoys``: show and change the register's buoys."""

import asyncio
from typing import Annotated, Final

import typer

from reefmesh.errors import ConfigurationError
from reefmesh_ingest.register.entries import BuoyEntry
from reefmesh_standalone.commands import device
from reefmesh_standalone.commands.context import (
    BrokerOption,
    ConfigOption,
    HomeOption,
    JsonOption,
    StoreOption,
    home_of,
    people,
    print_json,
    results,
    run,
)
from reefmesh_standalone.commands.field_options import fields_as_options
from reefmesh_standalone.commands.help_page import Command
from reefmesh_standalone.commands.reef_table import ROOMY_COLUMNS, table_of
from reefmesh_standalone.commands.register import changed, open_register, show_entry
from reefmesh_standalone.commands.replaying import send_again_registered
from reefmesh_standalone.gateway_devices import tell_gateway

app: Final = typer.Typer(help="Show and change the register's buoys.", no_args_is_help=True)

BuoyArgument = Annotated[str, typer.Argument(help="IMEI, serial number or name of the buoy.", show_default=False)]


@app.command("list", cls=Command)
def list_buoys(
    reef: Annotated[str | None, typer.Option(help="Only the buoys of this reef.")] = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the buoys.

    Examples:
      reefmesh buoys list --reef amed-wall --json
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        async with open_register(place) as register:
            known = register.buoys(reef)
        if as_json:
            print_json([buoy.entry.shown() for buoy in known])
            return
        if not known:
            where = "" if reef is None else f" at {reef}"
            people.print(f"No buoy is registered{where}; 'reefmesh buoys set' or 'reefmesh reefs load' registers some.")
            return
        out = results()
        roomy = out.width >= ROOMY_COLUMNS
        more = ("sensors set",) if roomy else ()
        table = table_of("", "buoy", "reef", "mooring", "every", "awake (UTC)", *more, whole=("buoy", "reef", "mooring"))
        for each in known:
            entry = each.entry
            mooring = entry.mooring
            rest = (", ".join(sensor.source for sensor in entry.sensor) or "none",) if roomy else ()
            table.add_row(
                entry.id,
                entry.reef,
                f"{mooring.latitude_degrees:.4f} {mooring.longitude_degrees:.4f}" if mooring else "unknown",
                _span(entry.report_interval_seconds) if entry.deployed else "not deployed",
                "always" if entry.waking_hours_utc is None else "{}-{} h".format(*entry.waking_hours_utc),
                *rest,
            )
        out.print(table)

    run(main)


@app.command(cls=Command)
def show(
    buoy: BuoyArgument,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show everything that the register holds of one buoy, field by field, and what its reports show where it does not
    (in_force).

    Examples:
      reefmesh buoys show 867740030000003
      reefmesh buoys show 867740030000003 --json | jq .sensor
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        async with open_register(place) as register:
            known = register.buoy(buoy)
            if known is None:
                raise ConfigurationError(f"buoy {buoy} is not registered; 'reefmesh buoys list' shows those that are")
            learned, probe = await register.learned(known.entry.id), await register.temperature_probe(known.entry.id)
            show_entry(known.entry.shown(learned, temperature_probe=probe), as_json=as_json)

    run(main)


@app.command("set", cls=Command)
@fields_as_options(BuoyEntry)
def set_buoy(
    buoy: BuoyArgument,
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="FIELD=VALUE...", help="Fields; 'buoys show' prints them.", show_default=False)
    ] = None,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Add a buoy, or change some of its fields; running services follow within seconds.

    Quarantined telemetry of a buoy that is known now is sent again.

    Examples:
      reefmesh buoys set 867740030000003 --reef pemuteran --report-interval 1800
      reefmesh buoys set 867740030000003 reef=pemuteran report_interval_seconds=1800
      reefmesh buoys set 867740030000003 'mooring={"latitude_degrees": -8.14, "longitude_degrees": 114.56}'
      reefmesh buoys set 100000000000000a 'sensor=[{"source": "SEN0169", "quantity": "sea_water_ph_reported_on_total_scale"}]'
    """
    place = home_of(home, broker, store, config)

    async def main(stop: asyncio.Event) -> None:
        async with open_register(place) as register:  # the buoy's reef is in it already
            known = register.buoy(buoy)
            current = known.entry.model_dump() if known else {"id": buoy}
            entry = changed(BuoyEntry, current, fields or ())
            await register.upsert(buoys=[entry])
        results().print(f"{entry.id} is registered at {entry.reef}")
        if (untold := await tell_gateway(place, [entry])) is not None:
            people.print(untold)
        await send_again_registered(place, config, [entry.id, *entry.aliases], stop)

    run(main)


@app.command(cls=Command)
def remove(buoy: BuoyArgument, home: HomeOption = None, store: StoreOption = None, config: ConfigOption = None) -> None:
    """Take a buoy out of the register; its readings stay, and what it sends from now on is quarantined.

    Examples:
      reefmesh buoys remove 867740030000003
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        async with open_register(place) as register:
            if not await register.remove_buoy(buoy):
                raise ConfigurationError(f"buoy {buoy} is not registered")
        results().print(f"{buoy} is no longer registered")

    run(main)


app.command(cls=Command)(device.ping)
app.command(cls=Command)(device.reboot)


def _span(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"

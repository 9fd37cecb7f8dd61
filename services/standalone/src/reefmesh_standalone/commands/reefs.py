"""``reefmesh reefs``: show and change the register's reefs."""

import asyncio
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from reefmesh.errors import ConfigurationError
from reefmesh_ingest.register.entries import ReefEntry
from reefmesh_ingest.register.file import read_register
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
from reefmesh_standalone.commands.register import changed, entry_of, open_register, show_entry
from reefmesh_standalone.commands.replaying import counted, send_again_registered
from reefmesh_standalone.gateway_devices import tell_gateway
from reefmesh_standalone.mmm_file import SeaPixel, nearest_sea_pixel

app: Final = typer.Typer(help="Show and change the register's reefs.", no_args_is_help=True)

ReefArgument = Annotated[str, typer.Argument(help="Name of the reef.", show_default=False)]


@app.command("list", cls=Command)
def list_reefs(
    home: HomeOption = None, store: StoreOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the reefs.

    Examples:
      reefmesh reefs list --json
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        async with open_register(place) as register:
            known = register.reefs()
        if as_json:
            print_json([reef.entry.model_dump(mode="json") for reef in known])
            return
        if not known:
            people.print("No reef is registered; 'reefmesh reefs set' or 'reefmesh reefs load' registers some.")
            return
        out = results()
        roomy = out.width >= ROOMY_COLUMNS
        more = ("salinity",) if roomy else ()
        table = table_of("", "reef", "name", "position", "MMM degC", *more, numbers=more, whole=("reef", "position"))
        for reef in known:
            entry, facts = reef.entry, reef.facts
            mmm = "unknown" if facts.mmm_celsius is None else f"{facts.mmm_celsius:.2f} {facts.mmm_source}"
            position = f"{entry.latitude_degrees:.4f} {entry.longitude_degrees:.4f}"
            rest = (f"{entry.assumed_salinity:g}",) if roomy else ()
            table.add_row(entry.id, entry.name, position, mmm, *rest)
        out.print(table)

    run(main)


@app.command(cls=Command)
def show(
    reef: ReefArgument,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show everything that the register holds of one reef, field by field.

    Examples:
      reefmesh reefs show amed-wall
      reefmesh reefs show amed-wall --json | jq .mmm_celsius
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        async with open_register(place) as register:
            known = register.reef(reef)
            if known is None:
                raise ConfigurationError(f"reef {reef} is not registered; 'reefmesh reefs list' shows those that are")
            show_entry(known.entry.model_dump(mode="json"), as_json=as_json)

    run(main)


@app.command("set", cls=Command)
@fields_as_options(ReefEntry)
def set_reef(
    reef: ReefArgument,
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="FIELD=VALUE...", help="Fields; 'reefs show' prints them.", show_default=False)
    ] = None,
    mmm_from: Annotated[
        Path | None,
        typer.Option(
            "--mmm-from",
            metavar="FILE",
            help="Climatology (NetCDF) with the MMM at the reef's position.",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Add a reef, or change some of its fields; running services follow within seconds.

    --mmm-from reads NOAA Coral Reef Watch's ct5km_climatology_v3.1.nc or a file of its layout: the nearest sea pixel, at most
    25 km away.

    Examples:
      reefmesh reefs set amed-wall --name "Amed Wall" --latitude -8.33 --longitude 115.64 --mmm 29.5
      reefmesh reefs set amed-wall mmm_offset_celsius=0.12
      reefmesh reefs set amed-wall --mmm-from ct5km_climatology_v3.1.nc
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        if mmm_from is not None and (stated := [each for each in fields or () if each.startswith("mmm_")]):
            raise ConfigurationError(f"--mmm-from sets the MMM; leave out {', '.join(stated)}")

        def wanted(current: dict[str, Any]) -> ReefEntry:
            takes_all = not fields and mmm_from is not None
            return entry_of(ReefEntry, current) if takes_all else changed(ReefEntry, current, fields or ())

        if not place.exists():
            wanted({"id": reef})  # a mistake leaves no home behind
        async with open_register(place, create=True) as register:
            known = register.reef(reef)
            entry = wanted(known.entry.model_dump() if known else {"id": reef})
            pixel = None if mmm_from is None else nearest_sea_pixel(mmm_from, entry.latitude_degrees, entry.longitude_degrees)
            if pixel is not None:
                entry = with_mmm_of(entry, pixel)
            await register.upsert(reefs=[entry])
        results().print(f"{reef} is registered")
        if pixel is not None:
            people.print(f"MMM {pixel.mmm_celsius:.2f} degC: {pixel.source}.")
            people.print("It is unadjusted until it is compared with the buoy (mmm_offset_celsius).")

    run(main)


def with_mmm_of(entry: ReefEntry, pixel: SeaPixel) -> ReefEntry:
    """Return a reef with the MMM of a pixel. An offset to the buoy was found for another MMM, and is not kept.

    Raises:
        ConfigurationError: no reef can have such an MMM.
    """
    mmm = {"mmm_celsius": pixel.mmm_celsius, "mmm_source": pixel.source, "mmm_offset_celsius": None}
    return entry_of(ReefEntry, {**entry.model_dump(), **mmm})


@app.command(cls=Command)
def load(
    file: Annotated[Path, typer.Argument(help="Register (TOML) with [[reef]] and [[buoy]] tables.", show_default=False)],
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
) -> None:
    """Load reefs and buoys from a file: all of it or, if any line is wrong, nothing.

    Quarantined telemetry of devices that are known now is sent again.

    Examples:
      reefmesh reefs load register.toml
    """
    place = home_of(home, broker, store, config)

    async def main(stop: asyncio.Event) -> None:
        content = read_register(file)
        async with open_register(place, create=True) as register:
            await register.upsert(reefs=content.reef, buoys=content.buoy)
        results().print(f"{counted(len(content.reef), 'reef')} and {counted(len(content.buoy), 'buoy')} registered")
        if (untold := await tell_gateway(place, content.buoy)) is not None:
            people.print(untold)
        await send_again_registered(place, config, [name for buoy in content.buoy for name in (buoy.id, *buoy.aliases)], stop)

    run(main)


@app.command(cls=Command)
def remove(reef: ReefArgument, home: HomeOption = None, store: StoreOption = None, config: ConfigOption = None) -> None:
    """Take a reef without buoys out of the register; its readings and scores stay.

    Examples:
      reefmesh reefs remove amed-wall
    """
    place = home_of(home, None, store, config)

    async def main(_: asyncio.Event) -> None:
        async with open_register(place) as register:
            if not await register.remove_reef(reef):
                raise ConfigurationError(f"reef {reef} is not registered")
        results().print(f"{reef} is no longer registered")

    run(main)

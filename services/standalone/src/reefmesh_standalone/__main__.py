"""``reefmesh``: the command line of the whole mesh."""

from typing import Annotated, Final

import typer

import reefmesh
from reefmesh_standalone.commands import (
    advise,
    alerts,
    buoys,
    demo,
    devices,
    doctor,
    exclude,
    export,
    import_record,
    parked,
    quarantine,
    reefs,
    repair,
    replay,
    send,
    simulate,
    status,
    up,
)
from reefmesh_standalone.commands.help_page import Command, Group

app: Final = typer.Typer(
    name="reefmesh",
    cls=Group,
    help="Buoys at coral reefs in; quality-controlled readings, reef scores and alerts out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reefmesh {reefmesh.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Buoys at coral reefs in; quality-controlled readings, reef scores and alerts out."""


for command in (
    demo.demo,
    up.up,
    replay.replay,
    send.send,
    simulate.simulate,
    status.status,
    doctor.doctor,
    advise.advise,
    repair.repair,
    exclude.exclude,
    exclude.include,
):
    app.command(cls=Command)(command)
app.command("import", cls=Command)(import_record.import_record)
for name, group in (
    ("export", export.app),
    ("reefs", reefs.app),
    ("buoys", buoys.app),
    ("devices", devices.app),
    ("alerts", alerts.app),
    ("quarantine", quarantine.app),
    ("parked", parked.app),
):
    app.add_typer(group, name=name, cls=Group)


def main() -> None:
    """Run the command; exits with its code."""
    app(prog_name="reefmesh")


if __name__ == "__main__":
    main()

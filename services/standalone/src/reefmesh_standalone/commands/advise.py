"""``reefmesh advise``: how many tasks and lanes a service needs, from what is measured."""

import asyncio
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from reefmesh.errors import ConfigurationError
from reefmesh.service.exit import explain
from reefmesh_standalone.advising.advice import Advice
from reefmesh_standalone.advising.advice import advise as advice_of
from reefmesh_standalone.advising.measurement import MeshMeasurement
from reefmesh_standalone.advising.sources import client, from_file, from_pages, from_prometheus
from reefmesh_standalone.advising.wording import sentences
from reefmesh_standalone.commands.context import JsonOption, Outcome, people, print_json, results, run, until_stopped
from reefmesh_standalone.records.mistake import shown

PAGES_SECONDS: Final = 10.0
PROMETHEUS_SECONDS: Final = 300.0
DEFAULT_PAGE: Final = "http://127.0.0.1:8080/metrics"
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def advise(
    prometheus: Annotated[str | None, typer.Option(metavar="URL", help="Ask this Prometheus.")] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help=f"Look twice at the metrics pages of the services, one for each process. Without any source: {DEFAULT_PAGE}.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Numbers that --json wrote, or that you wrote or changed.")
    ] = None,
    latency: Annotated[
        str,
        typer.Option(metavar="TIME", help="Wanted p99 from a message's production to its acknowledgement, at each service."),
    ] = "2s",
    over: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long to look; 10s at pages, the last 5m at Prometheus.")
    ] = None,
    hottest_share: Annotated[
        float | None, typer.Option(metavar="SHARE", min=0, max=1, help="The part of all messages that the busiest reef sends.")
    ] = None,
    burstiness: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", min=1, max=10000, help="Variance of the number of arrivals over its mean; 1 is random."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say how many tasks and lanes each service needs for a latency, what bounds it, and what one task less would do.

    It measures and calculates, and changes nothing. Exit code 0: what runs is enough; 1: it is not.

    Examples:
      reefmesh advise
      reefmesh advise --prometheus http://localhost:9090 --latency 500ms
      reefmesh advise --metrics ingest:8080 --metrics scoring-1:8080 --metrics scoring-2:8080 --over 30s
      reefmesh advise --json > measured.json
      reefmesh advise --from measured.json --latency 1s --hottest-share 0.05
    """

    async def advised() -> None:
        measured = given(
            await _measured(prometheus, metrics or [], file, over), hottest_share=hottest_share, burstiness=burstiness
        )
        advice = advice_of(measured, latency_seconds=latency_seconds)
        _show(advice, measured, as_json=as_json)
        if advice.change_needed:
            raise Outcome(1)

    try:
        _refuse_contradictions(prometheus, metrics or [], file, over)
        latency_seconds = seconds_of(latency, option="--latency")
    except ConfigurationError as error:
        raise typer.Exit(explain(error)) from None
    run(lambda stop: until_stopped(stop, advised()), log_level="error")


def _refuse_contradictions(prometheus: str | None, metrics: list[str], file: Path | None, over: str | None) -> None:
    if sum(map(bool, (prometheus, metrics, file))) > 1:
        raise ConfigurationError("--prometheus, --metrics and --from are three sources; give one of them")
    if file is not None and over is not None:
        raise ConfigurationError("--over is for looking at a mesh; a file says over how long it was measured")


def seconds_of(text: str, *, option: str) -> float:
    """Return a time like ``500ms``, ``2s``, ``5m`` or ``1h``, in seconds.

    Raises:
        ConfigurationError: it is none, is zero, or is longer than a day.
    """
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)\s*(ms|s|m|h)", text.strip(), re.ASCII)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= 86_400:
        raise ConfigurationError(f"{option} {shown(text)} is no time up to a day; write it like 500ms, 2s, 5m or 1h")
    return seconds


def given(measured: MeshMeasurement, *, hottest_share: float | None, burstiness: float | None) -> MeshMeasurement:
    """Return the measurement with what no metric tells, for every subscription, where it is given."""
    told = {"hottest_share": hottest_share, "burstiness": burstiness}
    change = {name: value for name, value in told.items() if value is not None}
    services = tuple(
        each.model_copy(update={"subscriptions": tuple(one.model_copy(update=change) for one in each.subscriptions)})
        for each in measured.services
    )
    return measured.model_copy(update={"services": services})


async def _measured(prometheus: str | None, metrics: list[str], file: Path | None, over: str | None) -> MeshMeasurement:
    if file is not None:
        return from_file(file)
    default = PAGES_SECONDS if prometheus is None else PROMETHEUS_SECONDS
    seconds = default if over is None else seconds_of(over, option="--over")
    async with client() as http:
        if prometheus is not None:
            return await from_prometheus(http, prometheus, seconds=seconds)
        people.print(f"Looking twice, {seconds:g} s apart.")
        return await from_pages(http, metrics or [DEFAULT_PAGE], seconds=seconds, now=time.time, pause=asyncio.sleep)


def _show(advice: Advice, measured: MeshMeasurement, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {"change_needed": advice.change_needed, "advice": asdict(advice), "measured": measured.model_dump(mode="json")}
        )
        return
    out = results()
    out.print(
        f"From {measured.source}, over {measured.seconds:,.0f} s; wanted: p99 {advice.latency_seconds:g} s.\n", soft_wrap=True
    )
    for line in sentences(advice, measured):
        out.print(line, soft_wrap=True)

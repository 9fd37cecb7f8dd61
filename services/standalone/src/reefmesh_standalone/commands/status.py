"""``reefmesh status``: every reef and its buoys as last known, the open episodes, the accounting, and the services."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from reefmesh.contracts import services
from reefmesh.contracts.scores import ReefScore
from reefmesh.errors import ConfigurationError
from reefmesh_alerts.muting.ledger import Mutes, open_acknowledgements
from reefmesh_alerts.queries import OpenEpisode, count_muted, open_episodes
from reefmesh_ingest.accounting import Accounting, accounting
from reefmesh_ingest.register.table import Register
from reefmesh_scoring.queries import latest_scores
from reefmesh_standalone.commands.alert_lines import by_alert, episode_document, mute_document
from reefmesh_standalone.commands.books_table import books_table
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
from reefmesh_standalone.commands.reef_table import (
    ROOMY_COLUMNS,
    ReefLine,
    age,
    day_age,
    days_old,
    dive_verdict,
    level_now,
    reef_table,
    style_of,
    table_of,
    words,
)
from reefmesh_standalone.commands.replaying import counted
from reefmesh_standalone.commands.service_table import ServiceLine, service_lines, service_table
from reefmesh_standalone.mesh import open_stores


def status(
    reef: Annotated[str | None, typer.Option(help="Only this reef, with its channels and buoys.")] = None,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every reef as last known and how old that is, the open episodes, the accounting and the services.

    A dive verdict that was not renewed in time is unknown, whatever it was. Wider terminals show more columns.

    Examples:
      reefmesh status
      reefmesh status --reef amed-wall
      reefmesh status --json | jq '.reefs[] | select(.dive.verdict_now == "no_go") | .reef_id'
    """
    place = home_of(home, broker, store, config)

    async def main(_: asyncio.Event) -> None:
        place.require()
        now = datetime.now(UTC)
        async with open_stores(place) as stores:
            register = Register(stores[services.INGEST])
            await register.refresh()
            known = {each.entry.id: each.entry.name for each in register.reefs()}
            scores = {score.reef_id: score for score in await latest_scores(stores[services.SCORING])}
            lines = {
                reef_id: ReefLine(name=known.get(reef_id) or scores[reef_id].reef_name, score=scores.get(reef_id))
                for reef_id in sorted(known.keys() | scores.keys())
                if reef in (None, reef_id)
            }
            ledger = stores[services.ALERTS]
            episodes = [each for each in await open_episodes(ledger) if reef in (None, each.reef_id)]
            acknowledged = by_alert(await open_acknowledgements(ledger))
            mutes = [each for each in await Mutes(ledger).in_force(now) if reef in (None, each.reef_id)]
            muted = [mute_document(each, await count_muted(ledger, each.mute_id)) for each in mutes]
            books = await accounting(stores[services.INGEST])
            of_services = await service_lines(stores)
        if reef is not None and not lines:
            raise ConfigurationError(f"reef {reef} is not registered; 'reefmesh reefs list' shows those that are")
        if as_json:
            said = [episode_document(each, acknowledged.get(each.alert_id, ()), mutes) for each in episodes]
            print_json(_document(lines, said, books, of_services, now) | {"mutes": muted})
            return
        _show_reefs(list(lines.values()), now)
        if reef is not None:
            for score in (line.score for line in lines.values() if line.score is not None):
                for line in heat_lines(score, now):
                    results().print(line)
                _show_quantities(score, now)
                _show_buoys(score, now)
        _show_episodes(episodes, lines, now)
        if reef is None:
            results().print(books_table(books))
            results().print(service_table(of_services))

    run(main)


def _show_reefs(lines: Sequence[ReefLine], now: datetime) -> None:
    if not lines:
        people.print("No reef is registered; 'reefmesh reefs set' or 'reefmesh reefs load' registers some.")
        return
    out = results()
    out.print(reef_table(lines, now=now, width=out.width))


def _show_quantities(score: ReefScore, now: datetime) -> None:
    out = results()
    spread = ("5 min: min / mean / max",) if out.width >= ROOMY_COLUMNS else ()
    table = table_of(score.reef_name, "channel", "value", "flag", "age", "buoy", *spread, numbers=("value", "age"))
    for name, latest in sorted(score.latest.items()):
        window = latest.window
        span = f"{window.minimum:g} / {window.mean:.3f} / {window.maximum:g} of {window.count}" if window else "none"
        unit = "" if latest.unit == "1" else f" {latest.unit}"
        value = "missing" if latest.value is None else f"{latest.value:g}{unit}"
        cells = (value, words(latest.flag.name.lower()), age(latest.observed_at, now), latest.buoy_id)
        table.add_row(words(name), *cells, *((span,) if spread else ()))
    out.print(table)
    reasons = score.dive.reasons
    if dive_verdict(score, now) != score.dive.verdict:
        until = f"{score.dive.valid_until:%Y-%m-%d %H:%M}"
        reasons = [f"unknown since {until} UTC, when the last verdict ran out: {words(score.dive.verdict)}"]
    for reason in reasons:
        out.print(f"Dive: {reason}")
    if score.heat.highest_dhw_celsius_weeks is not None:
        highest = f"{score.heat.highest_dhw_celsius_weeks:.2f} degC-weeks on {score.heat.highest_dhw_date}"
        out.print(f"Highest DHW on record here: {highest}")


def _show_buoys(score: ReefScore, now: datetime) -> None:
    table = table_of("Buoys", "buoy", "last seen", "battery", "drift", "faults")
    for buoy in score.buoys:
        volts = "" if buoy.battery_volts is None else f"{buoy.battery_volts:g} V "
        percent = "" if buoy.battery_percent is None else f"{buoy.battery_percent:g} %"
        drift = "unknown" if buoy.drift_metres is None else f"{buoy.drift_metres:.0f} m"
        faults = ", ".join(f"{channel}: {fault}" for channel, fault in buoy.faults.items()) or "none"
        seen = f"{age(buoy.last_seen_at, now)} ago"
        table.add_row(buoy.facts.buoy_id, seen, (volts + percent).strip() or "unknown", drift, faults)
    results().print(table)


def heat_lines(score: ReefScore, now: datetime) -> Iterator[str]:
    """Yield what the newest day and its DHW rest on."""
    day = score.heat.latest
    if day is None:
        return
    share = "" if day.suspect_share is None else f", {day.suspect_share:.0%} of its readings left out as suspect"
    level = level_now(score, now)
    said = "level unknown" if level is None else level.title
    yield f"Heat: {said} of {day.date}, {day_age(days_old(day, now))}, {words(day.source)}, {words(day.day_status)}{share}"
    nights = f"{day.coverage_days} with readings at night"
    if day.whole_days is None or day.filled_days is None or day.missing_days is None:
        yield f"DHW is summed over 84 days, {nights}; {words(day.status.value)}"
        return
    days = day.coverage_days + day.whole_days + day.filled_days + day.missing_days
    rest = f"{day.whole_days} with their daytime standing in, {day.filled_days} filled, {day.missing_days} missing"
    suspect = f"{day.suspect_days} lost too many readings as suspect"
    yield f"DHW is summed over {counted(days, 'day')}, {nights}, {rest}; {suspect}; {words(day.status.value)}"


def _show_episodes(episodes: Sequence[OpenEpisode], lines: Mapping[str, ReefLine], now: datetime) -> None:
    out = results()
    if not episodes:
        out.print("No episode is open.\n")
        return
    table = table_of(
        "Open episodes", "reef", "episode", "state", "since (UTC)", "age", numbers=("age",), whole=("reef", "since (UTC)")
    )
    for each in episodes:
        # A subject is a buoy, or a buoy and a channel with a slash between: a space is where a narrow terminal may break it.
        about = f"{words(each.kind)} {each.subject.replace('/', ' ')}".strip()
        state = state_of(each, lines.get(each.reef_id), now)
        since, how_old = f"{each.since:%Y-%m-%d %H:%M}", age(each.since, now)
        table.add_row(each.reef_id, about, Text(state, style=style_of(state)), since, how_old)
    out.print(table)


def state_of(episode: OpenEpisode, line: ReefLine | None, now: datetime) -> str:
    """Return an episode's state; one of heat that no day of the last week bears out is the last one known."""
    state, score = words(episode.state), None if line is None else line.score
    if episode.kind != "heat" or score is None or score.heat.latest is None or level_now(score, now) is not None:
        return state
    return f"unknown; last {state} on {score.heat.latest.date}"


def _document(
    lines: dict[str, ReefLine],
    episodes: Sequence[dict[str, Any]],
    books: Accounting,
    of_services: Sequence[ServiceLine],
    now: datetime,
) -> dict[str, Any]:
    reefs = []
    for reef_id, line in lines.items():
        score = line.score
        if score is None:
            reefs.append({"reef_id": reef_id, "reef_name": line.name, "as_of": None, "age_seconds": None})
            continue
        reefs.append(document_of(score, now))
    accounts = asdict(books) | {"discrepancies": list(books.discrepancies)}
    return {
        "at": now.isoformat(),
        "reefs": reefs,
        "episodes": episodes,
        "accounting": accounts,
        "services": [asdict(line) for line in of_services],
    }


def document_of(score: ReefScore, now: datetime) -> dict[str, Any]:
    """Return a reef's score as it stands now: beside what it said, what of that still holds."""
    document = score.model_dump(mode="json", exclude={"heat": {"changed"}})
    document["age_seconds"] = (now - score.as_of).total_seconds()
    document["heat"]["level_now"] = level_now(score, now)
    document["heat"]["age_days"] = None if score.heat.latest is None else days_old(score.heat.latest, now)
    document["dive"]["verdict_now"] = dive_verdict(score, now)
    return document

"""``reefmesh alerts test`` and ``check``: do the targets work, and who would get what?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, assert_never

import typer

from reefmesh.contracts import services
from reefmesh.contracts.alerts import Kind
from reefmesh.contracts.scores import Level
from reefmesh.errors import ConfigurationError
from reefmesh.service.exit import EXIT_CONFIGURATION
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_alerts.domain.severity import KINDS, states_of
from reefmesh_alerts.recipients.entries import RecipientEntry, SubscriptionsFile
from reefmesh_alerts.recipients.file import CONSOLE_ALONE, check_subscriptions, read_subscriptions
from reefmesh_alerts.recipients.routing import wants
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_alerts.targets.entries import EmailEntry, TargetEntry
from reefmesh_alerts.targets.opening import open_target
from reefmesh_alerts.targets.port import Rejected, SendResult, Sent, TryAgain
from reefmesh_alerts.targets.proxy import Proxies, proxies_of
from reefmesh_alerts.targets.trial import send_trial
from reefmesh_standalone.commands.alert_ledger import KindOption
from reefmesh_standalone.commands.alert_lines import show_entry
from reefmesh_standalone.commands.context import (
    ConfigOption,
    HomeOption,
    JsonOption,
    Outcome,
    home_of,
    people,
    print_json,
    results,
    run,
)
from reefmesh_standalone.commands.reef_table import words
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import addresses

EXIT_NOT_ACCEPTED: Final = 1

FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="Subscriptions file; without it, the alerts service's own.", show_default=False),
]
FileArgument = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="Subscriptions file; without it, the alerts service's own.", show_default=False),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """A test message that is to be sent."""

    target: TargetEntry
    recipient: str
    who: str
    to: Sequence[str]


def try_target(
    name: Annotated[
        str, typer.Argument(metavar="TARGET|RECIPIENT", help="Name in the subscriptions file.", show_default=False)
    ],
    to: Annotated[list[str] | None, typer.Option(help="Mail address, for a target that is a mail server; repeatable.")] = None,
    file: FileOption = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test message now over one target, or to one recipient over each of its targets, and show the answers.

    The message is about a reef that does not exist (reefmesh-test). It is sent once, from here, whatever the quiet hours are;
    the ledger does not know it. The secrets of the targets must be in this environment.

    Exit code 0: every target accepted it; 1: one did not.

    Examples:
      reefmesh alerts test harbour
      reefmesh alerts test mail --to ana@example.org --file subscriptions.toml
    """
    place = home_of(home, config=config)

    async def main(_: asyncio.Event) -> None:
        settings = _settings(place, config)
        path, proxies = file or settings.subscriptions_file, proxies_of(settings.proxy)
        subscriptions = CONSOLE_ALONE if path is None else await asyncio.to_thread(read_subscriptions, path)
        answers = [(trial, await _send(trial, proxies)) for trial in _trials(subscriptions, name, to or [])]
        if as_json:
            print_json([_answer_document(*each) for each in answers])
        else:
            for trial, answer in answers:
                addressed = f" to {', '.join(trial.to)}" if isinstance(trial.target, EmailEntry) else ""
                show_entry(results(), f"{trial.target.name}{addressed}: {_said(answer)}", [])
        if not all(isinstance(answer, Sent) for _, answer in answers):
            raise Outcome(EXIT_NOT_ACCEPTED)

    run(main)


def check_file(
    file: FileArgument = None,
    reef: Annotated[str | None, typer.Option(help="Only who gets alerts of this reef.")] = None,
    kind: KindOption = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a subscriptions file: every mistake in one line; without one, who would get what, how and when.

    Nothing is sent. The secrets that it names must be in this environment.

    Exit code 0: no mistake; 78: there is one.

    Examples:
      reefmesh alerts check subscriptions.toml
      reefmesh alerts check subscriptions.toml --reef amed-wall --kind heat
    """
    place = home_of(home, config=config)

    async def main(_: asyncio.Event) -> None:
        settings = _settings(place, config)
        path, proxies = file or settings.subscriptions_file, proxies_of(settings.proxy)
        if path is None:
            people.print("There is no subscriptions file: every alert on fresh data goes to the log.")
        read, mistakes = (CONSOLE_ALONE, ()) if path is None else await asyncio.to_thread(check_subscriptions, path)
        if read is not None and not mistakes:
            mistakes = [f"{path}: {mistake}" for mistake in await _unopened(read, proxies)]
        chosen = _chosen(read, reef, kind) if read is not None and not mistakes else []
        if as_json:
            print_json({"mistakes": list(mistakes), "recipients": [_recipient_document(each, kind) for each in chosen]})
        for line in () if as_json else mistakes:
            people.print(line, soft_wrap=True)
        if mistakes or read is None:
            raise Outcome(EXIT_CONFIGURATION)
        if as_json:
            return
        for each in chosen:
            show_entry(results(), f"{each.name} ({each.who})" if each.who else each.name, list(_rule(each, kind)))
        if not chosen:
            people.print("Nobody gets such alerts.")
        used = {target for each in read.subscription for target in each.targets}
        if unused := [target.name for target in read.target if target.name not in used]:
            people.print(f"No recipient uses {', '.join(unused)}.")

    run(main)


def _settings(place: Home, config: Path | None) -> AlertsSettings:
    """Return the service's own settings: its subscriptions file, and the proxy of its targets."""
    return AlertsSettings.load(config=config, overrides=addresses(place, services.ALERTS))


def _trials(file: SubscriptionsFile, name: str, to: Sequence[str]) -> list[_Trial]:
    target = next((each for each in file.target if each.name == name), None)
    recipient = next((each for each in file.subscription if each.name == name), None)
    if target is not None and recipient is not None:
        raise ConfigurationError(f"{name} is the name of a target and of a recipient; give one of them another")
    if recipient is not None:
        targets = {each.name: each for each in file.target}
        return [
            _Trial(target=targets[each], recipient=name, who=recipient.who, to=to or recipient.to) for each in recipient.targets
        ]
    if target is None:
        known = ", ".join([*(each.name for each in file.target), *(each.name for each in file.subscription)])
        raise ConfigurationError(f"there is no target or recipient {name} ({known or 'the file has none'})")
    if isinstance(target, EmailEntry) and not to:
        raise ConfigurationError(f"{name} is a mail server; say with --to to whom, or name a recipient")
    return [_Trial(target=target, recipient="test", who="", to=to)]


async def _send(trial: _Trial, proxies: Proxies) -> SendResult:
    return await send_trial(
        trial.target, recipient=trial.recipient, who=trial.who, to=trial.to, now=datetime.now(UTC), proxies=proxies
    )


async def _unopened(file: SubscriptionsFile, proxies: Proxies) -> list[str]:
    """Return the mistakes that only show when a target is opened, such as a file of authorities that is not there."""
    mistakes = []
    for number, entry in enumerate(file.target, start=1):
        try:
            await open_target(entry, proxies=proxies).close()
        except ConfigurationError as mistake:
            mistakes.append(f"target {number} ({entry.name}): {mistake}")
    return mistakes


def _chosen(file: SubscriptionsFile, reef: str | None, kind: str | None) -> list[RecipientEntry]:
    kinds: Sequence[Kind] = [each for each in KINDS if kind in (None, each)]
    return [
        each
        for each in file.subscription
        if any(wants(each, reef, one) if reef is not None else one in each.kinds for one in kinds)
    ]


def _said(answer: SendResult) -> str:
    match answer:
        case Sent(note=note):
            return f"accepted; {note}" if note else "accepted"
        case TryAgain(reason=reason):
            return f"not accepted, and would be tried again: {reason}"
        case Rejected(reason=reason):
            return f"refused for good: {reason}"
        case _:
            assert_never(answer)


def _answer_document(trial: _Trial, answer: SendResult) -> dict[str, Any]:
    reason = answer.note if isinstance(answer, Sent) else answer.reason
    return {"target": trial.target.name, "to": list(trial.to), "accepted": isinstance(answer, Sent), "said": plain(reason)}


def _rule(recipient: RecipientEntry, kind: str | None) -> Sequence[str]:
    chosen = [_from(recipient, each) for each in recipient.kinds if kind in (None, each)]
    limit = recipient.data_age_limit_hours
    fresh = f"; data of up to {limit:g} h" if limit else "; data of any age"
    return [
        f"reefs {', '.join(recipient.reefs)}",
        f"{', '.join(chosen)}{fresh}",
        f"over {', '.join(recipient.targets)}" + (f", to {', '.join(recipient.to)}" if recipient.to else ""),
        *_hours(recipient),
    ]


def _from(recipient: RecipientEntry, kind: Kind) -> str:
    return _named(kind, recipient.minimum.get(kind, 0))


def _named(kind: Kind, severity: int) -> str:
    state = next(name for name, each in states_of(kind).items() if each == severity)
    if kind == "heat":
        state = Level(severity).title
    return f"{words(kind)} from {words(state)}" if severity else words(kind)


def _hours(recipient: RecipientEntry) -> list[str]:
    if recipient.digest is not None:
        return [f"gathered, daily at {recipient.digest.at:%H:%M} {recipient.digest.timezone}"]
    quiet = recipient.quiet_hours
    if quiet is None:
        return ["at once"]
    span = f"{quiet.begins:%H:%M} to {quiet.ends:%H:%M} {quiet.timezone}"
    loud = ", ".join(_named(kind, severity) for kind, severity in quiet.break_through.items())
    return [f"at once, but from {span} only {loud}" if loud else f"at once, but not from {span}"]


def _recipient_document(recipient: RecipientEntry, kind: str | None) -> dict[str, Any]:
    document = recipient.model_dump(mode="json")
    document["kinds"] = [each for each in recipient.kinds if kind in (None, each)]
    return document

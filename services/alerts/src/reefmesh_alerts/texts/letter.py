"""A notice as plain text: for mails, messengers and terminals."""

from collections.abc import Sequence
from datetime import datetime
from textwrap import wrap
from typing import Final

from reefmesh.contracts.alerts import Alert
from reefmesh.visible_text import visible
from reefmesh_alerts.domain.alert_text import plain, zulu
from reefmesh_alerts.texts.account import Account, account_of, stamp
from reefmesh_alerts.texts.background import Background
from reefmesh_alerts.texts.headline import SUBJECT_CHARACTERS_LIMIT
from reefmesh_alerts.texts.reef_state import COLUMNS, ReefState, cells
from reefmesh_alerts.texts.room import cut

LABEL_WIDTH: Final = 11
LINE_WIDTH: Final = 100
NAME_WIDTH: Final = 28
NO_CHANGE: Final = "Nothing changed."


def letter_of(account: Account) -> str:
    """Return one alert in several lines."""
    lines = [account.subject, ""]
    for label, said in account.rows:
        for place, sentence in enumerate(said):
            lines += _labelled(f"{label}:" if place == 0 else "", sentence)
    for place, each in enumerate(account.advice):
        lines += _labelled("To do:" if place == 0 else "", f"- {each}")
    if account.link is not None:
        lines += [f"{'Page:':{LABEL_WIDTH}}{account.link}"]
    lines += ["", "Evidence:", *(f"  {name}: {value}" for name, value in account.evidence)]
    lines += ["", stamp(account.alert)]
    return _visible(lines)


def describe(alert: Alert, background: Background | None = None) -> str:
    """As ``letter_of``, from the alert."""
    known = background or Background()
    return letter_of(account_of(alert, known.clock_of(alert), link=known.link_of(alert.reef_id)))


def digest_letter(subject: str, alerts: Sequence[Alert], background: Background, *, lead: str = "") -> str:
    """Return a digest: the changes in a line each, the state of every site, then each change in full."""
    lines = [subject, "", *([lead, ""] if lead else [])]
    lines += [f"- {alert.summary}" for alert in alerts] or [NO_CHANGE]
    if background.states and background.at is not None:
        lines += ["", *_table(background.states, background.at)]
        if background.unlisted:
            lines += [f"and {background.unlisted} more"]
    described = [describe(alert, background) for alert in alerts]
    return _visible(lines) + "".join(f"\n{each}" for each in described)


def digest_subject(alerts: Sequence[Alert], *, recipient: str) -> str:
    """Return a digest's one line."""
    if not alerts:
        return cut(plain(f"Nothing changed: reefmesh digest for {recipient}"), SUBJECT_CHARACTERS_LIMIT)
    reefs = len({alert.reef_id for alert in alerts})
    counted = "1 alert" if len(alerts) == 1 else f"{len(alerts)} alerts"
    where = f"{reefs} {'reef' if reefs == 1 else 'reefs'}"
    return cut(plain(f"{counted} at {where}: reefmesh digest for {recipient}"), SUBJECT_CHARACTERS_LIMIT)


def _table(states: Sequence[ReefState], at: datetime) -> list[str]:
    rows = [COLUMNS, *((cut(name, NAME_WIDTH), *rest) for name, *rest in (cells(state, at) for state in states))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return [
        f"All sites at {zulu(at)}:",
        *("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows),
    ]


def _labelled(label: str, sentence: str) -> list[str]:
    wrapped = wrap(sentence, LINE_WIDTH - LABEL_WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{label if place == 0 else '':{LABEL_WIDTH}}{line}".rstrip() for place, line in enumerate(wrapped)]


def _visible(lines: Sequence[str]) -> str:
    return "".join(visible(line, instead=" ") + "\n" for line in lines)

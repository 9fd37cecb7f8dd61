"""A notice as the HTML part of a mail: styles inside, for light and dark, and nothing that is fetched from anywhere.

Mail programs know few elements and drop style sheets as they like, so each element has its light colours itself, and one sheet
has the dark ones. Whatever comes from an alert or a register passes ``escape``.
"""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.scores import Level
from reefmesh_alerts.domain.alert_text import plain, zulu
from reefmesh_alerts.texts.account import Account, account_of, stamp
from reefmesh_alerts.texts.background import Background
from reefmesh_alerts.texts.colours import Colour, of_alert, of_level
from reefmesh_alerts.texts.heat_day import HeatDayRow
from reefmesh_alerts.texts.letter import NO_CHANGE
from reefmesh_alerts.texts.reef_state import COLUMNS, ReefState, cells

LIGHT_CHART: Final = "heat-light@reefmesh"
DARK_CHART: Final = "heat-dark@reefmesh"
"""Content ids of the two forms of the chart."""
DAYS_SHOWN: Final = 7
FULL_ALERTS_LIMIT: Final = 20
"""Alerts of a digest that are told in full: mail programs cut pages of more than 100 kB. The text part tells all."""

_FONT: Final = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;"
_DARK: Final = """
.rm-back{background-color:#0f1418!important}
.rm-card{background-color:#182026!important;border-color:#2b3640!important}
.rm-text{color:#e6edf3!important}
.rm-mute{color:#9fb0bd!important}
.rm-line{border-color:#2b3640!important}
.rm-link{color:#7cc4ff!important}
"""
_HEAD: Final = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">'
    "<title>{title}</title><style>:root{{color-scheme:light dark}}"
    "@media (prefers-color-scheme:dark){{{dark}}}</style></head>"
)
_CARD: Final = (
    '<table role="presentation" class="rm-card" width="100%" cellpadding="0" cellspacing="0" style="max-width:640px;'
    "margin:0 auto 16px;background-color:#ffffff;border:1px solid #d9e0e6;border-radius:8px;border-collapse:separate"
    '">{rows}</table>'
)
_TEXT: Final = f"{_FONT}font-size:15px;line-height:1.45;color:#16202a;"
_MUTE: Final = f"{_FONT}font-size:13px;line-height:1.45;color:#52606d;"


def alert_page(alert: Alert, background: Background, *, recipient: str, away: str) -> str:
    """Return one alert; ``away`` is the address by which the recipient unsubscribes."""
    account = account_of(alert, background.clock_of(alert), link=background.link_of(alert.reef_id))
    return _page(account.subject, _card(account, _heat(background)), recipient, away)


def digest_page(
    subject: str, alerts: Sequence[Alert], background: Background, *, recipient: str, away: str, lead: str = ""
) -> str:
    """Return a digest: the changes in a line each, the state of every site, then the newest changes in full."""
    changes = "".join(f'<li style="margin:0 0 6px">{_escaped(alert.summary)}</li>' for alert in alerts)
    listed = f'<ul style="margin:0;padding-left:20px">{changes}</ul>' if alerts else NO_CHANGE
    told_why = _cell(_escaped(lead)) if lead else ""
    body = _CARD.format(rows=_title(subject, None) + told_why + _cell(listed))
    if background.states and background.at is not None:
        body += _states(background, background.at)
    told = alerts[-FULL_ALERTS_LIMIT:]
    for alert in reversed(told):
        body += _card(account_of(alert, background.clock_of(alert), link=background.link_of(alert.reef_id)), "")
    if len(told) < len(alerts):
        body += _note(f"{len(alerts) - len(told)} older alerts are told in full in the text part of this mail.")
    return _page(subject, body, recipient, away)


def _page(title: str, body: str, recipient: str, away: str) -> str:
    told = f"reefmesh, for {_escaped(recipient)} &middot; {_link(away, 'Unsubscribe')}"
    footer = f'<p class="rm-mute" style="{_MUTE}text-align:center;margin:0">{told}</p>'
    return (
        _HEAD.format(title=_escaped(title), dark=_DARK.replace("\n", ""))
        + '<body class="rm-back" style="margin:0;padding:16px 8px;background-color:#eef2f4">'
        + f"{body}{footer}</body></html>\n"
    )


def _card(account: Account, picture: str) -> str:
    rows = "".join(
        f'<tr><td class="rm-mute" valign="top" style="{_MUTE}padding:4px 12px 4px 0;white-space:nowrap">{_escaped(label)}</td>'
        f'<td class="rm-text" style="{_TEXT}padding:3px 0">{"<br>".join(_escaped(sentence) for sentence in said)}</td></tr>'
        for label, said in account.rows
    )
    advice = "".join(f'<li style="margin:0 0 4px">{_escaped(each)}</li>' for each in account.advice)
    facts = f'<table role="presentation" cellpadding="0" cellspacing="0">{rows}</table>'
    to_do = f'<b>What to do</b><ul style="margin:4px 0 0;padding-left:20px">{advice}</ul>'
    link = "" if account.link is None else _cell(_link(account.link, "The page of this site"))
    small = " &middot; ".join(
        [*(f"{_escaped(name)}: {_escaped(value)}" for name, value in account.evidence), _escaped(stamp(account.alert))]
    )
    return _CARD.format(
        rows=_title(account.subject, of_alert(account.alert)) + _cell(to_do) + picture + _cell(facts) + link + _mute(small)
    )


def _heat(background: Background) -> str:
    """Return the chart of a heat alert; without one, a table of the last days."""
    days = background.heat_days
    if not days:
        return ""
    if background.chart is None:
        return _cell(_days(days[-DAYS_SHOWN:]))
    newest = days[-1]
    told = f"{len(days)} days to {newest.date.isoformat()}: {'; '.join(_day_cells(newest)[1:])}"
    return _cell(
        f'<picture><source srcset="cid:{DARK_CHART}" media="(prefers-color-scheme: dark)">'
        f'<img src="cid:{LIGHT_CHART}" width="600" alt="Sea temperature and degree heating weeks, {_escaped(told)}"'
        ' style="display:block;width:100%;max-width:600px;height:auto;border:0"></picture>'
    )


def _days(days: Sequence[HeatDayRow]) -> str:
    return _grid(("Day", "SST", "HotSpot", "DHW", "Level (7 days)", "Status"), [_day_cells(day) for day in days])


def _day_cells(day: HeatDayRow) -> tuple[str, ...]:
    level = day.level_7day_max
    return (
        day.date.isoformat(),
        "SST unknown" if day.sst_celsius is None else f"{day.sst_celsius:.2f} degC",
        "HotSpot unknown" if day.hotspot_celsius is None else f"{day.hotspot_celsius:+.2f} degC",
        "DHW unknown" if day.dhw_celsius_weeks is None else f"{day.dhw_celsius_weeks:.2f} degC-weeks",
        "level unknown" if level is None or not 0 <= level < len(Level) else Level(level).title,
        day.status if day.day_status in ("ok", day.status) else f"{day.status}, {day.day_status}",
    )


def _states(background: Background, now: datetime) -> str:
    rows = [_state_cells(state, background, now) for state in background.states]
    grid = _grid(COLUMNS, rows, escaped=True)
    more = f"<br>and {background.unlisted} more" if background.unlisted else ""
    return _CARD.format(rows=_title(f"All sites at {zulu(now)}", None) + _cell(f"{grid}{more}"))


def _state_cells(state: ReefState, background: Background, now: datetime) -> tuple[str, ...]:
    name, heat, *rest = (_escaped(cell) for cell in cells(state, now))
    link = background.link_of(state.reef_id)
    if link is not None:
        name = _link(link, state.name or state.reef_id)
    if state.is_heat_known(now) and state.level is not None:
        colour = of_level(state.level)
        style = f"background-color:{colour.back};color:{colour.fore};padding:1px 6px;border-radius:4px"
        heat = f'<span style="{style}">{heat}</span>'
    return (name, heat, *rest)


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]], *, escaped: bool = False) -> str:
    line = "border-bottom:1px solid #d9e0e6;padding:5px 10px 5px 0;text-align:left;"
    heads = "".join(f'<th class="rm-mute rm-line" style="{_MUTE}{line}font-weight:600">{_escaped(each)}</th>' for each in head)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="rm-text rm-line" style="{_TEXT}font-size:14px;{line}">{each if escaped else _escaped(each)}</td>'
            for each in row
        )
        + "</tr>"
        for row in rows
    )
    return f'<table cellpadding="0" cellspacing="0" width="100%"><tr>{heads}</tr>{body}</table>'


def _title(text: str, colour: Colour | None) -> str:
    bar = f'<tr><td style="height:6px;background-color:{colour.back};border-radius:8px 8px 0 0"></td></tr>' if colour else ""
    return (
        f'{bar}<tr><td class="rm-text" style="{_TEXT}font-size:19px;font-weight:700;line-height:1.3;padding:16px 20px 4px">'
        f"{_escaped(text)}</td></tr>"
    )


def _cell(inner: str) -> str:
    return f'<tr><td class="rm-text" style="{_TEXT}padding:8px 20px">{inner}</td></tr>'


def _mute(inner: str) -> str:
    return (
        f'<tr><td class="rm-mute rm-line" style="{_MUTE}font-size:12px;border-top:1px solid #d9e0e6;padding:10px 20px 14px;'
        f'overflow-wrap:anywhere">{inner}</td></tr>'
    )


def _note(text: str) -> str:
    return f'<p class="rm-mute" style="{_MUTE}text-align:center;margin:0 0 16px">{_escaped(text)}</p>'


def _link(address: str, text: str) -> str:
    return f'<a class="rm-link" href="{escape(address)}" style="color:#0b65b1">{_escaped(text)}</a>'


def _escaped(text: str) -> str:
    return escape(plain(text))

"""Mails in HTML: whole, without remote content, names of strangers harmless, the chart inside, one click to unsubscribe."""

from __future__ import annotations

import base64
import hmac
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from reefmesh.errors import ConfigurationError
from reefmesh_alerts.bootstrap import blueprint
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_alerts.domain.reef_watch import ReefWatch, judge_score
from reefmesh_alerts.recording import make_alert
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_alerts.targets.email import compose
from reefmesh_alerts.targets.entries import EmailEntry
from reefmesh_alerts.targets.port import Notice
from reefmesh_alerts.texts.background import Background, HeatChart
from reefmesh_alerts.texts.headline import alert_subject
from reefmesh_alerts.texts.heat_day import HeatDayRow
from reefmesh_alerts.texts.page import FULL_ALERTS_LIMIT
from reefmesh_alerts.texts.reef_state import ReefState
from reefmesh_alerts.texts.unsubscribing import Unsubscribing

if TYPE_CHECKING:
    from email.message import EmailMessage

    from services.alerts.tests.conftest import Samples

ENTRY = EmailEntry(type="email", name="mail", host="mail.example.org", sender="reefs@example.org")
PAGE = "https://reefs.example.org/off/{recipient}/{token}"
KEY = "a key of at least sixteen characters"
TOKEN = "QMtpe6VCv6mrIeCwRoTQkAYyuf_5xZgU"
MAILTO_WITH_TOKEN = f"mailto:reefs@example.org?subject=unsubscribe%20harbour%20{TOKEN}"
VOID = {"meta", "img", "br", "source", "link", "hr", "input"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></tr></table></style><h1>",
    "Reef & Co &lt;b&gt; ]]> <!-- ",
    "'; background:url(https://evil.example/x); '",
    "a\x00b\u202ec\r\nBcc: everybody@example.org",
)


class Page(HTMLParser):
    """Reads a page as a mail program does; every element has to be closed where it belongs."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def attributes(self, name: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(name)) is not None]


def heat_notice(samples: type[Samples], reef_name: str = "North Wall", **background: Any) -> Notice:
    watch, _ = judge_score(ReefWatch(), samples.score(days=[samples.day(0, 0)]), heard_at=samples.START)
    _, (*_, transition) = judge_score(watch, samples.score(days=[samples.day(1, 3)]), heard_at=samples.START)
    alert = make_alert("north-wall", reef_name, transition, number=1, raised_at=samples.START + timedelta(days=2))
    return Notice(
        idempotency_key="0a6d-key",
        recipient="harbour",
        who="",
        to=["a@example.org"],
        digest=False,
        alerts=[alert],
        subject=alert_subject(alert),
        background=Background(**background),
    )


def mail_of(notice: Notice) -> EmailMessage:
    return compose(notice, ENTRY, at=notice.alerts[0].raised_at)


def page_of(mail: EmailMessage) -> Page:
    part = mail.get_body(("html",))
    assert part is not None
    return Page(part.get_content())


def days(samples: type[Samples], count: int = 30) -> list[HeatDayRow]:
    return [
        HeatDayRow(
            date=samples.START.date() + timedelta(days=number),
            sst_celsius=29.0 + number / 10,
            hotspot_celsius=number / 10,
            dhw_celsius_weeks=number / 4,
            level_7day_max=min(number // 10, 7),
            status="ok",
            day_status="ok",
        )
        for number in range(count)
    ]


def test_mail_is_text_and_the_same_as_html(samples: type[Samples]) -> None:
    notice = heat_notice(samples, link="https://reefs.example.org/site/{reef_id}")
    mail = mail_of(notice)
    assert "multipart/alternative" == mail.get_content_type()
    assert ["text/plain", "text/html"] == [part.get_content_type() for part in mail.iter_parts()]
    page = page_of(mail)
    for said in ("Alert Level 1 at North Wall, was No Stress", "DHW 4.50 degC-weeks", "84 nights", "What to do", "Survey it"):
        assert said in page.text
    page_of_the_site, away = page.attributes("href")
    assert "https://reefs.example.org/site/north-wall" == page_of_the_site
    assert f"<{away}>" == mail["List-Unsubscribe"]
    assert "https://reefs.example.org/site/north-wall" in notice.text


def test_mail_has_colours_for_light_and_for_dark(samples: type[Samples]) -> None:
    part = mail_of(heat_notice(samples)).get_body(("html",))
    assert part is not None
    html = part.get_content()
    assert '<meta name="color-scheme" content="light dark">' in html
    assert "@media (prefers-color-scheme:dark){" in html
    classes = {name for name in " ".join(Page(html).attributes("class")).split() if name.startswith("rm-")}
    assert all(f".{name}{{" in html for name in classes)


def test_page_fetches_nothing_from_anywhere(samples: type[Samples]) -> None:
    chart = HeatChart(light=b"\x89PNG light", dark=b"\x89PNG dark")
    notice = heat_notice(samples, heat_days=days(samples), chart=chart, link="https://reefs.example.org/{reef_id}")
    mail = mail_of(notice)
    part = mail.get_body(("html",))
    assert part is not None
    html = part.get_content()
    page = Page(html)
    pictures = page.attributes("src") + page.attributes("srcset")
    assert {"cid:heat-light@reefmesh", "cid:heat-dark@reefmesh"} == set(pictures)
    attached = {each["Content-ID"]: each.get_content() for each in mail.walk() if each.get_content_type() == "image/png"}
    assert {"<heat-light@reefmesh>": chart.light, "<heat-dark@reefmesh>": chart.dark} == attached
    assert set() == {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "form", "base"}
    assert "url(" not in html
    assert "@import" not in html


def test_mail_without_a_chart_has_the_last_days_as_a_table(samples: type[Samples]) -> None:
    page = page_of(mail_of(heat_notice(samples, heat_days=days(samples))))
    assert [] == page.attributes("src")
    assert "2024-03-30 31.90 degC +2.90 degC 7.25 degC-weeks Bleaching Warning ok" in page.text
    assert "2024-03-23" not in page.text


def digest_notice(samples: type[Samples], name: str) -> Notice:
    """A digest in which the reef and its status have that name."""
    state = ReefState(
        reef_id="x",
        name=name,
        as_of=samples.START,
        level=3,
        level_on=samples.START.date(),
        dhw_celsius_weeks=4.0,
        status=name,
        verdict=name,
        verdict_until=samples.START + timedelta(days=9),
    )
    background = Background(at=samples.START, states=[state], link="https://reefs.example.org/{reef_id}")
    notice = heat_notice(samples, name)
    return replace(notice, digest=True, subject=f"1 alert: {name}", background=background)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_is_text_and_nothing_else(samples: type[Samples], name: str) -> None:
    for notice_of in (heat_notice, digest_notice):
        mail = mail_of(notice_of(samples, name))
        page = page_of(mail)
        assert page_of(mail_of(notice_of(samples, "North Wall"))).elements == page.elements
        assert plain(name)[:12] in page.text
        assert mail["Bcc"] is None


def test_digest_of_many_alerts_tells_the_newest_in_full_and_all_in_the_text(samples: type[Samples]) -> None:
    notice = heat_notice(samples)
    many = replace(notice, digest=True, alerts=[*notice.alerts] * 30, subject="30 alerts")
    mail = mail_of(many)
    page = page_of(mail)
    assert FULL_ALERTS_LIMIT == page.text.count("What to do")
    assert "10 older alerts" in page.text
    assert 30 == many.text.count("Evidence:")


@pytest.mark.parametrize(
    ("template", "key", "addresses", "post"),
    [
        (PAGE, KEY, [f"https://reefs.example.org/off/harbour/{TOKEN}", MAILTO_WITH_TOKEN], "List-Unsubscribe=One-Click"),
        ("mailto:leave@example.org?subject=off%20{recipient}", KEY, ["mailto:leave@example.org?subject=off%20harbour"], None),
        ("mailto:leave@example.org?subject={token}", KEY, [f"mailto:leave@example.org?subject={TOKEN}"], None),
        (None, KEY, [MAILTO_WITH_TOKEN], None),
        (None, None, ["mailto:reefs@example.org?subject=unsubscribe%20harbour"], None),
    ],
)
def test_every_mail_says_how_to_unsubscribe_and_a_page_does_it_with_one_click(
    samples: type[Samples], template: str | None, key: str | None, addresses: list[str], post: str | None
) -> None:
    unsubscribing = Unsubscribing.of(template, None if key is None else SecretStr(key))
    mail = mail_of(heat_notice(samples, unsubscribing=unsubscribing))
    assert ", ".join(f"<{each}>" for each in addresses) == mail["List-Unsubscribe"]
    assert post == mail["List-Unsubscribe-Post"]
    assert addresses[:1] == page_of(mail).attributes("href")


def test_token_to_unsubscribe_is_what_the_page_says_and_fits_its_recipient_alone() -> None:
    """``docs/alerts.md`` tells the operator's page how to verify it, in these words."""
    signed = hmac.new(KEY.encode(), b"unsubscribe harbour", "sha256").digest()
    assert base64.urlsafe_b64encode(signed[:24]).decode() == TOKEN
    unsubscribing = Unsubscribing(key=SecretStr(KEY))
    assert unsubscribing.is_token_of("harbour", TOKEN)
    assert not unsubscribing.is_token_of("scientist", TOKEN)
    assert not unsubscribing.is_token_of("harbour", TOKEN[:-1])
    assert not unsubscribing.is_token_of("harbour", "\u00e9")
    assert not Unsubscribing(key=SecretStr(KEY[::-1])).is_token_of("harbour", TOKEN)
    assert not Unsubscribing().is_token_of("harbour", "")


def test_template_with_a_token_and_no_key_is_refused_before_anything_is_sent() -> None:
    settings = AlertsSettings.load(
        environment={}, overrides={"broker_url": "embedded://", "store_url": "sqlite://", "unsubscribe_template": PAGE}
    )
    with pytest.raises(ConfigurationError, match="REEFMESH_ALERTS_UNSUBSCRIBE_KEY"):
        blueprint(settings)


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("link_template", "https://reefs.example.org/site/"),
        ("link_template", "https://reefs.example.org/{reef}"),
        ("link_template", "https://reefs.example.org/{reef_id!r}"),
        ("link_template", "https://reefs.example.org/{reef_id"),
        ("link_template", "javascript:alert({reef_id})"),
        ("link_template", "https://reefs.example.org/ {reef_id}"),
        ("link_template", "https://user:secret@reefs.example.org/{reef_id}"),
        ("unsubscribe_template", "http://reefs.example.org/{recipient}"),
        ("unsubscribe_template", "mailto:nobody"),
        ("unsubscribe_template", "https://reefs.example.org/{reef_id}"),
        ("unsubscribe_template", "https://reefs.example.org/off/{recipient}"),
        ("unsubscribe_template", "https://reefs.example.org/off/{token}"),
        ("unsubscribe_key", "too short"),
    ],
)
def test_wrong_template_is_refused_in_one_line(name: str, template: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        AlertsSettings.load(environment={}, overrides={"broker_url": "embedded://", "store_url": "sqlite://", name: template})
    message = str(refused.value)
    assert name.replace("_", "-") in message
    assert "\n" not in message

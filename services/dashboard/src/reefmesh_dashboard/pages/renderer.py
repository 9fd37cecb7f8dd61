"""Writes the pages' HTML: templates, filled in a visitor's language."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic_core import to_json

from reefmesh.contracts.alerts import Alert
from reefmesh_dashboard.pages.choices import Choices
from reefmesh_dashboard.pages.heat_chart import HEIGHT, WIDTH, HeatDrawing
from reefmesh_dashboard.pages.language import Language, Languages
from reefmesh_dashboard.pages.views import Views
from reefmesh_dashboard.pages.words import AGES, N_, machine, utc
from reefmesh_dashboard.queries.reefs import ListedReef

SCRIPT_WORDS: Final = {
    "lost": N_("Connection lost {age}. What you see is from then."),
    "old": N_("This page is from {age}. Now there is no connection."),
    "never": N_("There is no connection now. What you see is from {age}."),
}
"""What the page's script says besides ages."""


class Renderer:
    """All texts of strangers are escaped, and a misspelt field is an error, not a blank."""

    def __init__(self, languages: Languages) -> None:
        self.languages = languages
        self._templates = Environment(
            loader=PackageLoader("reefmesh_dashboard", "pages/templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )

    def sites(self, reefs: Sequence[ListedReef], choices: Choices, now: datetime, *, back: str, more: str | None) -> str:
        views = Views(self._language(choices), choices, now)
        return self.page("list.html", choices, now, back=back, lines=[views.line_of(reef) for reef in reefs], more=more)

    def row(self, reef: ListedReef, choices: Choices, now: datetime) -> str:
        """Return a reef's row in the list of sites."""
        language = self._language(choices)
        line = Views(language, choices, now).line_of(reef)
        return self._templates.get_template("row.html").render(line=line, _=language.say)

    def site(
        self,
        reef: ListedReef,
        alerts: Sequence[Alert],
        chart: HeatDrawing | None,
        choices: Choices,
        now: datetime,
        *,
        back: str,
    ) -> str:
        site = Views(self._language(choices), choices, now).site_of(reef, alerts)
        return self.page("site.html", choices, now, back=back, site=site, chart=chart, width=WIDTH, height=HEIGHT)

    def page(self, template: str, choices: Choices, now: datetime, *, back: str, **facts: Any) -> str:
        """Return a whole page; ``back`` is its own address, to which a choice returns."""
        language = self._language(choices)
        words = {name: language.say(text) for name, text in (AGES | SCRIPT_WORDS).items()}
        return self._templates.get_template(template).render(
            now={"machine": machine(now), "utc": utc(now)},
            back=back,
            choices=choices,
            language=language,
            languages=self.languages.values(),
            words=to_json(words).decode(),
            _=language.say,
            safety=language.safety,
            **facts,
        )

    def _language(self, choices: Choices) -> Language:
        return self.languages[choices.language]

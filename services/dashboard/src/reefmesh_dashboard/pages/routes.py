"""The pages: complete in their HTML, without a script."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from http import HTTPStatus
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from reefmesh.clock import Clock
from reefmesh.contracts.contract import ReefId
from reefmesh.errors import TransientError
from reefmesh_dashboard.api.cursors import CURSOR_LENGTH, WrongCursor, from_cursor, to_cursor
from reefmesh_dashboard.domain.spans import microseconds_of
from reefmesh_dashboard.pages.heat_chart import DAYS, HEIGHT, WIDTH, heat_chart
from reefmesh_dashboard.pages.views import line_of, site_of
from reefmesh_dashboard.queries.alerts import alerts_of
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.queries.reefs import reef_of, reefs_by_name
from reefmesh_dashboard.queries.series import heat_of
from reefmesh_dashboard.taken_score import day_number

SITES_LIMIT: Final = 100
ALERTS_SHOWN: Final = 50
YEAR: Final = timedelta(days=365)
FIRST: Final = ("", "")
PLACE: Final = TypeAdapter(tuple[str, str])
REEF_ID: Final = TypeAdapter(ReefId)
STYLE: Final = "page.css"

Page = Callable[[Request], Awaitable[Response]]


def page_routes(reader: Reader, *, clock: Clock) -> Sequence[Route]:
    """Return the routes of the pages."""
    # A name of a reef or a buoy is anybody's text: all of it is escaped, and a misspelt field is an error, not a blank.
    templates = Environment(
        loader=PackageLoader("reefmesh_dashboard", "pages/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    style = resources.files("reefmesh_dashboard").joinpath("pages/templates", STYLE).read_bytes()

    def render(template: str, status: HTTPStatus = HTTPStatus.OK, **facts: Any) -> Response:
        return HTMLResponse(templates.get_template(template).render(now=clock.now(), **facts), status_code=status)

    def trouble(status: HTTPStatus, detail: str) -> Response:
        return render("problem.html", status, title=status.phrase, detail=detail)

    def guarded(page: Page) -> Page:
        async def answer(request: Request) -> Response:
            try:
                return await page(request)
            except TransientError:
                return trouble(HTTPStatus.SERVICE_UNAVAILABLE, "The data cannot be read now. Please try again in a moment.")

        return answer

    async def sites(request: Request) -> Response:
        after = FIRST
        if (cursor := request.query_params.get("after")) is not None:
            try:
                after = from_cursor(cursor[:CURSOR_LENGTH], PLACE)
            except WrongCursor:
                return trouble(HTTPStatus.BAD_REQUEST, "This link is not complete. The list begins at All sites.")
        found = await reefs_by_name(reader, after=after, limit=SITES_LIMIT + 1)
        shown, now = found[:SITES_LIMIT], clock.now()
        more = to_cursor((shown[-1].name, shown[-1].reef_id)) if len(found) > SITES_LIMIT else None
        return render("list.html", lines=[line_of(reef, now) for reef in shown], more=more)

    async def site(request: Request) -> Response:
        reef_id = request.path_params["reef_id"]
        reef = await reef_of(reader, reef_id) if _is_reef_id(reef_id) else None
        if reef is None:
            return trouble(HTTPStatus.NOT_FOUND, "There is no such site.")
        now = clock.now()
        first_us, end_us = microseconds_of(now - YEAR), microseconds_of(now)
        alerts = await alerts_of(reader, reef.reef_id, first_us=first_us, end_us=end_us, limit=ALERTS_SHOWN)
        last = day_number(now.date()) + 1  # the reef's solar date may be ahead of UTC's
        days = await heat_of(reader, reef.reef_id, first=last - DAYS, end=last + 1, limit=DAYS + 1)
        mmm_celsius = None if reef.score is None else reef.score.heat.mmm_celsius
        chart = heat_chart(days, mmm_celsius=mmm_celsius, today=max([now.date(), *(day.date for day in days)]))
        return render("site.html", site=site_of(reef, alerts, now), chart=chart, width=WIDTH, height=HEIGHT)

    async def css(_: Request) -> Response:
        return Response(style, media_type="text/css")

    return [Route("/", guarded(sites)), Route("/reefs/{reef_id}", guarded(site)), Route(f"/{STYLE}", css)]


def _is_reef_id(text: str) -> bool:
    try:
        REEF_ID.validate_python(text)
    except ValueError:
        return False
    return True

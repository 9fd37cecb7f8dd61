"""The pages: complete in their HTML; what a script adds to them is said in ``static/page.js``."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from http import HTTPStatus
from importlib import resources
from typing import Final

from pydantic import TypeAdapter
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from reefmesh.clock import Clock
from reefmesh.contracts.contract import ReefId
from reefmesh.errors import TransientError
from reefmesh_dashboard.api.cursors import CURSOR_LENGTH, WrongCursor, from_cursor, to_cursor
from reefmesh_dashboard.domain.spans import microseconds_of
from reefmesh_dashboard.live.listeners import Changed
from reefmesh_dashboard.live.stream import Rows
from reefmesh_dashboard.pages.choices import COOKIE, KEPT_SECONDS, choices_of, chosen, way_back
from reefmesh_dashboard.pages.form import FormTooLong, read_form
from reefmesh_dashboard.pages.heat_chart import DAYS, heat_chart
from reefmesh_dashboard.pages.renderer import Renderer
from reefmesh_dashboard.pages.words import N_
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
STATIC: Final = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "ages.js": "text/javascript",
    "stream.js": "text/javascript",
    "service-worker.js": "text/javascript",
    "manifest.webmanifest": "application/manifest+json",
    "icon.svg": "image/svg+xml",
}
"""Files that are served as they are, and their media types."""
VARY: Final = {"vary": "accept-language, cookie"}

TROUBLES: Final[dict[HTTPStatus, str]] = {
    HTTPStatus.BAD_REQUEST: N_("This address cannot be read"),
    HTTPStatus.NOT_FOUND: N_("Not found"),
    HTTPStatus.SERVICE_UNAVAILABLE: N_("Not available now"),
}

Page = Callable[[Request], Awaitable[Response]]


def page_routes(reader: Reader, renderer: Renderer, *, clock: Clock) -> Sequence[Route]:
    """Return the routes of the pages."""
    languages = renderer.languages

    def html(text: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
        return HTMLResponse(text, status_code=status, headers=VARY)

    def trouble(request: Request, status: HTTPStatus, detail: str) -> Response:
        choices = choices_of(request, languages)
        facts = {"title": TROUBLES[status], "detail": detail}
        return html(renderer.page("problem.html", choices, clock.now(), back="/", **facts), status)

    def guarded(page: Page) -> Page:
        async def answer(request: Request) -> Response:
            try:
                return await page(request)
            except TransientError:
                detail = N_("The data cannot be read now. Please try again in a moment.")
                return trouble(request, HTTPStatus.SERVICE_UNAVAILABLE, detail)

        return answer

    async def sites(request: Request) -> Response:
        after = FIRST
        if (cursor := request.query_params.get("after")) is not None:
            try:
                after = from_cursor(cursor[:CURSOR_LENGTH], PLACE)
            except WrongCursor:
                detail = N_("This link is not complete. The list begins at All sites.")
                return trouble(request, HTTPStatus.BAD_REQUEST, detail)
        found = await reefs_by_name(reader, after=after, limit=SITES_LIMIT + 1)
        shown = found[:SITES_LIMIT]
        more = to_cursor((shown[-1].name, shown[-1].reef_id)) if len(found) > SITES_LIMIT else None
        choices = choices_of(request, languages)
        return html(renderer.sites(shown, choices, clock.now(), back=_address(request), more=more))

    async def site(request: Request) -> Response:
        reef_id = request.path_params["reef_id"]
        reef = await reef_of(reader, reef_id) if _is_reef_id(reef_id) else None
        if reef is None:
            return trouble(request, HTTPStatus.NOT_FOUND, N_("There is no such site."))
        now = clock.now()
        first_us, end_us = microseconds_of(now - YEAR), microseconds_of(now)
        alerts = await alerts_of(reader, reef.reef_id, first_us=first_us, end_us=end_us, limit=ALERTS_SHOWN)
        last = day_number(now.date()) + 1  # the reef's solar date may be ahead of UTC's
        days = await heat_of(reader, reef.reef_id, first=last - DAYS, end=last + 1, limit=DAYS + 1)
        mmm_celsius = None if reef.score is None else reef.score.heat.mmm_celsius
        chart = heat_chart(days, mmm_celsius=mmm_celsius, today=max([now.date(), *(day.date for day in days)]))
        return html(renderer.site(reef, alerts, chart, choices_of(request, languages), now, back=_address(request)))

    async def choose(request: Request) -> Response:
        try:
            given = await read_form(request)
        except FormTooLong:
            detail = N_("This form is too long.")
            return trouble(request, HTTPStatus.BAD_REQUEST, detail)
        answer = RedirectResponse(way_back(given.get("back", "/")), HTTPStatus.SEE_OTHER)
        cookie = chosen(given, languages).to_cookie()
        answer.set_cookie(COOKIE, cookie, max_age=KEPT_SECONDS, path="/", httponly=True, samesite="lax")
        return answer

    return [
        Route("/", guarded(sites)),
        Route("/reefs/{reef_id}", guarded(site)),
        Route("/choices", choose, methods=["POST"]),
        *(_file(name, media_type) for name, media_type in STATIC.items()),
    ]


def rows_of(renderer: Renderer, *, clock: Clock) -> Rows:
    """Return what writes the rows of changed reefs for the pages that follow."""

    def rows(request: Request) -> tuple[object, Callable[[Changed], str]]:
        choices = choices_of(request, renderer.languages)

        def write(changed: Changed) -> str:
            reef = changed.reef
            row = renderer.row(reef, choices, clock.now())
            return to_json({"reef_id": reef.reef_id, "version": str(reef.version), "row": row}).decode()

        return choices, write

    return rows


def _file(name: str, media_type: str) -> Route:
    content = resources.files("reefmesh_dashboard").joinpath("pages/static", name).read_bytes()

    async def answer(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return Route(f"/{name}", answer)


def _address(request: Request) -> str:
    """Return the address of a page on this site."""
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def _is_reef_id(text: str) -> bool:
    try:
        REEF_ID.validate_python(text)
    except ValueError:
        return False
    return True

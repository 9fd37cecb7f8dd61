"""The API: FastAPI over the read model. What it answers is for everybody; it writes nothing."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, TypeAdapter
from starlette.exceptions import HTTPException
from starlette.responses import Response

import reefmesh
from reefmesh.clock import Clock
from reefmesh.errors import TransientError
from reefmesh_dashboard.api import answers
from reefmesh_dashboard.api.cursors import to_cursor
from reefmesh_dashboard.api.parameters import (
    DEFAULT_LIMIT,
    CursorQuery,
    FromDayQuery,
    FromQuery,
    KindQuery,
    LimitQuery,
    QuantityQuery,
    ReefIdPath,
    ToDayQuery,
    ToQuery,
    WrongRequest,
    days_between,
    mistakes,
    period,
    place_of,
    refuse_unknown,
)
from reefmesh_dashboard.domain.spans import microseconds_of
from reefmesh_dashboard.queries import alerts, reefs, series
from reefmesh_dashboard.queries.alerts import AFTER_ALL, AlertPlace
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.queries.reefs import ListedReef
from reefmesh_dashboard.queries.series import BEFORE_ALL, Asked, SeriesPlace
from reefmesh_dashboard.web.problems import MEDIA_TYPE, Problem, problem, unavailable

MOUNT: Final = "/api/v1"
DESCRIPTION: Final = (
    "Reefs, their readings, scores and alerts. Instants are in UTC; units and names of quantities are those of the CF standard"
    " names. What is not known is said: `standing` is `current`, `stale`, `unknown` or `not_measured`, and a value that cannot"
    " be relied on is never shown as if it could. Every error is a problem document (RFC 9457)."
)
PLACE: Final = TypeAdapter(SeriesPlace)
ALERT_PLACE: Final = TypeAdapter(AlertPlace)
REEF_PLACE: Final = TypeAdapter(str)
DAY_PLACE: Final = TypeAdapter(date)
WRONG: Final = "a parameter cannot be as it was given"

Row = TypeVar("Row")


class UnknownReef(Exception):
    def __init__(self, reef_id: str) -> None:
        super().__init__(reef_id)
        self.reef_id = reef_id


def make_api(reader: Reader, *, clock: Clock) -> FastAPI:
    """Return the application that answers below ``MOUNT``."""
    app = FastAPI(
        title="reefmesh",
        version=reefmesh.__version__,
        description=DESCRIPTION,
        servers=[{"url": MOUNT}],
        root_path_in_servers=False,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        responses={
            "400": _problem_answer(WRONG),
            "404": _problem_answer("There is no such reef, or no such page."),
            "429": _problem_answer("Too many requests from this address; `Retry-After` says when the next one may come."),
            "503": _problem_answer("The data cannot be read now; `Retry-After` says when to try again."),
        },
    )
    app.include_router(_routes(reader, clock))
    _answer_errors(app)
    app.openapi = _without_422(app.openapi)  # type: ignore[method-assign]  # as FastAPI's documentation does it
    return app


def _routes(reader: Reader, clock: Clock) -> APIRouter:
    router = APIRouter(dependencies=[Depends(refuse_unknown)])

    async def found_reef(reef_id: str) -> ListedReef:
        reef = await reefs.reef_of(reader, reef_id)
        if reef is None:
            raise UnknownReef(reef_id)
        return reef

    async def known(reef_id: ReefIdPath) -> str:
        return (await found_reef(reef_id)).reef_id

    Known = Annotated[str, Depends(known)]  # noqa: N806 - a type

    @router.get("/reefs", response_model=answers.ReefList, summary="All reefs, by id", tags=["reefs"])
    async def list_reefs(limit: LimitQuery = DEFAULT_LIMIT, cursor: CursorQuery = None) -> Response:
        after = "" if cursor is None else place_of(cursor, REEF_PLACE)
        found = await reefs.reefs_by_id(reader, after=after, limit=limit + 1)
        shown, following = _page(found, limit, lambda reef: reef.reef_id)
        now = clock.now()
        return _json(answers.ReefList(features=[answers.list_feature(reef, now) for reef in shown], next=following))

    @router.get("/reefs/{reef_id}", response_model=answers.ReefFeature, summary="One reef, as it is now", tags=["reefs"])
    async def one_reef(reef_id: ReefIdPath) -> Response:
        return _json(answers.feature(await found_reef(reef_id), clock.now()))

    @router.get(
        "/reefs/{reef_id}/readings",
        response_model=answers.ReadingList,
        summary="Readings of the last 7 days or of a period, oldest first",
        tags=["readings"],
    )
    async def readings(
        reef_id: Known,
        *,
        first: FromQuery = None,
        end: ToQuery = None,
        quantity: QuantityQuery = None,
        limit: LimitQuery = DEFAULT_LIMIT,
        cursor: CursorQuery = None,
    ) -> Response:
        asked = _asked(reef_id, period(first, end, clock.now()), limit, cursor)
        found = await series.readings_of(reader, asked)
        shown, following = _page(found, limit, lambda each: each.place)
        rows = [answers.reading_answer(each, quantity) for each in shown]
        return _json(answers.ReadingList(reef_id=reef_id, readings=rows, next=following))

    @router.get(
        "/reefs/{reef_id}/hours",
        response_model=answers.HourList,
        summary="Minimum, mean, maximum by hour, of the last 7 days or of a period, oldest first",
        tags=["readings"],
    )
    async def hours(
        reef_id: Known,
        *,
        first: FromQuery = None,
        end: ToQuery = None,
        quantity: QuantityQuery = None,
        limit: LimitQuery = DEFAULT_LIMIT,
        cursor: CursorQuery = None,
    ) -> Response:
        asked = _asked(reef_id, period(first, end, clock.now()), limit, cursor)
        shown, following = _page(await series.hours_of(reader, asked), limit, lambda each: each.place)
        rows = [answers.hour_answer(each, quantity) for each in shown]
        return _json(answers.HourList(reef_id=reef_id, hours=rows, next=following))

    @router.get(
        "/reefs/{reef_id}/days",
        response_model=answers.DayList,
        summary="Minimum, mean, maximum by day of UTC, oldest first",
        tags=["readings"],
    )
    async def days(
        reef_id: Known,
        *,
        first: FromDayQuery = None,
        end: ToDayQuery = None,
        quantity: QuantityQuery = None,
        limit: LimitQuery = DEFAULT_LIMIT,
        cursor: CursorQuery = None,
    ) -> Response:
        numbers = days_between(first, end)
        after = BEFORE_ALL if cursor is None else place_of(cursor, PLACE)
        asked = Asked(reef_id=reef_id, first=numbers[0], end=numbers[1], after=after, limit=limit + 1)
        shown, following = _page(await series.days_of(reader, asked), limit, lambda each: each.place)
        rows = [answers.day_answer(each, quantity) for each in shown]
        return _json(answers.DayList(reef_id=reef_id, days=rows, next=following))

    @router.get(
        "/reefs/{reef_id}/heat", response_model=answers.HeatList, summary="Heat stress by day, oldest first", tags=["scores"]
    )
    async def heat(
        reef_id: Known,
        *,
        first: FromDayQuery = None,
        end: ToDayQuery = None,
        limit: LimitQuery = DEFAULT_LIMIT,
        cursor: CursorQuery = None,
    ) -> Response:
        begin, stop = _days_after(first, end, cursor)
        found = await series.heat_of(reader, reef_id, first=begin, end=stop, limit=limit + 1)
        shown, following = _page(found, limit, lambda day: day.date)
        return _json(answers.HeatList(reef_id=reef_id, days=list(shown), next=following))

    @router.get(
        "/reefs/{reef_id}/carbonate",
        response_model=answers.CarbonateList,
        summary="Aragonite saturation by day, oldest first",
        tags=["scores"],
    )
    async def carbonate(
        reef_id: Known,
        *,
        first: FromDayQuery = None,
        end: ToDayQuery = None,
        limit: LimitQuery = DEFAULT_LIMIT,
        cursor: CursorQuery = None,
    ) -> Response:
        begin, stop = _days_after(first, end, cursor)
        found = await series.carbonate_of(reader, reef_id, first=begin, end=stop, limit=limit + 1)
        shown, following = _page(found, limit, lambda day: day.date)
        return _json(answers.CarbonateList(reef_id=reef_id, days=list(shown), next=following))

    @router.get(
        "/reefs/{reef_id}/buoys", response_model=answers.BuoyList, summary="When each buoy reported, by id", tags=["reefs"]
    )
    async def buoys(reef_id: ReefIdPath) -> Response:
        return _json(answers.buoys_of(await found_reef(reef_id), clock.now()))

    async def alert_list(
        reef_id: str | None, within: tuple[datetime, datetime], kind: str | None, limit: int, cursor: str | None
    ) -> Response:
        before = AFTER_ALL if cursor is None else place_of(cursor, ALERT_PLACE)
        first_us, end_us = map(microseconds_of, within)
        found = await alerts.alerts_of(
            reader, reef_id, kind=kind, first_us=first_us, end_us=end_us, before=before, limit=limit + 1
        )
        shown, following = _page(found, limit, lambda each: AlertPlace(microseconds_of(each.occurred_at), each.alert_id))
        return _json(answers.AlertList(alerts=list(shown), next=following))

    @router.get("/alerts", response_model=answers.AlertList, summary="Alerts of all reefs, newest first", tags=["alerts"])
    async def all_alerts(
        *,
        first: FromQuery = None,
        end: ToQuery = None,
        kind: KindQuery = None,
        limit: LimitQuery = DEFAULT_LIMIT,
        cursor: CursorQuery = None,
    ) -> Response:
        return await alert_list(None, period(first, end, clock.now()), kind, limit, cursor)

    @router.get(
        "/reefs/{reef_id}/alerts", response_model=answers.AlertList, summary="Alerts of one reef, newest first", tags=["alerts"]
    )
    async def alerts_of_a_reef(
        reef_id: Known,
        *,
        first: FromQuery = None,
        end: ToQuery = None,
        kind: KindQuery = None,
        limit: LimitQuery = DEFAULT_LIMIT,
        cursor: CursorQuery = None,
    ) -> Response:
        return await alert_list(reef_id, period(first, end, clock.now()), kind, limit, cursor)

    return router


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def refused(request: Request, error: RequestValidationError) -> Response:
        return problem(HTTPStatus.BAD_REQUEST, WRONG, errors=list(mistakes(request, error)))

    @app.exception_handler(WrongRequest)
    async def wrong(_: Request, error: WrongRequest) -> Response:
        return problem(HTTPStatus.BAD_REQUEST, WRONG, errors=error.errors)

    @app.exception_handler(UnknownReef)
    async def unknown(_: Request, error: UnknownReef) -> Response:
        return problem(HTTPStatus.NOT_FOUND, f"there is no reef {error.reef_id}; {MOUNT}/reefs has all")

    @app.exception_handler(TransientError)
    async def away(_: Request, __: TransientError) -> Response:
        return unavailable()

    @app.exception_handler(HTTPException)
    async def other(_: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        detail = f"{MOUNT}/openapi.json tells what there is"
        return problem(status, detail, headers=error.headers)


def _asked(reef_id: str, within: tuple[datetime, datetime], limit: int, cursor: str | None) -> Asked:
    """One row more than is shown tells whether there are more."""
    first_us, end_us = map(microseconds_of, within)
    after = BEFORE_ALL if cursor is None else place_of(cursor, PLACE)
    return Asked(reef_id=reef_id, first=first_us, end=end_us, after=after, limit=limit + 1)


def _days_after(first: date | None, end: date | None, cursor: str | None) -> tuple[int, int]:
    begin, stop = days_between(first, end)
    if cursor is not None:
        begin = max(begin, days_between(place_of(cursor, DAY_PLACE), None)[0] + 1)
    return begin, stop


def _page(rows: Sequence[Row], limit: int, place: Callable[[Row], object]) -> tuple[Sequence[Row], str | None]:
    """Return the rows to show, and the cursor of the next ones if there are more."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], to_cursor(place(rows[limit - 1]))


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")


def _problem_answer(description: str) -> dict[str, Any]:
    return {"model": Problem, "description": description}


def _without_422(document: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """FastAPI documents an answer that this API does not give: a wrong parameter is a problem document with status 400. And it
    takes problem documents for plain JSON."""

    def openapi() -> dict[str, Any]:
        described = document()
        for operations in described["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
                for status, answer in operation["responses"].items():
                    if status != "200":
                        (content,) = answer["content"].values()
                        answer["content"] = {MEDIA_TYPE: content}
        for name in ("HTTPValidationError", "ValidationError"):
            described["components"]["schemas"].pop(name, None)
        return described

    return openapi

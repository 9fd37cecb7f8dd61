"""The parameters of the API. Each one's description says what is allowed; errors quote it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar, get_args

from fastapi import Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BeforeValidator, TypeAdapter, WithJsonSchema

from reefmesh.contracts.alerts import Kind
from reefmesh.contracts.quantities import UNITS
from reefmesh_dashboard.api.cursors import CURSOR_ALLOWED, CURSOR_LENGTH, WrongCursor, from_cursor
from reefmesh_dashboard.queries.reading import ROWS_LIMIT
from reefmesh_dashboard.web.problems import WrongParameter

DEFAULT_LIMIT: Final = 100
PERIOD_DAYS: Final = 7
PERIOD_DAYS_LIMIT: Final = 366
"""For rows of readings and hours: a longer period is asked for in parts."""
VALUE_SHOWN: Final = 60
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)

Place = TypeVar("Place")

Quantity = StrEnum("Quantity", {name.upper(): name for name in UNITS})  # type: ignore[misc]  # mypy wants the names here
AlertKind = StrEnum("AlertKind", {name.upper(): name for name in get_args(Kind)})  # type: ignore[misc]  # likewise


def _instant(text: object) -> datetime:
    try:
        instant = datetime.fromisoformat(str(text))
    except ValueError:
        if " " in str(text):
            raise ValueError("not an instant; a + in an address is written %2B") from None
        raise ValueError("not an instant") from None
    if instant.tzinfo is None:
        raise ValueError("it has no offset from UTC")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("not an instant") from None


def _date(text: object) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise ValueError("not a date") from None


INSTANT_ALLOWED: Final = "an instant with its offset from UTC, like 2026-11-29T08:00:00Z"
DATE_ALLOWED: Final = "a date like 2026-11-29"
Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
Day = Annotated[date, BeforeValidator(_date), WithJsonSchema({"type": "string", "format": "date"})]

ReefIdPath = Annotated[
    str,
    Path(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="a reef's id: 1 to 64 of a-z, 0-9, dot, dash and underscore, with a letter or digit first",
    ),
]
LimitQuery = Annotated[int, Query(ge=1, le=ROWS_LIMIT, description=f"a whole number from 1 to {ROWS_LIMIT}")]
CursorQuery = Annotated[str | None, Query(max_length=CURSOR_LENGTH, description=CURSOR_ALLOWED)]
FromQuery = Annotated[Instant | None, Query(alias="from", description=f"{INSTANT_ALLOWED}: the first one")]
ToQuery = Annotated[Instant | None, Query(alias="to", description=f"{INSTANT_ALLOWED}: the first one after the period")]
FromDayQuery = Annotated[Day | None, Query(alias="from", description=f"{DATE_ALLOWED}: the first one")]
ToDayQuery = Annotated[Day | None, Query(alias="to", description=f"{DATE_ALLOWED}: the first one after the period")]
QuantityQuery = Annotated[Quantity | None, Query(description=f"one of {', '.join(UNITS)}")]
KindQuery = Annotated[AlertKind | None, Query(description=f"one of {', '.join(get_args(Kind))}")]


class WrongRequest(Exception):
    """Parameters that cannot be as they were given."""

    def __init__(self, *errors: WrongParameter) -> None:
        super().__init__(errors)
        self.errors = errors


def wrong(parameter: str, detail: str, allowed: str) -> WrongRequest:
    return WrongRequest(WrongParameter(parameter=parameter, place="query", detail=detail, allowed=allowed))


def period(first: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Return the period that is asked for: the last days before its end, which is now, unless it says more.

    Raises WrongRequest: it is empty, or too long for one question.
    """
    end = now if end is None else end
    if first is None:
        first = max(end - timedelta(days=PERIOD_DAYS), EARLIEST) if end > EARLIEST else EARLIEST
    if first >= end:
        raise wrong("from", f"{first.isoformat()} is not before the end, {end.isoformat()}", "an instant before `to`")
    if end - first > timedelta(days=PERIOD_DAYS_LIMIT):
        raise wrong(
            "from", "the period is too long", f"at most {PERIOD_DAYS_LIMIT} days before `to`; ask for longer ones in parts"
        )
    return first, end


def days_between(first: date | None, end: date | None) -> tuple[int, int]:
    """Return the days that are asked for, counted from 1970-01-01: all, unless it says less. Raises WrongRequest: none."""
    epoch = EARLIEST.date()
    numbers = (0 if first is None else (first - epoch).days, (date.max if end is None else end).toordinal() - epoch.toordinal())
    if numbers[0] >= numbers[1]:
        raise wrong("from", "it is not before the end", "a date before `to`")
    return numbers


def place_of(cursor: str, kind: TypeAdapter[Place]) -> Place:
    """Return the place that a cursor stands for. Raises WrongRequest."""
    try:
        return from_cursor(cursor, kind)
    except WrongCursor:
        raise wrong("cursor", f"{shown(cursor)} is no cursor of this list", CURSOR_ALLOWED) from None


def refuse_unknown(request: Request) -> None:
    """Refuse a parameter that the route does not have, and one that stands twice: neither would have the effect that was meant.

    Raises WrongRequest.
    """
    known = descriptions(request)
    given = [name for name, _ in request.query_params.multi_items()]
    errors = []
    for name in dict.fromkeys(given):
        if name not in known:
            allowed = ", ".join(sorted(known)) or "no parameter"
            errors.append(
                WrongParameter(
                    parameter=shown(name).strip("'"), place="query", detail="there is no such parameter", allowed=allowed
                )
            )
        elif given.count(name) > 1:
            errors.append(WrongParameter(parameter=name, place="query", detail="it is given twice", allowed=known[name]))
    if errors:
        raise WrongRequest(*errors)


def descriptions(request: Request) -> Mapping[str, str]:
    """Return what is allowed for each parameter of the route that answers: query parameters, and those of its path."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return {}
    return {each.alias: each.field_info.description or "" for each in route.dependant.query_params}


def mistakes(request: Request, error: RequestValidationError) -> Iterator[WrongParameter]:
    """Yield what is wrong with each parameter that FastAPI refused."""
    route = request.scope.get("route")
    allowed = dict(descriptions(request))
    if isinstance(route, APIRoute):
        allowed |= {each.alias: each.field_info.description or "" for each in route.dependant.path_params}
    for each in error.errors():
        place, name = str(each["loc"][0]), str(each["loc"][-1])
        yield WrongParameter(
            parameter=name, place=place, detail=f"{shown(each.get('input'))} cannot be read", allowed=allowed.get(name, "")
        )


def shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= VALUE_SHOWN else f"{text[: VALUE_SHOWN - 3]}..."

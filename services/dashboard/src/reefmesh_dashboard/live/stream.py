"""``/api/v1/stream``: what changes, as server-sent events."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from fastapi.sse import EventSourceResponse, format_sse_event
from pydantic import TypeAdapter
from pydantic_core import to_json
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from reefmesh.clock import Clock
from reefmesh.contracts.contract import ReefId
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.page_connections import UNENDING
from reefmesh_dashboard.api.answers import feature
from reefmesh_dashboard.live.listeners import Changed, Listener, Listeners, Refusal
from reefmesh_dashboard.web.clients import Network, client_of
from reefmesh_dashboard.web.problems import WrongParameter, problem

PATH: Final = "/api/v1/stream"
BEAT_SECONDS: Final = 15.0
RETRY_MILLISECONDS: Final = 3000
REEFS_LIMIT: Final = 100
"""Reefs that one stream may name; one that names none follows all."""
REFUSED_RETRY_SECONDS: Final = 60
REEF_ALLOWED: Final = (
    f"a reef's id, or id@version with the `version` of what is known of it; at most {REEFS_LIMIT} times, unset: all reefs"
)
ROWS_ALLOWED: Final = "html: the reef's row in the list of sites, instead of its GeoJSON; once"
ALLOWED: Final[Mapping[str, str]] = {"reef": REEF_ALLOWED, "rows": ROWS_ALLOWED}
VERSION_LENGTH: Final = 64
REEF_ID: Final = TypeAdapter(ReefId)
TOO_MANY: Final[Mapping[Refusal, tuple[HTTPStatus, str]]] = {
    "address": (HTTPStatus.TOO_MANY_REQUESTS, "too many streams are open from this address; close one of them"),
    "all": (HTTPStatus.SERVICE_UNAVAILABLE, "too many streams are open"),
}

Rows = Callable[[Request], tuple[object, Callable[[Changed], str]]]
"""What writes rows for a request: a key that is the same for all who get the same text, and the writing itself."""


class WrongStream(Exception):
    """Parameters that cannot be as they were given."""

    def __init__(self, *errors: WrongParameter) -> None:
        super().__init__(errors)
        self.errors = errors


class Stream:
    """The ASGI application that answers at ``PATH``.

    Events: ``ready`` (from here on nothing is missed), ``reef`` (a reef changed: its id, version and GeoJSON or row),
    ``reload`` (what was missed is not known: read everything anew), ``beat`` (nothing happened; with the time, every
    ``beat_seconds``). It writes nothing and keeps nothing: whoever comes back says which versions it has.
    """

    def __init__(
        self,
        listeners: Listeners,
        *,
        clock: Clock,
        metrics: Metrics,
        rows: Rows,
        trusted: Sequence[Network],
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self._listeners = listeners
        self._clock = clock
        self._metrics = metrics
        self._rows = rows
        self._trusted = trusted
        self._beat_seconds = beat_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            has = asked_reefs(request)
        except WrongStream as error:
            answer = problem(HTTPStatus.BAD_REQUEST, "a parameter cannot be as it was given", errors=error.errors)
            await answer(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            await Response(media_type=EventSourceResponse.media_type)(scope, receive, send)
            return
        address = client_of(scope, self._trusted)
        refusal = self._listeners.refusal(address)
        if refusal is not None:
            self._metrics.count(table.LISTENERS_REFUSED, refusal)
            status, detail = TOO_MANY[refusal]
            answer = problem(status, detail, headers={"retry-after": str(REFUSED_RETRY_SECONDS)})
            await answer(scope, receive, send)
            return
        scope[UNENDING] = True
        key, write = self._rows(request) if "rows" in request.query_params else ("json", self._json)
        comes_back = "last-event-id" in Headers(scope=scope) and not (has and all(has.values()))
        with self._listeners.listening(address, has, reload=comes_back) as listener:
            self._metrics.add(table.LISTENERS, 1)
            try:
                events = self._events(listener, key, write)
                await EventSourceResponse(events, headers={"cache-control": "no-store"})(scope, receive, send)
            finally:
                self._metrics.add(table.LISTENERS, -1)

    async def _events(self, listener: Listener, key: object, write: Callable[[Changed], str]) -> AsyncIterator[bytes]:
        yield format_sse_event(retry=RETRY_MILLISECONDS)
        while not listener.ended:
            news = await listener.next(within_seconds=self._beat_seconds)
            if news is None:
                if not listener.ended:
                    yield self._timed("beat")
                continue
            if news.ready:
                yield self._timed("ready")
            if news.reload:
                self._metrics.count(table.RELOADS_SENT)
                yield self._timed("reload")
            for changed in news.changed:
                if key not in changed.texts:
                    changed.texts[key] = write(changed)
                self._metrics.count(table.CHANGES_SENT)
                reef = changed.reef
                yield format_sse_event(event="reef", id=f"{reef.reef_id}@{reef.version}", data_str=changed.texts[key])

    def _timed(self, event: str) -> bytes:
        """An event with the time: clocks of phones are wrong, and ages are counted from this one."""
        return format_sse_event(event=event, data_str=to_json({"now": self._clock.now()}).decode())

    def _json(self, changed: Changed) -> str:
        reef = changed.reef
        known = feature(reef, self._clock.now()).model_dump(mode="json")
        return to_json({"reef_id": reef.reef_id, "version": str(reef.version), "reef": known}).decode()


def asked_reefs(request: Request) -> Mapping[str, str] | None:
    """Return the reefs that a request names, with the version that it has of each (empty: it does not say); None: all.

    Raises WrongStream.
    """
    parameters = request.query_params
    for name in parameters:
        if name not in ALLOWED:
            raise _wrong(name, "there is no such parameter", ", ".join(sorted(ALLOWED)))
    if parameters.getlist("rows") not in ([], ["html"]):
        raise _wrong("rows", "it cannot be read", ROWS_ALLOWED)
    given = parameters.getlist("reef")
    if not given:
        return None
    if len(given) > REEFS_LIMIT:
        raise _wrong("reef", "it is given too often", REEF_ALLOWED)
    has = {}
    for each in given:
        reef_id, _, version = each.partition("@")
        try:
            has[REEF_ID.validate_python(reef_id)] = version
        except ValueError:
            raise _wrong("reef", "it cannot be read", REEF_ALLOWED) from None
        if len(version) > VERSION_LENGTH:
            raise _wrong("reef", "its version cannot be read", REEF_ALLOWED)
    return has


def _wrong(parameter: str, detail: str, allowed: str) -> WrongStream:
    shown = ascii(parameter[:60]).strip("'")
    return WrongStream(WrongParameter(parameter=shown, place="query", detail=detail, allowed=allowed))

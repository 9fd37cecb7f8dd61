"""The door's pages: ``/v1/telemetry`` and its description. Every answer is counted, every refusal is a problem document."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh_gateway.domain.sender_address import Network, sender_address
from reefmesh_gateway.door.intake import Intake
from reefmesh_gateway.door.openapi import document
from reefmesh_gateway.door.problem import DoorRefusal, later
from reefmesh_gateway.limits import DoorLimits

NOT_COUNTED: Final = (202, 500, 503)
"""Answers that are no refusal of the sender's doing."""

log = structlog.get_logger()
Page = Callable[[Request], Awaitable[Response]]


def application(intake: Intake, limits: DoorLimits, metrics: Metrics, *, trusted_proxies: Sequence[Network]) -> Starlette:
    """Return the application of the door."""

    async def telemetry(request: Request) -> Response:
        taken = await intake.take(request)
        headers = {"cache-control": "no-store"} | ({"idempotent-replayed": "true"} if taken.is_repeat else {})
        return Response(taken.document_json, 202, headers, "application/json")

    async def openapi(_: Request) -> Response:
        return JSONResponse(document())

    def answered(request: Request, problem: DoorRefusal) -> Response:
        """Count a refusal, and refuse in few words whoever has made too many requests of this kind."""
        if problem.status not in NOT_COUNTED:
            peer = request.client.host if request.client else None
            address = sender_address(peer, request.headers.get("x-forwarded-for", ""), trusted_proxies)
            if (wait := limits.refuse(address)) and problem.status == 401:
                metrics.count(table.GATEWAY_LIMITED, "address")
                problem = later(429, "too-many-refused", "too many requests of this address were refused", after_seconds=wait)
        metrics.count(table.GATEWAY_REQUESTS, str(problem.status))
        return problem.response()

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, DoorRefusal)  # noqa: S101 - Starlette calls it for this class alone
        return answered(request, error)

    async def not_found(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as above
        reason = {404: "not-found", 405: "method"}.get(error.status_code, "http")
        detail = "reports go to POST /v1/telemetry; /v1/openapi.json describes it"
        headers = error.headers or {}
        return answered(request, DoorRefusal(status=error.status_code, reason=reason, detail=detail, headers=headers))

    async def gone(request: Request, _: Exception) -> Response:
        return answered(request, DoorRefusal(status=400, reason="cut-off", detail="the request ended before its body did"))

    async def failed(_: Request, error: Exception) -> Response:
        log.error("the door failed", error=repr(error))
        metrics.count(table.GATEWAY_REQUESTS, "500")
        return DoorRefusal(status=500, reason="bug", detail="the gateway made a mistake; it is in its log").response()

    return Starlette(
        routes=[
            Route("/v1/telemetry", _counted(telemetry, metrics), methods=["POST"]),
            Route("/v1/openapi.json", _counted(openapi, metrics), methods=["GET"]),
        ],
        exception_handlers={DoorRefusal: refused, HTTPException: not_found, ClientDisconnect: gone, Exception: failed},
    )


def _counted(page: Page, metrics: Metrics) -> Page:
    async def counted(request: Request) -> Response:
        response = await page(request)
        metrics.count(table.GATEWAY_REQUESTS, str(response.status_code))
        return response

    return counted

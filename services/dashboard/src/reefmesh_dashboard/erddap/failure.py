"""ERDDAP's own form of an error: its clients show it to whoever asked."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

NO_ROWS: Final = "Your query produced no matching results. (nRows = 0)"


class ErddapFailure(Exception):
    """What was asked for cannot be answered."""

    def __init__(self, status: HTTPStatus, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


def wrong_query(parameter: str, detail: str, allowed: str) -> ErddapFailure:
    """Return the failure of one wrong part of a question: which, why, and what is allowed."""
    return ErddapFailure(HTTPStatus.BAD_REQUEST, f"Query error: {parameter}: {detail}. Allowed: {allowed}.")


def not_found(detail: str) -> ErddapFailure:
    return ErddapFailure(HTTPStatus.NOT_FOUND, detail)


def listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def failure_answer(failure: ErddapFailure) -> Response:
    message = json.dumps(f"{failure.status.phrase}: {failure.detail}")
    body = f"Error {{\n    code={failure.status.value};\n    message={message};\n}}\n"
    return Response(
        body,
        status_code=failure.status,
        headers={"cache-control": "no-store", **failure.headers},
        media_type="text/plain",
    )

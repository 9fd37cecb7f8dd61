"""Problem documents (RFC 9457): every error of the API, and of the pages."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, Field
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 5


class WrongParameter(BaseModel):
    """One parameter that cannot be as it was given."""

    parameter: str
    place: str = Field(serialization_alias="in", description="query or path")
    detail: str
    allowed: str


class Problem(BaseModel):
    """``title`` is the status in words; ``detail`` says what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[WrongParameter] | None = None


def problem(
    status: HTTPStatus, detail: str, *, errors: Sequence[WrongParameter] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """Return a problem document."""
    body = Problem(title=status.phrase, status=status, detail=detail, errors=list(errors) or None)
    return Response(
        body.model_dump_json(by_alias=True, exclude_none=True),
        status_code=status,
        headers={"cache-control": "no-store", **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def unavailable() -> Response:
    """What is wrong with the database stands in the log and in /health, not in an answer to strangers."""
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"the data cannot be read now; try again in {RETRY_AFTER_SECONDS} seconds",
        headers={"retry-after": str(RETRY_AFTER_SECONDS)},
    )

"""Refusals as problem documents (RFC 9457): a status, a name of the reason for programs, and a sentence for people."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(kw_only=True, eq=False)  # not frozen: Python writes the traceback into what is raised
class DoorRefusal(Exception):
    """``reason`` is a slug that stays the same; ``headers`` and ``more`` go into the answer besides."""

    status: int
    reason: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def response(self) -> Response:
        document = {
            "type": f"urn:reefmesh:problem:{self.reason}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "reason": self.reason,
            "detail": self.detail,
            **self.more,
        }
        headers = {"cache-control": "no-store", **self.headers}
        return Response(json.dumps(document, ensure_ascii=False), self.status, headers, MEDIA_TYPE)


def later(status: int, reason: str, detail: str, *, after_seconds: int) -> DoorRefusal:
    """Return a refusal that may end by itself: ``Retry-After`` says when it is worth another try."""
    return DoorRefusal(status=status, reason=reason, detail=detail, headers={"retry-after": str(after_seconds)})

"""What the dashboard serves: the pages, the API, and what stands before both."""

import re
from collections.abc import Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from reefmesh.observability.http import PageRoute
from reefmesh_dashboard.api.app import MOUNT
from reefmesh_dashboard.live.stream import PATH
from reefmesh_dashboard.web.headers import SecurityHeaders
from reefmesh_dashboard.web.rate_rule import Limited, RateRule
from reefmesh_dashboard.web.validators import EntityTags

API_HEADERS: Final = {
    # Anybody's page may read the API: it has no secrets, and knows no sessions.
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "etag, retry-after",
    "cross-origin-resource-policy": "cross-origin",
    "cache-control": "no-cache",
}
COMPRESSED_FROM_BYTES: Final = 1000
PAGE_HEADERS: Final = {"cross-origin-resource-policy": "same-origin", "cache-control": "no-cache"}


def routes_of(pages: Sequence[Route], api: ASGIApp, stream: ASGIApp, *, rule: RateRule) -> Sequence[PageRoute]:
    """Return the routes for the service's server: the pages by their paths, the stream at its own, the API below ``MOUNT``."""
    site = _behind(Starlette(routes=list(pages)), rule, PAGE_HEADERS)
    routes = [Route(page.path, site, methods=sorted(page.methods or ())) for page in pages]
    following = Route(PATH, _behind(stream, rule, API_HEADERS), methods=["GET"])
    return [*routes, following, mounted(_behind(EntityTags(api), rule, API_HEADERS))]


def mounted(api: ASGIApp) -> Mount:
    """Return the route of all paths below ``MOUNT``. Starlette's own leaves out those with a line end, which would pass by the
    headers and the rule."""
    mount = Mount(MOUNT, api)
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    return mount


def _behind(app: ASGIApp, rule: RateRule, headers: dict[str, str]) -> ASGIApp:
    return SecurityHeaders(GZipMiddleware(Limited(app, rule=rule), minimum_size=COMPRESSED_FROM_BYTES), more=headers)

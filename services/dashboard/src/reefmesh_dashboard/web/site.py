"""What the dashboard serves: the pages, the API, the open data, and what stands before them."""

import re
from collections.abc import Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from reefmesh.observability.http import PageRoute
from reefmesh_dashboard.api.app import MOUNT
from reefmesh_dashboard.erddap.app import ERDDAP_MOUNT, too_many_requests
from reefmesh_dashboard.erddap.forms import BINARY_TYPES
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
DOWNLOAD_COMPRESSION: Final = 4
PAGE_HEADERS: Final = {"cross-origin-resource-policy": "same-origin", "cache-control": "no-cache"}


def routes_of(pages: Sequence[Route], api: ASGIApp, stream: ASGIApp, erddap: ASGIApp, *, rule: RateRule) -> Sequence[PageRoute]:
    """Return the routes for the service's server: the pages by their paths, the stream at its own, the API and the open data
    below their mounts."""
    site = _behind(Starlette(routes=list(pages)), rule, PAGE_HEADERS)
    routes = [Route(page.path, site, methods=sorted(page.methods or ())) for page in pages]
    following = Route(PATH, _behind(stream, rule, API_HEADERS), methods=["GET"])
    data = SecurityHeaders(_compressed(Limited(erddap, rule=rule, refusal=too_many_requests)), more=API_HEADERS)
    return [
        *routes,
        following,
        mounted(MOUNT, _behind(EntityTags(api), rule, API_HEADERS)),
        mounted(ERDDAP_MOUNT, data),
    ]


def mounted(path: str, app: ASGIApp) -> Mount:
    """Return the route of all paths below ``path``. Starlette's own leaves out those with a line end, which would pass by the
    headers and the rule."""
    mount = Mount(path, app)
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    return mount


def _behind(app: ASGIApp, rule: RateRule, headers: dict[str, str]) -> ASGIApp:
    return SecurityHeaders(GZipMiddleware(Limited(app, rule=rule), minimum_size=COMPRESSED_FROM_BYTES), more=headers)


def _compressed(app: ASGIApp) -> ASGIApp:
    """Downloads are long: they are compressed less, and files not again."""
    types = (*DEFAULT_EXCLUDED_CONTENT_TYPES, *BINARY_TYPES)
    return GZipMiddleware(
        app, minimum_size=COMPRESSED_FROM_BYTES, compresslevel=DOWNLOAD_COMPRESSION, exclude_content_types=types
    )

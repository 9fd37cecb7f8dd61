"""The settings of the dashboard."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from reefmesh.settings import ServiceSettings
from reefmesh_dashboard.web.clients import networks


def _checked_networks(text: str) -> str:
    try:
        networks(text)
    except ValueError as error:
        raise ValueError(f"that is no network: {error}") from None
    return text


class DashboardSettings(ServiceSettings):
    """The section ``[dashboard]`` of the file and ``REEFMESH_DASHBOARD_...`` are for this service alone."""

    SECTION: ClassVar[str] = "dashboard"

    requests_limit: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=2000, description="a whole number from 1 to 1000000: requests of one address in five minutes"
    )
    trusted_proxies: Annotated[str, AfterValidator(_checked_networks)] = Field(
        default="",
        description="networks like 10.0.0.0/8,192.0.2.7 whose X-Forwarded-For is believed: the load balancer's; unset: none",
    )
    listeners_limit: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=1000, description="a whole number from 1 to 10000: streams of changes that may be open"
    )
    listeners_each_limit: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=10, description="a whole number from 1 to 10000: streams of changes that one address may have open"
    )
    page_query_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=5.0, description="seconds, above 0 and at most 60: what a page or an answer may wait for one query"
    )

"""The settings of the dashboard."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from reefmesh.settings import ServiceSettings
from reefmesh_dashboard.exports.downloads import DEFAULT_AT_ONCE, DEFAULT_MEGABYTES, DEFAULT_SECONDS, DownloadLimits
from reefmesh_dashboard.exports.publisher import NO_INSTITUTION, NO_LICENCE, DataPublisher
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
    data_institution: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        default=NO_INSTITUTION, description="1 to 200 characters: who publishes the open data; stands in every file"
    )
    data_licence: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        default=NO_LICENCE,
        description="1 to 2000 characters: what others may do with the data, such as CC-BY-4.0; stands in every file",
    )
    data_citation: Annotated[str, Field(max_length=2000)] = Field(
        default="", description="at most 2000 characters: how to cite the data; unset: the institution and the dataset's title"
    )
    data_contact_name: Annotated[str, Field(max_length=200)] = Field(
        default="", description="at most 200 characters: whom to ask about the data; unset: the institution"
    )
    data_contact_email: Annotated[str, Field(max_length=200)] = Field(
        default="", description="at most 200 characters: the address of that person; unset: none"
    )
    data_url: Annotated[str, Field(max_length=500)] = Field(
        default="", description="at most 500 characters: a page about the data; unset: none"
    )
    download_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=DEFAULT_SECONDS, description="seconds, above 0 and at most 3600: what a download may take to read its rows"
    )
    download_megabytes: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=DEFAULT_MEGABYTES,
        description="a whole number from 1 to 100000: megabytes of the temporary file that a download may need",
    )
    downloads_limit: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=DEFAULT_AT_ONCE, description="a whole number from 1 to 1000: downloads at once, of all clients together"
    )

    @property
    def publisher(self) -> DataPublisher:
        return DataPublisher(
            institution=self.data_institution,
            licence=self.data_licence,
            citation=self.data_citation,
            contact_name=self.data_contact_name,
            contact_email=self.data_contact_email,
            url=self.data_url,
        )

    @property
    def download_limits(self) -> DownloadLimits:
        return DownloadLimits(seconds=self.download_seconds, megabytes=self.download_megabytes, at_once=self.downloads_limit)

"""The settings of the alerts service."""

from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, Field, SecretStr

from reefmesh.settings import ServiceSettings
from reefmesh_alerts.domain.heat import DEFAULT_OPENS_AT
from reefmesh_alerts.targets.proxy import EXAMPLE, checked_proxy
from reefmesh_alerts.texts.links import LINK_EXAMPLE, UNSUBSCRIBE_EXAMPLE, checked_link, checked_unsubscribe
from reefmesh_alerts.texts.unsubscribing import Unsubscribing

KEY_CHARACTERS_LEAST: Final = 16


class AlertsSettings(ServiceSettings):
    """The section ``[alerts]`` of the file and ``REEFMESH_ALERTS_...`` are for this service alone."""

    SECTION: ClassVar[str] = "alerts"

    subscriptions_file: Path | None = Field(
        default=None, description="the path of a subscriptions file (TOML); without one, alerts go to the log alone"
    )
    heat_opens_at: Annotated[int, Field(ge=1, le=7)] = Field(
        default=DEFAULT_OPENS_AT, description="the heat level, 1 (Bleaching Watch) to 7, from which on an episode is open"
    )
    link_template: Annotated[str, AfterValidator(checked_link)] | None = Field(
        default=None,
        max_length=500,
        description=f"the address of a site's page for texts, like {LINK_EXAMPLE}; without one, texts have no link",
    )
    unsubscribe_template: Annotated[str, AfterValidator(checked_unsubscribe)] | None = Field(
        default=None,
        max_length=500,
        description=f"where a mail program unsubscribes a recipient, like {UNSUBSCRIBE_EXAMPLE};"
        " without one, by mail to the sender",
    )
    unsubscribe_key: Annotated[SecretStr, Field(min_length=KEY_CHARACTERS_LEAST)] | None = Field(
        default=None,
        description=f"a random secret of at least {KEY_CHARACTERS_LEAST} characters that makes and verifies the tokens of"
        " unsubscribe addresses",
    )
    proxy: Annotated[SecretStr, AfterValidator(checked_proxy)] = Field(
        default=SecretStr("none"),
        description=f"none, environment (HTTPS_PROXY, HTTP_PROXY and NO_PROXY) or a proxy's address like {EXAMPLE}: the way to"
        " targets over HTTP",
    )
    tick_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=1.0, description="seconds between checks of the deadlines, above 0 and at most 3600"
    )
    tick_grace_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=30.0, description="seconds after a start before the first check of the deadlines, from 0 to 86400"
    )
    delivery_poll_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=0.5, description="seconds between checks for deliveries that are due, above 0 and at most 3600"
    )
    delivery_attempts_limit: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=60, description="attempts at a delivery before it is given up, from 1 to 1000"
    )
    delivery_backoff_first_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=5.0, description="seconds after the first failure, above 0 and at most 3600; doubled at each further one"
    )
    delivery_backoff_max_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        default=3600.0, description="seconds between attempts at most, above 0 and at most 86400"
    )
    delivery_expires_hours: Annotated[float, Field(gt=0, le=8760)] = Field(
        default=72.0, description="hours after which an alert that could not be delivered is given up"
    )

    def unsubscribing(self) -> Unsubscribing:
        """Return where recipients unsubscribe.

        Raises:
            ConfigurationError: the template needs a key.
        """
        return Unsubscribing.of(self.unsubscribe_template, self.unsubscribe_key)

"""The settings of the gateway."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from reefmesh.settings import ServiceSettings
from reefmesh_gateway.domain.sender_address import networks_of


def _networks(text: str) -> str:
    networks_of(text)
    return text


class GatewaySettings(ServiceSettings):
    """The section ``[gateway]`` of the file and ``REEFMESH_GATEWAY_...`` are for this service alone."""

    SECTION: ClassVar[str] = "gateway"

    door_host: str = Field(
        default="127.0.0.1", min_length=1, description="an address of this machine at which devices come in (0.0.0.0: all)"
    )
    door_port: Annotated[int, Field(ge=0, le=65_535)] | None = Field(
        default=None, description="a port from 0 (any free one) to 65535; unset: the HTTP door stays closed"
    )
    door_certificate_file: Path | None = Field(
        default=None,
        description="the path of a certificate chain (PEM) for TLS; unset: plain HTTP, for a load balancer with TLS",
    )
    door_key_file: Path | None = Field(default=None, description="the path of its private key (PEM)")
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = Field(
        default="",
        description="addresses or networks with commas (10.0.0.0/16,127.0.0.1): of these X-Forwarded-For is believed; unset: of"
        " nobody",
    )
    address_requests_limit: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=2_000, description="a whole number from 1 to 1000000: refused requests of one address in 5 minutes"
    )
    bytes_a_day_limit: Annotated[int, Field(ge=1024, le=1 << 40)] = Field(
        default=32 * 1024 * 1024, description="bytes, from 1024: what one device may send in a day, unpacked"
    )
    door_connections_limit: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=1_000, description="a whole number from 1 to 100000: open connections"
    )
    door_connections_each_limit: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=200, description="a whole number from 1 to 100000: open connections of one peer (a load balancer is one)"
    )
    publish_timeout_seconds: Annotated[float, Field(gt=0, le=25)] = Field(
        default=10.0, description="seconds, above 0 and at most 25: how long a report waits for the broker's confirmation"
    )
    request_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=5.0, description="seconds, above 0 and at most 60: from a connection to the whole header of its request"
    )
    answer_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = Field(
        default=30.0, description="seconds, above 0 and at most 300: from there to the last byte of the answer, body included"
    )
    mqtt_url: str | None = Field(
        default=None,
        description="mqtts://HOST:8883 or mqtt://USER@HOST:1883, the MQTT broker to which devices connect; unset: the MQTT door"
        " stays closed",
    )
    mqtt_password: SecretStr | None = Field(
        default=None, description="a password of the MQTT broker, for the user in its address"
    )
    mqtt_client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        default="gateway",
        description="1 to 64 letters, digits, - and _: the session at the MQTT broker, the same for all gateways there",
    )
    mqtt_ca_file: Path | None = Field(
        default=None, description="the path of the authority (PEM) of the MQTT broker's certificate; unset: those of the system"
    )
    mqtt_certificate_file: Path | None = Field(
        default=None, description="the path of a certificate (PEM) with which the gateway logs in at the MQTT broker"
    )
    mqtt_key_file: Path | None = Field(default=None, description="the path of its private key (PEM, without a password)")
    mqtt_in_hand_limit: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=128,
        description="a whole number from 1 to 10000: messages that the MQTT broker may deliver before the first of them is"
        " acknowledged",
    )

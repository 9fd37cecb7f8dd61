"""Where the MQTT broker is, and how the gateway logs in there."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from reefmesh.errors import ConfigurationError

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttAddress:
    """``tls`` None: plain, for the loopback or a network of the broker's own. ``client_id`` names the session, which outlives
    connections."""

    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def session(self) -> str:
        """The name of the session among all brokers."""
        return f"{self.client_id}@{self.host}:{self.port}"

    @classmethod
    def of(
        cls,
        url: str,
        *,
        client_id: str,
        password: str | None = None,
        ca_file: Path | None = None,
        certificate_file: Path | None = None,
        key_file: Path | None = None,
    ) -> Self:
        """Read ``mqtt://user@host:port`` or ``mqtts://host:port`` and the files of TLS.

        Raises:
            ConfigurationError: the address or a file cannot be used; one line that says which.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if parts.scheme not in PORTS or not host or parts.path.strip("/") or parts.query:
            raise ConfigurationError("REEFMESH_GATEWAY_MQTT_URL is mqtt://HOST:1883 or mqtts://HOST:8883, with a user before @")
        if parts.password is not None:
            raise ConfigurationError("the password of REEFMESH_GATEWAY_MQTT_URL belongs in REEFMESH_GATEWAY_MQTT_PASSWORD")
        is_tls = parts.scheme == "mqtts"
        if not is_tls and any((ca_file, certificate_file, key_file)):
            raise ConfigurationError("REEFMESH_GATEWAY_MQTT_CA_FILE and its certificate need an address that begins with mqtts")
        return cls(
            host=host,
            port=port or PORTS[parts.scheme],
            client_id=client_id,
            tls=_tls(ca_file, certificate_file, key_file) if is_tls else None,
            username=unquote(parts.username) if parts.username else None,
            password=password,
        )


def _tls(ca_file: Path | None, certificate_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """Raises ConfigurationError."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"REEFMESH_GATEWAY_MQTT_CA_FILE {ca_file}: {error.strerror or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if (certificate_file is None) != (key_file is None):
        raise ConfigurationError("REEFMESH_GATEWAY_MQTT_CERTIFICATE_FILE and REEFMESH_GATEWAY_MQTT_KEY_FILE go together")
    if certificate_file is not None and key_file is not None:
        try:
            context.load_cert_chain(certificate_file, key_file, password="")  # nobody is there to be asked for one
        except OSError as error:
            why = error.strerror or str(error)
            raise ConfigurationError(f"cannot use the certificate {certificate_file} with the key {key_file}: {why}") from None
    return context

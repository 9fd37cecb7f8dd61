"""MQTT with QoS 1, as a device: ``buoys/<device>/d2c/telemetry-1``, whose last level says which format it is.

MQTT carries no headers: a repeat is recognised by the instants of its readings.
"""

import ssl
import threading
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from reefmesh_buoy.failures import NotSent, WrongSetting
from reefmesh_buoy.report import SealedReport
from reefmesh_buoy.transports.gateway_http import tls_context

KEEP_ALIVE_SECONDS: Final = 60


class _Puback:
    """Waits for the PUBACK of the one message of a connection, or for the end of that connection."""

    def __init__(self, client: mqtt.Client) -> None:
        self.is_ended = threading.Event()
        self.is_confirmed = False
        self.trouble = ""
        client.on_publish = self._published
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected

    def _published(self, *_: Any) -> None:
        self.is_confirmed = True
        self.is_ended.set()

    def _connected(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.trouble = f"the broker refused the login: {reason}"
            self.is_ended.set()

    def _disconnected(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.trouble = self.trouble or f"the broker closed the connection: {reason}"
        self.is_ended.set()


class MqttTransport:
    """Connects for each report, in a clean session: the library repeats nothing of an earlier one. Raises WrongSetting.

    ``certificate_file`` and ``key_file`` (PEM, the key without a password): the broker takes the device by them, with TLS.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        device: str,
        user: str | None,
        password: str | None,
        is_tls: bool,
        ca_file: str | None,
        timeout_seconds: float,
        certificate_file: Path | None = None,
        key_file: Path | None = None,
    ) -> None:
        self._host, self._port, self._device = host, port, device
        self._user, self._password = user, password
        self._tls = tls_context(ca_file) if is_tls else None
        if self._tls is not None and certificate_file is not None and key_file is not None:
            _show(self._tls, certificate_file, key_file)
        self._timeout_seconds = timeout_seconds

    def send(self, report: SealedReport) -> None:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self._device, clean_session=True)
        client.connect_timeout = self._timeout_seconds
        if self._user is not None:
            client.username_pw_set(self._user, self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        try:
            confirmation = _Puback(client)
            client.connect(self._host, self._port, KEEP_ALIVE_SECONDS)
            client.loop_start()
            client.publish(f"buoys/{self._device}/d2c/telemetry-1", report.body, qos=1)
            confirmation.is_ended.wait(self._timeout_seconds)
            if not confirmation.is_confirmed:
                late = f"no confirmation from {self._host}:{self._port} within {self._timeout_seconds:g} s"
                raise NotSent(confirmation.trouble or late)
        except (OSError, ValueError, RuntimeError) as error:
            raise NotSent(f"{type(error).__name__}: {error}") from error
        finally:
            client.disconnect()
            client.loop_stop()

    def close(self) -> None:
        """There is nothing to give back: each report has a connection of its own."""


def _show(tls: ssl.SSLContext, certificate_file: Path, key_file: Path) -> None:
    """Raises WrongSetting. A key behind a password is one too: nobody is there to be asked for it."""
    try:
        tls.load_cert_chain(certificate_file, key_file, password="")
    except (OSError, ssl.SSLError) as error:
        raise WrongSetting(f"send.certificate_file {certificate_file}, send.key_file {key_file}: {error}") from None

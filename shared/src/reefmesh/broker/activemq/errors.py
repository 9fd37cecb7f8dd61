"""Failures between client and broker, by the way in which a caller can react."""

import socket
import ssl
from typing import Final

from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.port import BrokerUnavailable, PublishRefused
from reefmesh.errors import ConfigurationError

OPENWIRE_GREETING: Final = "\\x01Active"
TLS_ALERT: Final = "b'\\x15\\x03"
"""How the first bytes of peers that speak something else look in a ``ProtocolViolation``. A port for Java clients introduces
itself before it is asked."""


class ProtocolViolation(ConnectionLost):
    """The peer broke the STOMP protocol: the connection is dropped."""


class BrokerRefusal(Exception):
    """An ERROR frame, with the broker's own reason."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def is_permission(self) -> bool:
        return "is not authorized to" in self.message

    @property
    def is_about_size(self) -> bool:
        """Whether the broker would take a smaller message: ``The maximum data length was exceeded`` and the like."""
        return "exceeded" in self.message and "maximum" in self.message

    def as_publish_refused(self) -> PublishRefused:
        return PublishRefused(f"the broker refused: {self.message}")

    def as_failure(self) -> Exception:
        """Return the error for any command but publishing."""
        if self.is_permission:
            return ConfigurationError(
                f"the broker refused: {self.message}; give this user that right in the broker's configuration"
            )
        return BrokerUnavailable(f"the broker refused: {self.message}")


def login_failure(message: str, *, user: str, address: str) -> Exception:
    """Return the error for an ERROR frame that answers a login."""
    lowered = message.lower()
    if "password" in lowered or "authentic" in lowered or "user name" in lowered or "credential" in lowered:
        return ConfigurationError(f"{address} refused the login of {user or 'nobody'}: wrong user name or password")
    return BrokerUnavailable(f"{address} refused the connection: {message}")


def login_unanswered(lost: ConnectionLost, *, address: str) -> Exception:
    """Return the error for a connection that ended, for this reason, before a login was answered."""
    if OPENWIRE_GREETING in str(lost):
        return ConfigurationError(
            f"{address} speaks OpenWire, ActiveMQ's own protocol for Java clients: name its STOMP port (61613, with TLS 61614)"
        )
    if "HTTP/1" in str(lost):
        return ConnectionLost(f"{address} speaks HTTP: name the broker's STOMP port (61613, with TLS 61614)")
    if TLS_ALERT in str(lost):
        return ConfigurationError(f"{address} speaks TLS there: use stomp+ssl:// for it, or the plain port")
    return type(lost)(f"{lost}; it had not answered the login")


def connect_failure(error: Exception, *, address: str, ca_file: str | None) -> Exception:
    """Return the error for a connection that could not be opened: ConfigurationError where no retry helps."""
    match error:
        case ssl.SSLCertVerificationError():
            return ConfigurationError(_certificate_failure(error, address=address, ca_file=ca_file))
        case ssl.SSLError() if "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER" in str(error):
            return ConfigurationError(f"{address} does not speak TLS there: use stomp:// for a plain port, or the TLS port")
        case ssl.SSLError():
            return BrokerUnavailable(f"{address}: TLS failed: {error.reason or error}")
        case socket.gaierror():  # no name, too: orchestrators take a broker's name away while it restarts
            return BrokerUnavailable(
                f"{address}: its name does not resolve ({error.strerror}); if that lasts, name the right host"
            )
        case TimeoutError():
            return BrokerUnavailable(f"{address} did not answer in time")
        case OSError():
            return BrokerUnavailable(f"{address}: {error.strerror or error}")
    return error


def _certificate_failure(error: ssl.SSLCertVerificationError, *, address: str, ca_file: str | None) -> str:
    if error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
        return (
            f"{address}: the certificate is for another name ({error.verify_message}): "
            "use the name that it has, or set server_name="
        )
    trusted = f"by {ca_file}" if ca_file else "by this system's authorities"
    return (
        f"{address}: the certificate is not trusted {trusted} ({error.verify_message}): name the right authority with ca=FILE"
    )

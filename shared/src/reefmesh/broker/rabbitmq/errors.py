"""Failures between client and broker, by the way in which a caller can react."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelClosed,
    ChannelInvalidStateError,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionClosed,
    DeliveryError,
    InvalidFrameError,
    ProbableAuthenticationError,
    PublishError,
)
from pamqp.commands import Basic

from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.port import BrokerUnavailable, PublishRefused
from reefmesh.errors import ConfigurationError

ACCESS_REFUSED, NOT_FOUND, RESOURCE_LOCKED, PRECONDITION_FAILED, NOT_ALLOWED = 403, 404, 405, 406, 530
UNROUTABLE: Final = 312
NOT_CONFIRMED: Final = 0
"""A negative confirmation has no code."""
CODES: Final[dict[type[ChannelClosed], int]] = {
    ChannelAccessRefused: ACCESS_REFUSED,
    ChannelNotFoundEntity: NOT_FOUND,
    ChannelLockedResource: RESOURCE_LOCKED,
    ChannelPreconditionFailed: PRECONDITION_FAILED,
}


class BrokerRefusal(Exception):
    """The broker refused a command, with its code (of AMQP, or NOT_CONFIRMED) and its own reason."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    @property
    def is_permission(self) -> bool:
        return self.code == ACCESS_REFUSED

    @property
    def is_missing(self) -> bool:
        """Whether the queue or exchange does not exist."""
        return self.code == NOT_FOUND

    @property
    def is_unroutable(self) -> bool:
        """Whether the message met no queue."""
        return self.code == UNROUTABLE

    @property
    def is_negative_confirmation(self) -> bool:
        return self.code == NOT_CONFIRMED

    @property
    def is_about_size(self) -> bool:
        """Whether the broker would take a smaller message: ``message size 17825792 is larger than configured max size``."""
        return self.code == PRECONDITION_FAILED and "size" in self.message

    def as_publish_refused(self) -> PublishRefused:
        return PublishRefused(f"the broker refused: {self.message}")

    def as_failure(self) -> Exception:
        """Return the error for any command but publishing."""
        if self.is_permission:
            return ConfigurationError(
                f"the broker refused: {self.message}; give this user that right in the broker's configuration"
            )
        if self.code == PRECONDITION_FAILED:
            return ConfigurationError(
                f"the broker refused: {self.message}; it exists with other settings: is shards= that of the other services?"
            )
        return BrokerUnavailable(f"the broker refused: {self.message}")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise BrokerRefusal or ConnectionLost for what aiormq raises within this block."""
    try:
        yield
    except BrokerUnavailable:
        raise
    except (AMQPError, ChannelInvalidStateError, ConnectionError, RuntimeError) as error:
        raise translation(error) from error


def translation(error: BaseException) -> BrokerRefusal | ConnectionLost:
    """Return our error for one of aiormq's, or for the reason for which a channel or a connection ended."""
    match error:
        case BrokerRefusal() | ConnectionLost():
            return error
        case PublishError() if isinstance(error.frame, Basic.Return):
            return BrokerRefusal(f"{error.frame.reply_text} ({error.frame.routing_key})", code=UNROUTABLE)
        case DeliveryError():
            return BrokerRefusal("it did not take the message (a full queue, or one without a majority)", code=NOT_CONFIRMED)
        case ChannelClosed() if (code := _code_of(error)) is not None:
            return BrokerRefusal(str(error.args[-1]), code=code)
        case ChannelClosed() | ChannelInvalidStateError():
            return ConnectionLost("the channel is closed")
        case ConnectionClosed() if error.args:
            return ConnectionLost(f"the broker closed the connection: {error.args[-1]}")
    return ConnectionLost(str(error) or type(error).__name__)


def _code_of(error: ChannelClosed) -> int | None:
    """Return AMQP's code: aiormq has a class for each of the usual ones, which carries the text alone."""
    for kind, code in CODES.items():
        if isinstance(error, kind):
            return code
    return error.args[0] if len(error.args) == 2 and isinstance(error.args[0], int) and error.args[0] else None


def connect_failure(error: BaseException, *, address: str, user: str, virtual_host: str, ca_file: str | None) -> Exception:
    """Return the error for a connection that could not be opened: ConfigurationError where no retry helps."""
    text = str(error)
    match error:
        case ProbableAuthenticationError():
            return ConfigurationError(f"{address} refused the login of {user or 'nobody'}: wrong user name or password")
        case AuthenticationError():
            return ConfigurationError(f"{address} takes no user names with passwords (PLAIN): switch that mechanism on there")
        case ConnectionClosed() if error.args and error.args[0] == NOT_ALLOWED:
            return _not_allowed(text, address=address, user=user, virtual_host=virtual_host)
        case ssl.SSLCertVerificationError():
            return ConfigurationError(_certificate_failure(error, address=address, ca_file=ca_file))
        case ssl.SSLError() if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER" in text:
            return ConfigurationError(f"{address} does not speak TLS there: use amqp:// for a plain port, or the TLS port")
        case ssl.SSLError():
            return BrokerUnavailable(f"{address}: TLS failed: {error.reason or error}")
        case socket.gaierror():  # no name, too: orchestrators take a broker's name away while it restarts
            return BrokerUnavailable(
                f"{address}: its name does not resolve ({error.strerror}); if that lasts, name the right host"
            )
        case TimeoutError():
            return BrokerUnavailable(f"{address} did not answer in time")
        case InvalidFrameError():
            return BrokerUnavailable(
                f"{address} does not speak AMQP 0-9-1: name the broker's port for it (5672, with TLS 5671)"
            )
        case OSError() if error.errno is not None:
            return BrokerUnavailable(f"{address}: {error.strerror or error}")
        case AMQPError():
            return BrokerUnavailable(f"{address}: {text or type(error).__name__}; it had not answered the login")
    return BrokerUnavailable(f"{address}: {text or type(error).__name__}")


def _not_allowed(text: str, *, address: str, user: str, virtual_host: str) -> Exception:
    if "not found" in text:
        return ConfigurationError(f"{address} has no virtual host {virtual_host!r}: name it as the path of the URL")
    if "limit" in text:
        return BrokerUnavailable(f"{address} takes no more connections: {text}")
    return ConfigurationError(f"{address}: {user} may not use the virtual host {virtual_host!r}: give it that right")


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

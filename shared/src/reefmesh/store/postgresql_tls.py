"""TLS to PostgreSQL: the driver does it as libpq does; here is what it leaves unsaid when a parameter of the URL is wrong."""

import os
import ssl
from collections.abc import Mapping
from typing import Final

from reefmesh.errors import ConfigurationError

FILES: Final = ("sslrootcert", "sslcrl", "sslcert", "sslkey")
CHECKING_MODES: Final = ("require", "verify-ca", "verify-full")
"""The modes in which the driver checks the server's certificate against ``sslrootcert``; in the others it ignores the file."""

_OTHER_NAME: Final = {62, 64}
"""OpenSSL's X509_V_ERR_ for a host name and for an address that the certificate does not name."""
_OTHER_AUTHORITY: Final = {2, 18, 19, 20, 21}
"""OpenSSL's X509_V_ERR_ for a chain that does not end at a certificate that we trust."""
_NO_TLS: Final = "rejected SSL upgrade"
"""The driver has no class of its own for this."""


def check_tls_parameters(parameters: Mapping[str, str]) -> None:
    """Check the files that the URL's parameters name; the driver's error would not name them.

    Raises:
        ConfigurationError: one of them cannot be read or holds no certificate, or ``sslrootcert`` would not be used.
    """
    for name in FILES:
        if (path := parameters.get(name)) is not None:
            _check_file(name, path, f"{name} in the PostgreSQL URL")
        elif path := os.environ.get(f"PG{name.upper()}"):
            _check_file(name, path, f"PG{name.upper()}")
    mode = parameters.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer"
    if "sslrootcert" in parameters and mode not in CHECKING_MODES:
        raise ConfigurationError(
            f"the PostgreSQL URL has sslrootcert, and with sslmode={mode} nothing is checked: add sslmode=verify-full to it"
        )


def tls_mistake(error: OSError) -> str | None:
    """Return what an operator has to correct after a refused TLS connection; None: a later try may work."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OTHER_NAME:
            return (
                f"the certificate of the server is for another host ({error.verify_message.rstrip('.')}): "
                "write the host into the URL as the certificate names it (sslmode=verify-full checks that)"
            )
        if error.verify_code in _OTHER_AUTHORITY:
            return (
                f"the certificate of the server is not trusted ({error.verify_message}): "
                "let sslrootcert in the URL name the file of the authority that signed it"
            )
    elif _NO_TLS in str(error):
        return "the server has no TLS, and sslmode in the URL asks for it: switch ssl on at the server, or correct sslmode"
    return None


def _check_file(name: str, path: str, place: str) -> None:
    if name == "sslrootcert" and path == "system":
        raise ConfigurationError(f"{place}: 'system' is not for this driver: name the file, /etc/ssl/certs/ca-certificates.crt")
    try:
        with open(path, "rb") as file:
            file.read(1)
        if name in ("sslrootcert", "sslcrl"):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise ConfigurationError(f"{place}: {path} holds no certificate (PEM)") from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"{place}: cannot read {path}: {why}") from None

"""The certificate authorities that a target trusts."""

import ssl

from reefmesh.errors import ConfigurationError


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """Return a client context that checks names and certificates: the system's authorities, and those of ``ca_file``.

    Raises:
        ConfigurationError: the file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"{ca_file}: no certificates can be read from it: {error}") from error
    return context

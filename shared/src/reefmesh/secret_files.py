"""Secrets in files: for each secret ``NAME`` an operator may set ``NAME_FILE`` to the path of a file that holds it.

Container platforms mount secrets as files. A variable with the secret in it is shown by ``docker inspect`` and inherited by
every process that is started from there.
"""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reefmesh.errors import ConfigurationError

SUFFIX: Final = "_FILE"
BYTES_LIMIT: Final = 64 * 1024


class SecretOfFile(str):
    """A secret that remembers its file: platforms write a new one there when they change it."""

    __slots__ = ("named_by", "path")
    path: Path
    named_by: str

    def read_again(self) -> str:
        """Return what the file holds now. Raises as ``read_secret_file``."""
        return str(read_secret_file(self.path, named_by=self.named_by))  # a plain one: drivers are not content with less


def read_secret_file(path: Path, *, named_by: str) -> SecretOfFile:
    """Return the file's text without one newline at its end. ``named_by`` is the setting, for errors.

    Raises:
        ConfigurationError: one line with setting and path, never with the content.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe could wait for ever
            raise ConfigurationError(f"{named_by}: {path} is not a file")
        with path.open("rb") as file:
            content = file.read(BYTES_LIMIT + 1)
        if len(content) > BYTES_LIMIT:
            raise ConfigurationError(f"{named_by}: {path} is larger than {BYTES_LIMIT} bytes")
        secret = content.decode()
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise ConfigurationError(f"{named_by}: {path} is not UTF-8") from None  # the cause would hold the content
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise ConfigurationError(f"{named_by}: cannot read {str(path)!r}: {why}") from None
    secret = secret.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ConfigurationError(f"{named_by}: {path} is empty")
    kept = SecretOfFile(secret)
    kept.path, kept.named_by = path, named_by
    return kept


def secret_of(environment: Mapping[str, str], name: str) -> str | None:
    """Return the secret of the variable ``name`` or of the file that ``name``_FILE names; None: neither is set.

    Raises:
        ConfigurationError: both are set, or the file holds no secret.
    """
    file = environment.get(f"{name}{SUFFIX}")
    if file is None:
        return environment.get(name)
    refuse_both(name in environment, name, f"{name}{SUFFIX}")
    return read_secret_file(Path(file), named_by=f"{name}{SUFFIX}")


def refuse_both(direct: bool, name: str, file_name: str) -> None:
    """Refuse a secret that is given directly and as a file: one of them is out of date.

    Raises:
        ConfigurationError: ``direct`` is true.
    """
    if direct:
        raise ConfigurationError(f"{name} and {file_name} are both set; keep one of them")

"""A device's token: a public part that names it, and a secret part of which only a hash is kept.

The secret has 256 random bits, so a plain SHA-256 is enough: nobody guesses it, with or without a slow hash.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final, Self

PREFIX: Final = "rmt"
"""By it a person, and a scanner for leaked secrets, knows what it is."""
TEXT_CHARACTERS: Final = 61
_TEXT: Final = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """``credential_id`` may be shown; ``secret`` must not, and its ``repr`` leaves it out."""

    credential_id: str
    secret: str

    @classmethod
    def new(cls) -> Self:
        return cls(credential_id=secrets.token_hex(6), secret=secrets.token_urlsafe(32))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the token that a sender showed; None: it cannot be one."""
        match = _TEXT.fullmatch(text)
        return None if match is None else cls(credential_id=match[1], secret=match[2])

    @property
    def text(self) -> str:
        """The token as a device sends it."""
        return f"{PREFIX}_{self.credential_id}_{self.secret}"

    @property
    def secret_sha256(self) -> str:
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def opens(self, secret_sha256: str) -> bool:
        """Return whether this is the secret of that hash, in a time that does not depend on where they differ."""
        return hmac.compare_digest(self.secret_sha256, secret_sha256)

    def __repr__(self) -> str:
        return f"Token(credential_id={self.credential_id!r})"

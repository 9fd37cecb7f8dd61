"""Where a recipient unsubscribes: by mail to the operator always, and with one click (RFC 8058) where the operator has a page.

A token in the address proves that the mail was really sent to this recipient; ``docs/alerts.md`` shows how to verify it.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from pydantic import SecretStr

from reefmesh.errors import ConfigurationError
from reefmesh_alerts.texts.links import HTTPS, RECIPIENT, TOKEN, filled, placeholders

TOKEN_BYTES: Final = 24
"""Of an HMAC-SHA256: 192 bits, 32 characters in an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribing:
    """``template`` is the operator's own address, checked; ``key`` makes and verifies the tokens: without it there are none."""

    template: str | None = None
    key: SecretStr | None = None

    @classmethod
    def of(cls, template: str | None, key: SecretStr | None) -> "Unsubscribing":
        """Return what two checked settings mean.

        Raises:
            ConfigurationError: the template has a token, and no key makes one.
        """
        if template is not None and key is None and TOKEN in placeholders(template):
            raise ConfigurationError(
                f"unsubscribe-template has a {{{TOKEN}}} and needs a key: set REEFMESH_ALERTS_UNSUBSCRIBE_KEY or ..._KEY_FILE"
            )
        return cls(template=template, key=key)

    def token_of(self, recipient: str) -> str:
        """Return the token of a recipient, the same in every mail; empty without a key."""
        if self.key is None:
            return ""
        signed = f"unsubscribe {recipient}".encode()
        digest = hmac.new(self.key.get_secret_value().encode(), signed, "sha256").digest()
        return urlsafe_b64encode(digest[:TOKEN_BYTES]).decode()

    def is_token_of(self, recipient: str, token: str) -> bool:
        """Tell whether this token is the recipient's, in a time that says nothing of how much of it was right."""
        return self.key is not None and hmac.compare_digest(self.token_of(recipient).encode(), token.encode())

    def addresses(self, recipient: str, *, sender: str) -> Sequence[str]:
        """Return the addresses of the ``List-Unsubscribe`` of a mail from ``sender``, the one that needs one click first. One
        of them is a mail address always: not every mail program opens pages, and not every operator has one."""
        token = self.token_of(recipient)
        own = () if self.template is None else (filled(self.template, **{RECIPIENT: recipient, TOKEN: token}),)
        if own and not own[0].startswith(HTTPS):
            return own
        subject = quote(f"unsubscribe {recipient} {token}".rstrip(), safe="")
        return (*own, f"mailto:{quote(sender, safe='@')}?subject={subject}")

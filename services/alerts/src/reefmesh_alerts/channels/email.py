"""Alerts by e-mail over SMTP."""

import ssl
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from reefmesh_alerts.channels.port import Notice, Refused, SendResult, Sent, TryAgain
from reefmesh_alerts.channels.trust import trusting
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_alerts.subscriptions.entries import EmailEntry


class EmailChannel:
    """One connection a message: alerts are few, and a kept connection is one more thing that dies unnoticed."""

    def __init__(self, entry: EmailEntry) -> None:
        self._entry = entry
        self._tls: ssl.SSLContext | None = None if entry.tls == "none" else trusting(entry.ca_file)

    async def send(self, notice: Notice, *, at: datetime) -> SendResult:
        entry = self._entry
        message = compose(notice, entry, at=at)
        password = None if entry.password is None else entry.password.get_secret_value()
        try:
            refused, _ = await aiosmtplib.send(
                message,
                recipients=list(notice.to),
                sender=entry.sender,
                hostname=entry.host,
                port=entry.port,
                use_tls=entry.tls == "implicit",
                start_tls=entry.tls == "starttls",
                tls_context=self._tls,
                username=entry.username,
                password=password,
                timeout=entry.timeout_seconds,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [recipient.code for recipient in error.recipients]
            reason = _reason("no recipient was taken", error.recipients[0].code, error.recipients[0].message)
            return Refused(reason=reason) if all(code >= 500 for code in codes) else TryAgain(reason=reason)
        except aiosmtplib.SMTPAuthenticationError as error:
            # The password may be put right while the attempts go on.
            return TryAgain(reason=_reason("not let in", error.code, error.message))
        except aiosmtplib.SMTPResponseException as error:
            reason = _reason(type(error).__name__, error.code, error.message)
            return Refused(reason=reason) if 500 <= error.code < 600 else TryAgain(reason=reason)
        except (aiosmtplib.SMTPException, OSError) as error:
            return TryAgain(reason=plain(f"{type(error).__name__}: {error}")[:300])
        # Some were taken: a repeat would tell those twice and mend nothing for an address that is wrong.
        return Sent(note=f"not taken for {', '.join(sorted(refused))}") if refused else Sent()

    async def close(self) -> None:
        """Nothing to close: connections last for one message."""


def compose(notice: Notice, entry: EmailEntry, *, at: datetime) -> EmailMessage:
    """Return the notice as a mail. Its Message-ID is made of the idempotency key, so that repeats are one mail to readers."""
    domain = entry.sender.rpartition("@")[2]
    local = entry.sender.rpartition("@")[0]
    message = EmailMessage()
    message["From"] = Address(entry.sender_name, local, domain)
    message["To"] = ", ".join(notice.to)
    message["Subject"] = f"[reefmesh] {plain(notice.subject)}"
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{notice.idempotency_key}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Reefmesh-Idempotency-Key"] = notice.idempotency_key
    message["X-Reefmesh-Subscription"] = notice.subscription
    message.set_content(notice.text)
    return message


def _reason(what: str, code: int, said: str) -> str:
    return plain(f"{what}: {code} {said}")[:300]

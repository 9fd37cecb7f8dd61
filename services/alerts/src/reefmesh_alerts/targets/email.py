"""Alerts by e-mail over SMTP: text, and the same as HTML for those who read it so."""

import ssl
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from reefmesh_alerts.domain.alert_text import plain
from reefmesh_alerts.targets.entries import EmailEntry
from reefmesh_alerts.targets.port import Notice, Rejected, SendResult, Sent, TryAgain
from reefmesh_alerts.targets.trust import trusting
from reefmesh_alerts.texts.links import HTTPS
from reefmesh_alerts.texts.page import DARK_CHART, LIGHT_CHART, alert_page, digest_page


class EmailTarget:
    """Opens one connection for each message: alerts are few, and an idle connection can die unnoticed."""

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
            reason = _reason("no recipient was accepted", error.recipients[0].code, error.recipients[0].message)
            return Rejected(reason=reason) if all(code >= 500 for code in codes) else TryAgain(reason=reason)
        except aiosmtplib.SMTPAuthenticationError as error:
            # An operator may correct the password while the attempts go on.
            return TryAgain(reason=_reason("login refused", error.code, error.message))
        except aiosmtplib.SMTPResponseException as error:
            reason = _reason(type(error).__name__, error.code, error.message)
            return Rejected(reason=reason) if 500 <= error.code < 600 else TryAgain(reason=reason)
        except (aiosmtplib.SMTPException, OSError) as error:
            return TryAgain(reason=plain(f"{type(error).__name__}: {error}")[:300])
        # Some addresses were accepted: a repeat would send to those twice, and a wrong address would stay wrong.
        return Sent(note=f"refused for {', '.join(sorted(refused))}") if refused else Sent()

    async def close(self) -> None:
        """Nothing to close: a connection lasts for one message."""


def compose(notice: Notice, entry: EmailEntry, *, at: datetime) -> EmailMessage:
    """Return the notice as a mail. Its Message-ID is made of the idempotency key, so mail programs show repeats as one mail."""
    domain = entry.sender.rpartition("@")[2]
    local = entry.sender.rpartition("@")[0]
    message = EmailMessage()
    message["From"] = Address(entry.sender_name, local, domain)
    message["To"] = ", ".join(notice.to)
    message["Subject"] = plain(notice.subject)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{notice.idempotency_key}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Reefmesh-Idempotency-Key"] = notice.idempotency_key
    # The header's name is older than the word recipient; mail filters may use it.
    message["X-Reefmesh-Subscription"] = notice.recipient
    away = notice.background.unsubscribing.addresses(notice.recipient, sender=entry.sender)
    message["List-Unsubscribe"] = ", ".join(f"<{address}>" for address in away)
    if away[0].startswith(HTTPS):
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
    message.set_content(notice.text)
    message.add_alternative(_page_of(notice, away=away[0]), subtype="html")
    if notice.background.chart is not None:
        page = message.get_body(("html",))
        assert page is not None  # noqa: S101 - it was added above
        for picture, content_id in ((notice.background.chart.light, LIGHT_CHART), (notice.background.chart.dark, DARK_CHART)):
            page.add_related(picture, "image", "png", cid=f"<{content_id}>", disposition="inline")
    return message


def _page_of(notice: Notice, *, away: str) -> str:
    background, recipient = notice.background, notice.recipient
    if notice.digest or len(notice.alerts) != 1:
        return digest_page(notice.subject, notice.alerts, background, recipient=recipient, lead=notice.lead, away=away)
    return alert_page(notice.alerts[0], background, recipient=recipient, away=away)


def _reason(summary: str, code: int, answer: str) -> str:
    return plain(f"{summary}: {code} {answer}")[:300]

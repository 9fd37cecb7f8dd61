"""A mail catcher: takes every mail on port 1025 and shows it on port 8025.

``GET /api/v1/messages`` answers as far as tests need it in mailpit's form; ``GET /`` is a page for people.
"""

import email
import email.policy
import html
import json
import os
import signal
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

LIMIT: Final = int(os.environ.get("MP_MAX_MESSAGES", "500"))
ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - inside its container

caught: deque[dict[str, Any]] = deque(maxlen=LIMIT)


class Catcher:
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802 - aiosmtpd's
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        message = email.message_from_bytes(content, policy=email.policy.default)
        body = message.get_body(("plain",))
        caught.appendleft(
            {
                "ID": message["Message-ID"],
                "MessageID": (message["Message-ID"] or "").strip("<>"),
                "From": {"Address": envelope.mail_from},
                "To": [{"Address": to} for to in envelope.rcpt_tos],
                "Subject": message["Subject"],
                "Text": body.get_content() if body is not None else "",
            }
        )
        return "250 caught"


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        messages = list(caught)
        if self.path.startswith("/api/v1/messages"):
            content, kind = json.dumps({"total": len(messages), "messages": messages}), "application/json"
        else:
            content, kind = "".join(_shown(message) for message in messages), "text/html; charset=utf-8"
        answer = content.encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        """Say nothing of each request."""


def _shown(message: dict[str, Any]) -> str:
    to = ", ".join(each["Address"] for each in message["To"])
    return f"<h3>{html.escape(message['Subject'] or '')}</h3><p>{html.escape(to)}</p><pre>{html.escape(message['Text'])}</pre>"


def main() -> None:
    smtp = Controller(Catcher(), hostname=ANYWHERE, port=1025)
    smtp.start()
    pages = ThreadingHTTPServer((ANYWHERE, 8025), Pages)

    def end(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    try:
        pages.serve_forever()
    finally:
        smtp.stop()


if __name__ == "__main__":
    main()

"""Writes docs/pictures/: the mails of a real run as people see them, text, HTML in light and in dark.

    python tools/mail_pictures.py [--chromium PROGRAM] [--mails FOLDER]

Runs the demonstration with a subscriptions file whose targets are a mail server of its own on this machine, and renders the
parts of some of its mails with a headless Chromium. Takes some minutes; nothing else needs its result. --mails keeps the mails
as .eml files, and takes those that are there instead of another run.
"""

import argparse
import asyncio
import base64
import html
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Final

from aiosmtpd.smtp import SMTP
from PIL import Image, ImageChops

from reefmesh.clock import ManualClock
from reefmesh.observability.metrics import Metrics
from reefmesh.store.connect import open_store
from reefmesh_alerts.bootstrap import MIGRATIONS
from reefmesh_alerts.delivery.dispatcher import DeliveryDispatcher
from reefmesh_alerts.delivery.surveyor import Addresses, Surveyor
from reefmesh_alerts.recipients.watching import Recipients

ROOT: Final = Path(__file__).parents[1]
PICTURES: Final = ROOT / "docs" / "pictures"
UNTIL: Final = datetime(2026, 11, 1, 12, tzinfo=UTC)
PICTURE_BYTES_LIMIT: Final = 150_000
MARGIN: Final = 16
HEIGHT: Final = 1100
COLOURS: Final = 128
LINK: Final = "https://reefs.example.org/site/{reef_id}"
FILE: Final = """
[[target]]
name = "mail"
type = "email"
host = "127.0.0.1"
port = {port}
tls = "none"
sender = "reefs@example.org"

[[subscription]]
name = "harbour"
to = ["dive@example.org"]
targets = ["mail"]
data_age_limit_hours = 0
minimum = {{ heat = "Alert Level 1" }}
kinds = ["heat", "buoy_silent"]

[[subscription]]
name = "scientist"
to = ["science@example.org"]
targets = ["mail"]
digest = {{ at = "07:00", timezone = "UTC", always = true }}
data_age_limit_hours = 72
"""


class Catcher:
    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: ARG002, N802 - the server's
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"


async def mails_of_a_run(folder: Path) -> list[EmailMessage]:
    """Let the fleet live, then deliver what is due a day later."""
    catcher = Catcher()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(catcher), "127.0.0.1", 0)
    subscriptions = folder / "subscriptions.toml"
    subscriptions.write_text(FILE.format(port=server.sockets[0].getsockname()[1]), encoding="utf-8")
    home = folder / "home"
    command = ("-m", "reefmesh_standalone", "demo", "--home", home, "--until", f"{UNTIL:%Y-%m-%dT%H:%M:%S}", "--json")
    demo = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env=os.environ | {"REEFMESH_ALERTS_SUBSCRIPTIONS_FILE": str(subscriptions), "REEFMESH_ALERTS_LINK_TEMPLATE": LINK},
        stdout=subprocess.DEVNULL,
    )
    if await demo.wait():
        sys.exit("the demonstration failed; its own words are above")
    store = open_store(f"sqlite:///{home / 'alerts.db'}", migrations=MIGRATIONS)
    await store.open()
    clock = ManualClock(UNTIL)
    dispatcher = DeliveryDispatcher(
        store=store,
        clock=clock,
        recipients=Recipients(subscriptions),
        metrics=Metrics("alerts"),
        surveyor=Surveyor(store, Addresses(link=LINK)),
    )
    for _ in range(2):
        await dispatcher.deliver_due()
        clock.advance(timedelta(hours=20))
    await dispatcher.close()
    await store.close()
    server.close()
    return catcher.mails


def chosen(mails: Sequence[EmailMessage]) -> Mapping[str, EmailMessage]:
    """Return the mails worth a picture: the worst heat, and the digest that tells most."""
    heat = [
        mail for mail in mails if mail["Subject"].startswith("Alert Level") and mail["X-Reefmesh-Subscription"] == "harbour"
    ]
    digests = [mail for mail in mails if mail["X-Reefmesh-Subscription"] == "scientist"]
    return {
        "heat": max(heat, key=lambda mail: (mail["Subject"][:13], mail["Date"].datetime)),
        "digest": max(digests, key=lambda mail: ("All sites" in part(mail, "plain"), len(part(mail, "plain")))),
    }


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    return "" if body is None else str(body.get_content())


def page_of(mail: EmailMessage) -> str:
    """Return the HTML part with its pictures inside, for a browser knows no content ids."""
    page = part(mail, "html")
    for each in mail.walk():
        if content_id := each["Content-ID"]:
            data = base64.b64encode(each.get_content()).decode()
            page = page.replace(f"cid:{content_id.strip('<>')}", f"data:image/png;base64,{data}")
    return page


def as_text(mail: EmailMessage) -> str:
    style = "margin:0;padding:16px;background:#ffffff;color:#16202a;font:13px/1.4 'DejaVu Sans Mono',monospace;white-space:pre"
    shown = f"From: {mail['From']}\nSubject: {mail['Subject']}\n\n{part(mail, 'plain')}"
    return f'<!DOCTYPE html><meta charset="utf-8"><body style="{style}">{html.escape(shown)}</body>'


def photograph(chromium: str, page: str, to: Path, *, width: int, height: int, dark: bool = False) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, raw = Path(folder) / "page.html", Path(folder) / "page.png"
        source.write_text(page, encoding="utf-8")
        scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *scheme]
        command += [f"--user-data-dir={folder}/profile", f"--window-size={width},{height}", f"--screenshot={raw}"]
        subprocess.run([*command, source.as_uri()], check=True, capture_output=True)  # noqa: S603 - our own words and paths
        crop(raw, to)
    if to.stat().st_size > PICTURE_BYTES_LIMIT:
        sys.exit(f"{to}: {to.stat().st_size} bytes, more than {PICTURE_BYTES_LIMIT}")
    sys.stdout.write(f"{to.relative_to(ROOT)}: {to.stat().st_size:,} bytes\n")


def crop(raw: Path, to: Path) -> None:
    """Cut off the empty rows at the end, and keep as many colours as a page has."""
    with Image.open(raw) as picture:
        page = picture.convert("RGB")
    ground = Image.new("RGB", page.size, page.getpixel((0, page.height - 1)))
    box = ImageChops.difference(page, ground).getbbox()
    bottom = page.height if box is None else min(page.height, box[3] + MARGIN)
    page.crop((0, 0, page.width, bottom)).quantize(COLOURS).save(to, optimize=True)


def kept(folder: Path | None) -> list[EmailMessage]:
    files = [] if folder is None else sorted(folder.glob("*.eml"))
    return [message_from_bytes(file.read_bytes(), policy=default) for file in files]


def keep(mails: Sequence[EmailMessage], folder: Path | None) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for number, mail in enumerate(mails):
            (folder / f"{number:04}.eml").write_bytes(mail.as_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome") or "chromium")
    parser.add_argument("--mails", type=Path)
    arguments = parser.parse_args()
    chromium = arguments.chromium
    with tempfile.TemporaryDirectory() as folder:
        mails = kept(arguments.mails) or asyncio.run(mails_of_a_run(Path(folder)))
    keep(mails, arguments.mails)
    PICTURES.mkdir(exist_ok=True)
    for name, mail in chosen(mails).items():
        sys.stdout.write(f"{mail['Subject']} ({mail['Date']})\n")
        for scheme in ("light", "dark"):
            photograph(
                chromium, page_of(mail), PICTURES / f"mail-{name}-{scheme}.png", width=680, height=HEIGHT, dark=scheme == "dark"
            )
        photograph(chromium, as_text(mail), PICTURES / f"mail-{name}-text.png", width=880, height=1100)


if __name__ == "__main__":
    main()

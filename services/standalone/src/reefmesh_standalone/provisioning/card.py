"""The card of a device: what an installer needs at the boat, as text and as a QR code, in one SVG file. No secret is on it."""

import io
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

import segno

MARGIN: Final = 24
CODE_PIXELS: Final = 264
LINE_PIXELS: Final = 22
WIDTH: Final = 760


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """``host``: where the device connects; None: nobody said. ``authority_fingerprint``: SHA-256 of its certificate, in hex."""

    name: str
    reef_id: str
    host: str | None
    port: int
    serial: str
    expires_at: datetime
    authority_fingerprint: str

    @property
    def lines(self) -> list[tuple[str, str]]:
        """What stands on the card: label and value."""
        return [
            ("device", self.name),
            ("reef", self.reef_id),
            ("broker", f"{self.host or '(host not given)'}:{self.port}"),
            ("client id and user", self.name),
            ("password", "empty"),
            ("sends to", f"buoys/{self.name}/d2c/telemetry"),
            ("listens to", f"buoys/{self.name}/c2d/cmd"),
            ("certificate", self.serial),
            ("valid until", f"{self.expires_at:%Y-%m-%d}"),
            ("authority", self.authority_fingerprint[:32]),
        ]

    @property
    def text(self) -> str:
        """What the QR code says: one ``label: value`` on each line."""
        return "\n".join(["reefmesh device", *(f"{label}: {value}" for label, value in self.lines)])

    def svg(self) -> str:
        """Return the card as one SVG document."""
        code = segno.make(self.text, error="m", micro=False)
        drawing = io.BytesIO()
        scale = CODE_PIXELS / code.symbol_size(border=4)[0]
        code.save(drawing, kind="svg", xmldecl=False, svgns=False, scale=scale, border=4, nl=False)
        left = MARGIN + CODE_PIXELS + MARGIN
        height = max(CODE_PIXELS, LINE_PIXELS * (len(self.lines) + 1)) + 2 * MARGIN
        rows = [
            f'<text x="{left}" y="{MARGIN + LINE_PIXELS * (place + 2)}">{escape(label)}: <tspan font-weight="bold">'
            f"{escape(value)}</tspan></text>"
            for place, (label, value) in enumerate(self.lines)
        ]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
            ' font-family="sans-serif" font-size="13">'
            f"<title>reefmesh device {escape(self.name)}</title>"
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
            f'<g transform="translate({MARGIN} {MARGIN})">{drawing.getvalue().decode()}</g>'
            f'<text x="{left}" y="{MARGIN + LINE_PIXELS - 4}" font-size="18">{escape(self.name)}</text>{"".join(rows)}</svg>\n'
        )

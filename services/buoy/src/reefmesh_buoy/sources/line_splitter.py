"""Bytes as they come, cut into lines; a line without an end costs no memory."""

from typing import Final

from reefmesh_buoy.measurement import LINE_BYTES_LIMIT

_CUT: Final = LINE_BYTES_LIMIT + 1
"""One byte more than a measurement may have, so that its reader sees that it is too long."""


class LineSplitter:
    def __init__(self) -> None:
        self._begun = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are complete now, without empty ones."""
        *ended, begun = data.split(b"\n")
        lines = []
        for part in ended:
            lines.append((self._begun + part[:_CUT])[:_CUT].strip())
            self._begun = b""
        self._begun = (self._begun + begun[:_CUT])[:_CUT]
        return [line for line in lines if line]

    def end(self) -> list[bytes]:
        """Return the last line, if it had no end."""
        return [line for line in self.feed(b"\n") if line]

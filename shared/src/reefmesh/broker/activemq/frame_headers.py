"""The headers of a frame, from bytes to text.

A MESSAGE carries headers that its sender chose, so a MESSAGE whose headers break the protocol has a *fault*, and the headers
that can be read. Every other frame is the broker's own word: there a fault means that the peer does not speak STOMP.
"""

import re
from typing import Final

ESCAPES: Final = str.maketrans({"\\": "\\\\", "\r": "\\r", "\n": "\\n", ":": "\\c"})
UNESCAPED_COMMANDS: Final = frozenset({"CONNECT", "STOMP", "CONNECTED"})
"""These frames carry headers as they are, by the protocol."""

_ESCAPED: Final = re.compile(r"\\([\\rnc])")
_UNESCAPES: Final = {"\\": "\\", "r": "\r", "n": "\n", "c": ":"}


def escaped_for_login(text: str) -> str:
    """Return a user name or password as CONNECT carries it to ActiveMQ.

    The protocol says that CONNECT knows no escapes; ActiveMQ reads them there all the same (docs/brokers.md, row 29).
    """
    return text.replace("\\", "\\\\")


def read_headers(command: str, block: bytes) -> tuple[dict[str, str], str | None]:
    """Return the first of each repeated header, and what is wrong with the block, if anything."""
    fault = None
    try:
        text = block.decode()
    except UnicodeDecodeError:
        text, fault = block.decode(errors="replace"), "headers that are not UTF-8"
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    headers: dict[str, str] = {}
    if not text:
        return headers, fault
    escaped = "\\" in text and command not in UNESCAPED_COMMANDS
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if not colon:
            fault = "a header without a colon"
            continue
        if escaped and "\\" in line:
            name, value = unescape(name), unescape(value)
        if name not in headers:
            headers[name] = value
    return headers, fault


def unescape(text: str) -> str:
    """Escapes that STOMP does not know stay as text: ActiveMQ neither reads nor writes escapes in the names of headers."""
    if text.count("\\") == text.count("\\c"):  # colons alone, as in every identity that the broker gives
        return text.replace("\\c", ":")
    return _ESCAPED.sub(lambda escape: _UNESCAPES[escape[1]], text)

"""Addresses that a text refers to, from templates of the operator's."""

import re
from string import Formatter
from typing import Final
from urllib.parse import quote, urlsplit

REEF: Final = "reef_id"
RECIPIENT: Final = "recipient"

LINK_EXAMPLE: Final = "https://reefs.example.org/site/{reef_id}"
UNSUBSCRIBE_EXAMPLE: Final = "https://reefs.example.org/unsubscribe/{recipient} or mailto:reefs@example.org?subject=unsubscribe"

_MAILTO: Final = re.compile(r"^mailto:[^\s@<>,]+@[^\s@<>,]+$")


def filled(template: str, **values: str) -> str:
    """Return a checked template with its values, each as one part of a path or a query."""
    return template.format(**{name: quote(value, safe="") for name, value in values.items()})


def checked_link(template: str) -> str:
    """Return a template of a site's page.

    Raises:
        ValueError: it is no http address, or has another placeholder than ``{reef_id}``.
    """
    names = _placeholders(template)
    if names != {REEF}:
        raise ValueError(f"write {{{REEF}}} where the reef's id belongs, and no other braces, as in {LINK_EXAMPLE}")
    if not _is_page(filled(template, reef_id="x"), ("http", "https")):
        raise ValueError(f"write an address like {LINK_EXAMPLE}")
    return template


def checked_unsubscribe(template: str) -> str:
    """Return a template of the address by which a recipient unsubscribes.

    Raises:
        ValueError: it is neither an https nor a mailto address, or has another placeholder than ``{recipient}``.
    """
    names = _placeholders(template)
    if not names <= {RECIPIENT}:
        raise ValueError(f"{{{RECIPIENT}}} is the only name in braces, as in {UNSUBSCRIBE_EXAMPLE}")
    address = filled(template, recipient="x")
    if not (_is_page(address, ("https",)) or _MAILTO.match(address)):
        raise ValueError(f"write an address like {UNSUBSCRIBE_EXAMPLE}")
    return template


def _placeholders(template: str) -> set[str]:
    """Raises ValueError: unbalanced braces, or a conversion or format inside them."""
    if not template.isprintable() or not template.isascii() or set(' <>"') & set(template):
        raise ValueError("write an address in printable ASCII, without spaces, quotes and angle brackets")
    parsed = list(Formatter().parse(template))
    if any(name is not None and (spec or conversion) for _, name, spec, conversion in parsed):
        raise ValueError("write a bare name in braces")
    return {name for _, name, _, _ in parsed if name is not None}


def _is_page(address: str, schemes: tuple[str, ...]) -> bool:
    parts = urlsplit(address)
    return parts.scheme in schemes and bool(parts.hostname) and not parts.username and not parts.password

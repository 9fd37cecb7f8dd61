"""Addresses that a text refers to, from templates of the operator's."""

import re
from string import Formatter
from typing import Final
from urllib.parse import quote, urlsplit

REEF: Final = "reef_id"
RECIPIENT: Final = "recipient"
TOKEN: Final = "token"  # noqa: S105 - the name of a placeholder
HTTPS: Final = "https:"

LINK_EXAMPLE: Final = "https://reefs.example.org/site/{reef_id}"
UNSUBSCRIBE_EXAMPLE: Final = "https://reefs.example.org/unsubscribe/{recipient}/{token} or mailto:leave@example.org"

_MAILTO: Final = re.compile(r"^mailto:[^\s@<>,]+@[^\s@<>,]+$")


def filled(template: str, **values: str) -> str:
    """Return a checked template with its values, each as one part of a path or a query."""
    return template.format(**{name: quote(value, safe="") for name, value in values.items()})


def checked_link(template: str) -> str:
    """Return a template of a site's page.

    Raises:
        ValueError: it is no http address, or has another placeholder than ``{reef_id}``.
    """
    names = placeholders(template)
    if names != {REEF}:
        raise ValueError(f"write {{{REEF}}} where the reef's id belongs, and no other braces, as in {LINK_EXAMPLE}")
    if not _is_page(filled(template, reef_id="x"), ("http", "https")):
        raise ValueError(f"write an address like {LINK_EXAMPLE}")
    return template


def checked_unsubscribe(template: str) -> str:
    """Return a template of the address by which a recipient unsubscribes.

    A page takes a recipient off with one request, without asking: its address needs what nobody can guess.

    Raises:
        ValueError: it is neither an https nor a mailto address, has another placeholder than ``{recipient}`` and ``{token}``,
            or is a page's without both.
    """
    names = placeholders(template)
    if not names <= {RECIPIENT, TOKEN}:
        raise ValueError(f"{{{RECIPIENT}}} and {{{TOKEN}}} are the only names in braces, as in {UNSUBSCRIBE_EXAMPLE}")
    address = filled(template, recipient="x", token="x")  # noqa: S106 - a value to look at the address with
    is_page = _is_page(address, ("https",))
    if not (is_page or _MAILTO.match(address)):
        raise ValueError(f"write an address like {UNSUBSCRIBE_EXAMPLE}")
    if is_page and names != {RECIPIENT, TOKEN}:
        raise ValueError(f"the address of a page needs {{{RECIPIENT}}} and {{{TOKEN}}}, as in {UNSUBSCRIBE_EXAMPLE}")
    return template


def placeholders(template: str) -> set[str]:
    """Return the names in braces.

    Raises:
        ValueError: unbalanced braces, a conversion or format inside them, or no characters of an address.
    """
    if not template.isprintable() or not template.isascii() or set(' <>"') & set(template):
        raise ValueError("write an address in printable ASCII, without spaces, quotes and angle brackets")
    parsed = list(Formatter().parse(template))
    if any(name is not None and (spec or conversion) for _, name, spec, conversion in parsed):
        raise ValueError("write a bare name in braces")
    return {name for _, name, _, _ in parsed if name is not None}


def _is_page(address: str, schemes: tuple[str, ...]) -> bool:
    parts = urlsplit(address)
    return parts.scheme in schemes and bool(parts.hostname) and not parts.username and not parts.password

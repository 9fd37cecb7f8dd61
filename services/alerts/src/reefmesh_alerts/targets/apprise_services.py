"""Which services Apprise may be used for, and under which conditions.

Apprise knows over a hundred notations. Some post whatever to any address (``json://``, ``form://``, ``workflow://``), some run
on this machine: those would go around our own check of addresses. So there is a list of what is taken.
"""

from importlib.util import find_spec
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from reefmesh_alerts.targets.loopback import is_loopback

PUBLIC_SERVICES: Final = frozenset(
    {
        "bulksms",
        "clicksend",
        "d7sms",
        "discord",
        "gchat",
        "line",
        "msgbird",
        "nexmo",
        "opsgenie",
        "pagerduty",
        "pbul",
        "plivo",
        "pover",
        "prowl",
        "sinch",
        "slack",
        "sns",
        "tgram",
        "threema",
        "twilio",
        "vonage",
        "webex",
        "whatsapp",
        "wxteams",
    }
)
"""Notations whose addresses the library fixes: nobody who writes one chooses the host."""

OWN_SERVERS: Final = frozenset(
    {"gotify", "gotifys", "matrix", "matrixs", "mmost", "mmosts", "rocket", "rockets", "signal", "signals"}
)
"""Notations with a host of the writer's choosing; those that end with ``s`` are by HTTPS."""

NTFY: Final = frozenset({"ntfy", "ntfys"})
"""With a topic alone it is the public service at ntfy.sh, always by HTTPS; with a host a server of one's own."""

WEBHOOKS: Final = frozenset({"apprise", "apprises", "form", "forms", "json", "jsons", "xml", "xmls", "http", "https"})

REFUSED_OPTIONS: Final = frozenset({"optional", "redirect", "retry", "store", "template", "verify", "wait"})
"""Options that would read files, switch checks off, call a failure a success, or repeat where the ledger does."""

INSTALL: Final = "this type of target needs the library Apprise: install reefmesh-alerts[apprise]"


def refuse_service(url: str, *, allow_private: bool, allow_plain_http: bool) -> None:
    """Check a service's address, without the library.

    Raises:
        ValueError: it is not taken; the message says why and never holds the address.
    """
    if find_spec("apprise") is None:
        raise ValueError(INSTALL)
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError("url: write it in ASCII and without blanks, other characters as %XX")
    scheme = urlsplit(url).scheme.casefold()
    if scheme in WEBHOOKS:
        raise ValueError(f'url: {scheme}:// posts to any address; write a target of type = "webhook"')
    if scheme not in PUBLIC_SERVICES | OWN_SERVERS | NTFY:
        known = ", ".join(sorted(PUBLIC_SERVICES | OWN_SERVERS | NTFY))
        raise ValueError(f"url: {scheme or 'no scheme'} is not among the services that are taken: {known}")
    options = {name.casefold() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    names = {name.lstrip("+-:") for name in options}
    if scheme == "whatsapp":
        names -= {"template"}  # there it is the name of an approved text
    if refused := sorted(names & REFUSED_OPTIONS):
        raise ValueError(f"url: the option {refused[0]} is not taken")
    if scheme in OWN_SERVERS or (scheme in NTFY and not is_ntfy_topic(url)):
        _refuse_own_server(url, scheme, allow_private=allow_private, allow_plain_http=allow_plain_http)


def is_ntfy_topic(url: str) -> bool:
    """Whether an address of ntfy is nothing but a topic of the public service; then the library must be told that it is."""
    parts = urlsplit(url)
    return not parts.path.strip("/") and "@" not in parts.netloc and ":" not in parts.netloc and "mode" not in parts.query


def _refuse_own_server(url: str, scheme: str, *, allow_private: bool, allow_plain_http: bool) -> None:
    if not allow_private:
        raise ValueError(
            "url: the host of such a service is of your choosing and is not checked at each connection;"
            " set allow_private = true for this target if it is meant"
        )
    if not scheme.endswith("s") and not allow_plain_http and not is_loopback(urlsplit(url).hostname or ""):
        raise ValueError(f"url: write {scheme}s:// for HTTPS (or set allow_plain_http = true)")

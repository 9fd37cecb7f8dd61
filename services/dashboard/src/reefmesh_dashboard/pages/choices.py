"""What a visitor chose: language, units, theme. A cookie remembers it, so that the HTML has it without a script."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from starlette.requests import Request

from reefmesh_dashboard.pages.language import Languages, preferred

COOKIE: Final = "reefmesh"
KEPT_SECONDS: Final = 365 * 86_400
BACK_LENGTH: Final = 2000

Speed = Literal["ms", "kn"]
Temperature = Literal["C", "F"]
Theme = Literal["auto", "light", "dark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """``language`` is the code of one that there is; empty: as the browser asks."""

    language: str = ""
    speed: Speed = "ms"
    temperature: Temperature = "C"
    theme: Theme = "auto"

    def to_cookie(self) -> str:
        return ":".join(asdict(self).values())


def chosen(given: Mapping[str, Any], languages: Languages) -> Choices:
    """Return what was given, with the default for whatever is not there or is none of the choices."""
    allowed = {
        "language": tuple(languages),
        "speed": get_args(Speed),
        "temperature": get_args(Temperature),
        "theme": get_args(Theme),
    }
    return Choices(**{name: given[name] for name, values in allowed.items() if given.get(name) in values})


def choices_of(request: Request, languages: Languages) -> Choices:
    """Return what a request's cookie says, with the language settled."""
    names = tuple(asdict(Choices()))
    parts = request.cookies.get(COOKIE, "").split(":")
    choices = chosen(dict(zip(names, parts, strict=False)), languages)
    if choices.language:
        return choices
    language = preferred(request.headers.get("accept-language", ""), tuple(languages))
    return Choices(language=language, speed=choices.speed, temperature=choices.temperature, theme=choices.theme)


def way_back(given: object) -> str:
    """Return the page from which a choice was sent, if it is one of ours; else the list. Whoever sends others a form must not
    send them elsewhere by it."""
    text = str(given)[:BACK_LENGTH]
    there = urlsplit(text) if text.isascii() and text.isprintable() and "\\" not in text else None
    if there is None or there.scheme or there.netloc or not there.path.startswith("/") or text.startswith("//"):
        return "/"
    return text

"""Logs: one JSON object a line (readable text on a terminal), facts as keys, the standard library's loggers included."""

import logging
import re
import sys
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from reefmesh.observability.carried import CARRIED

LogFormat = Literal["auto", "json", "pretty"]
LogLevel = Literal["debug", "info", "warning", "error"]

VALUE_CHARACTERS_LIMIT: Final = 16_384
HIDDEN: Final = "***"

_SECRET_KEY: Final = re.compile(r"password|passcode|passwd|secret|token|authori[sz]ation|api_?key|credential", re.IGNORECASE)
_URL_SECRET: Final = re.compile(r"(?<=://)([^\s/@:]*):[^\s/]*@")
_QUIET_LOGGERS: Final = ("asyncio", "uvicorn", "aio_pika", "aiormq", "httpx", "httpcore", "urllib3")
_TOLD_BY_US: Final = ("asyncpg.pool",)
"""Loggers whose warnings repeat, with a traceback, what our own lines say: that the database is away."""


def configure_logging(
    service: str, *, level: LogLevel = "info", stream: TextIO | None = None, log_format: LogFormat = "auto"
) -> None:
    """Send every log of this process to ``stream`` (standard error when not given), from ``level`` upwards.

    Safe to call again: the last call counts. ``service`` is the default of the key ``service``; bind another by context
    where several services share the process.
    """
    stream = sys.stderr if stream is None else stream
    pretty = log_format == "pretty" or (log_format == "auto" and stream.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]

    def name_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        name_carried_message,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        name_service,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[Processor] = (
        [hide_secrets, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if pretty
        else [structlog.processors.format_exc_info, hide_secrets, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    for previous in list(root.handlers):
        if isinstance(previous.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(previous)
    root.addHandler(handler)
    root.setLevel(number)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in _TOLD_BY_US:
        logging.getLogger(name).setLevel(max(number, logging.ERROR))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # so that loggers made before this call follow it too
    )


def name_carried_message(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Say which message the lane that logs has in hand, if it is one."""
    carried = CARRIED.get()
    if carried is not None:
        for key, value in carried.facts().items():
            event.setdefault(key, value)
    return event


def hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace values under keys that name a secret, passwords inside URLs, and cut what is too long."""
    for key, value in event.items():
        event[key] = HIDDEN if _SECRET_KEY.search(key) and value is not None else _safe(value)
    return event


def hide_url_secrets(text: str) -> str:
    """Return the text with the password of every URL in it replaced."""
    return _URL_SECRET.sub(rf"\1:{HIDDEN}@", text)


def _safe(value: object) -> object:
    match value:
        case str():
            cut = value if len(value) <= VALUE_CHARACTERS_LIMIT else value[:VALUE_CHARACTERS_LIMIT] + "..."
            return hide_url_secrets(cut) if "://" in cut else cut
        case dict():
            return {
                key: HIDDEN if isinstance(key, str) and _SECRET_KEY.search(key) else _safe(each) for key, each in value.items()
            }
        case list() | tuple():
            return [_safe(each) for each in value]
        case None | bool() | int() | float():
            return value
        case _:
            return _safe(str(value)) if isinstance(value, BaseException) else value

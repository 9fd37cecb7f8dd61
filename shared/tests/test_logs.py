"""Logs: one JSON object a line, context bound, standard loggers included, secrets never."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from reefmesh.observability.logs import VALUE_CHARACTERS_LIMIT, configure_logging, hide_url_secrets


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_event_is_one_json_line_with_bound_context(stream: io.StringIO) -> None:
    configure_logging("ingest", stream=stream)
    with structlog.contextvars.bound_contextvars(reef_id="atoll", lane=3):
        structlog.get_logger("x").info("message parked", seq=7)
    (line,) = lines(stream)
    assert line.pop("timestamp")
    expected = {
        "event": "message parked",
        "level": "info",
        "logger": "x",
        "service": "ingest",
        "reef_id": "atoll",
        "lane": 3,
        "seq": 7,
    }
    assert line == expected


def test_standard_library_loggers_and_warnings_arrive_in_the_same_form(stream: io.StringIO) -> None:
    configure_logging("ingest", stream=stream)
    logging.getLogger("some.library").warning("slow %s", "disk", extra={"path": "/x"})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
    first, second = lines(stream)
    assert (first["event"], first["logger"], first["path"], first["service"]) == ("slow disk", "some.library", "/x", "ingest")
    assert (second["logger"], "old call" in str(second["event"])) == ("py.warnings", True)


def test_secrets_are_never_written(stream: io.StringIO) -> None:
    configure_logging("ingest", stream=stream)
    log = structlog.get_logger()
    log.info("connecting", broker_password="hunter2", url="stomp://me:hunter2@host:61614", nested={"api_key": "hunter2"})
    try:
        raise OSError("cannot reach stomp+ssl://me:hunter2@host")  # noqa: TRY301 - raised to be logged
    except OSError:
        log.exception("connection lost", urls=["x://u:hunter2@h"])
    assert "hunter2" not in stream.getvalue()
    first, second = lines(stream)
    assert (first["broker_password"], first["url"]) == ("***", "stomp://me:***@host:61614")
    assert "Traceback" in str(second["exception"])


def test_level_and_length_are_bounds(stream: io.StringIO) -> None:
    configure_logging("ingest", level="warning", stream=stream)
    structlog.get_logger().info("quiet")
    logging.getLogger("library").info("quiet")
    structlog.get_logger().warning("loud", payload="x" * (2 * VALUE_CHARACTERS_LIMIT))
    (line,) = lines(stream)
    assert len(str(line["payload"])) == VALUE_CHARACTERS_LIMIT + 3


def test_pretty_text_is_for_people(stream: io.StringIO) -> None:
    configure_logging("ingest", stream=stream, log_format="pretty")
    structlog.get_logger().info("reef caught up", reef_id="atoll")
    assert "reef caught up" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_configured_twice_writes_once(stream: io.StringIO) -> None:
    configure_logging("ingest", stream=io.StringIO())
    configure_logging("ingest", stream=stream)
    structlog.get_logger().info("once")
    assert len(lines(stream)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stomp+ssl://u:p@a:1,b:2", "stomp+ssl://u:***@a:1,b:2"),
        ("stomp+ssl://u:p@a:1,stomp+ssl://v:q@b:2", "stomp+ssl://u:***@a:1,stomp+ssl://v:***@b:2"),
        ("postgresql://u:p@ss@host/db", "postgresql://u:***@host/db"),
        ("https://host/path?at=12:30@noon", "https://host/path?at=12:30@noon"),
        ("no secret: a@b", "no secret: a@b"),
    ],
)
def test_url_password_is_hidden_and_nothing_else(text: str, expected: str) -> None:
    assert hide_url_secrets(text) == expected


def test_outage_of_the_database_puts_no_traceback_of_its_driver_into_the_log(stream: io.StringIO) -> None:
    """Our own line says that the database is away; the driver's pool would add a traceback for every attempt."""
    configure_logging("ingest", stream=stream)
    driver = logging.getLogger("asyncpg.pool")
    driver.warning("Failed to restore the pool connection floor; retrying", exc_info=ConnectionRefusedError(111, "refused"))
    driver.error("a fault of the driver's own")
    assert ["a fault of the driver's own"] == [line["event"] for line in lines(stream)]

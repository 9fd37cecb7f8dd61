"""The pytest plugin: real components as fixtures. The root ``conftest.py`` names it in ``pytest_plugins``."""

import asyncio
import logging
import os
import uuid
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog

from reefmesh_components import requirement
from reefmesh_components.activemq import ActivemqServer, activemq_server, local_activemq, shared_store_pair
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.broker_stories import take_stories
from reefmesh_components.postgresql import PostgresqlServer, postgresql_server
from reefmesh_components.prometheus_tools import Checker, checker
from reefmesh_components.rabbitmq import RabbitmqServer, local_rabbitmq, local_rabbitmq_server, rabbitmq_server
from reefmesh_components.rabbitmq_process import RabbitmqProcess
from reefmesh_components.requirement import Absence
from reefmesh_components.shared_rabbitmq import SharedRabbitmq
from reefmesh_components.termination import Termination, children

_ABSENCES: Final = "reefmesh absences"
_TERMINATION: Final = pytest.StashKey[Termination]()
_OF_SHORT_LIVED_JAVA: Final = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}
"""A broker that lives for one module of tests is up in half the time when Java does not compile it for a long life."""


def pytest_configure(config: pytest.Config) -> None:
    requirement.required()  # a wrong name is told at once, not by a test that happens to ask
    for name, value in _OF_SHORT_LIVED_JAVA.items():
        os.environ.setdefault(name, value)
    controls = config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput")
    config.stash[_TERMINATION] = Termination(children if controls else list)
    config.stash[_TERMINATION].listen()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.config.stash[_TERMINATION].listen()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker process of pytest-xdist hands what it could not test to the process that writes the summary."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output[_ABSENCES] = [asdict(absence) for absence in requirement.absences()]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for absence in getattr(node, "workeroutput", {}).get(_ABSENCES, ()):  # without one, the worker has crashed
        requirement.note(Absence(**absence))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put into the report of a failure what this run's brokers have to say: their folders are deleted with them."""
    report = yield
    if report.failed:
        report.sections += [("broker", story) for story in take_stories()]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what this run did not test, and what would provide it."""
    for absence in requirement.absences():
        terminalreporter.write_line(f"NOT TESTED on a real component. {absence}", yellow=True, bold=True)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A test that runs the command in this process leaves its log level and its stream behind: take them back."""
    configured, before = structlog.is_configured(), structlog.get_config()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    if structlog.get_config() != before or structlog.is_configured() != configured:
        structlog.reset_defaults()
        if configured:
            structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture(scope="session", name="postgresql")
def _postgresql() -> Iterator[PostgresqlServer]:
    """A real PostgreSQL server, started once for the run."""
    try:
        with postgresql_server() as server:
            yield server
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


@pytest.fixture(scope="session")
def postgresql_url(postgresql: PostgresqlServer) -> str:
    """``postgresql://user:password@host:port/database``; append ``?schema=NAME`` for a schema of your own."""
    return postgresql.url


@pytest.fixture
def postgresql_schema_url(postgresql_url: str) -> Iterator[str]:
    """The URL of a schema that no other test uses; it is dropped afterwards."""
    schema = f"test_{uuid.uuid4().hex[:12]}"
    separator = "&" if "?" in postgresql_url else "?"
    yield f"{postgresql_url}{separator}schema={schema}"
    with ThreadPoolExecutor(max_workers=1) as thread:  # the test's own event loop is none of ours
        thread.submit(asyncio.run, _execute(postgresql_url, f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')).result()


@pytest.fixture
def postgresql_database_url(postgresql_url: str) -> Iterator[str]:
    """The URL of an empty database that no other test uses, for what makes schemas of its own; it is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    asyncio.run(_execute(postgresql_url, f'CREATE DATABASE "{name}"'))
    yield urlsplit(postgresql_url)._replace(path=f"/{name}").geturl()
    asyncio.run(_execute(postgresql_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session", name="activemq")
def _activemq() -> Iterator[ActivemqServer]:
    """A real ActiveMQ with the shipped configuration, started once for the run; tests leave it running."""
    try:
        with activemq_server() as server:
            yield server
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


@pytest.fixture(scope="session")
def activemq_process(activemq: ActivemqServer) -> Iterator[ActivemqProcess]:
    """A broker of this run's own that tests may stop, kill, pause and restart; they leave it running."""
    if activemq.process is not None:
        yield activemq.process
        return
    try:
        with local_activemq() as process:
            yield process
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


@pytest.fixture(scope="session")
def _shared_rabbitmq() -> Iterator[SharedRabbitmq]:
    shared = SharedRabbitmq(rabbitmq_server)
    yield shared
    shared.end()


@pytest.fixture(scope="session")
def _shared_rabbitmq_process() -> Iterator[SharedRabbitmq]:
    shared = SharedRabbitmq(local_rabbitmq_server)
    yield shared
    shared.end()


@pytest.fixture(name="rabbitmq")
def _rabbitmq(_shared_rabbitmq: SharedRabbitmq) -> Iterator[RabbitmqServer]:
    """A real RabbitMQ with the shipped configuration, shared by the run; tests neither stop, kill nor pause it."""
    yield from _lent(_shared_rabbitmq)


@pytest.fixture
def rabbitmq_process(rabbitmq: RabbitmqServer, request: pytest.FixtureRequest) -> Iterator[RabbitmqProcess]:
    """The same, of this run's own: with its users and ports. What stops, kills or pauses a broker takes ``own_rabbitmq``."""
    if rabbitmq.process is not None:
        yield rabbitmq.process
        return
    shared: SharedRabbitmq = request.getfixturevalue("_shared_rabbitmq_process")
    for server in _lent(shared):
        assert server.process is not None
        yield server.process


@pytest.fixture
def own_rabbitmq() -> Iterator[RabbitmqProcess]:
    """A broker of this test's own, which it may stop, kill, pause and restart. It ends with the test."""
    try:
        with local_rabbitmq() as process:
            yield process
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


def _lent(shared: SharedRabbitmq) -> Iterator[RabbitmqServer]:
    try:
        server = shared.server()
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)
    yield server
    if failure := shared.failure():
        story = shared.story()
        shared.end()
        pytest.fail(f"the shared RabbitMQ logs nobody in after this test ({failure}); later tests get a new one\n{story}")


@pytest.fixture(scope="session")
def promtool() -> Checker:
    """Prometheus' checker of configurations, rules and metrics."""
    try:
        return checker("promtool")
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


@pytest.fixture(scope="session")
def amtool() -> Checker:
    """Alertmanager's checker of configurations."""
    try:
        return checker("amtool")
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


@pytest.fixture
def activemq_pair() -> Iterator[tuple[ActivemqProcess, ActivemqProcess]]:
    """Two brokers on one store: a master that runs and a standby that waits for its lock."""
    try:
        with shared_store_pair() as pair:
            yield pair
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

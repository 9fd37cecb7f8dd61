"""The ``reefmesh`` command in this process: a start of Python costs more than most commands, and tests run hundreds of them."""

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from typer.testing import CliRunner

from reefmesh.observability.logs import configure_logging
from reefmesh_components.reefmesh_command import Ended, ReefmeshCommand
from reefmesh_standalone.__main__ import app


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandInProcess(ReefmeshCommand):
    """Calls ``reefmesh`` in this process, in a terminal of 80 columns unless ``environment`` has others. What is to run beside
    the test (``running``, ``up``) is a process of its own here, too."""

    def __call__(self, *arguments: str | Path, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Ended:
        """Run it to its end; what it does not handle itself is raised here."""
        not_ours = {name: None for name in os.environ if name.startswith("REEFMESH_")}
        named = {"REEFMESH_HOME": str(self.home)} if self.name_home else {}
        ours = {**named, "COLUMNS": "80", **self.environment, **(environment or {})}
        runner = CliRunner(env={**not_ours, **ours})
        with logs_of_errors(), _temporary_files_in(ours.get("TMPDIR")):
            result = runner.invoke(app, list(map(str, arguments)), prog_name="reefmesh", input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(code=result.exit_code, out=result.stdout, err=result.stderr)


@contextmanager
def logs_of_errors() -> Iterator[None]:
    """Log errors alone. The command sends every log of its process to its own standard error; that is taken back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure_logging("reefmesh", level="error")
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(False)
        structlog.reset_defaults()


@contextmanager
def _temporary_files_in(folder: str | None) -> Iterator[None]:
    """A process looks at TMPDIR once only."""
    before = tempfile.tempdir
    tempfile.tempdir = folder or before
    try:
        yield
    finally:
        tempfile.tempdir = before

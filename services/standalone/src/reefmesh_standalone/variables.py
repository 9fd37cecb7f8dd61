"""The ``REEFMESH_`` variables that the command refuses: those that neither it nor any service reads."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from reefmesh.contracts.services import EVERY_SERVICE
from reefmesh.secret_files import SUFFIX
from reefmesh.service.program import load_program
from reefmesh.variables import refuse_unread, unread
from reefmesh_alerts.recipients.file import ENVIRONMENT_REFERENCE
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_standalone.settings import StandaloneSettings


def refuse_unread_variables(config: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Refuse typos in the environment, before a command does anything.

    Raises:
        ConfigurationError: one line with each such variable and the nearest name.
    """
    environment = os.environ if environment is None else environment
    known = StandaloneSettings.variables()
    if unread(environment, known):  # only then is it worth importing every service
        known |= frozenset().union(*(load_program(entry).settings.variables() for entry in EVERY_SERVICE))
    strange = unread(environment, known)
    if strange:
        known |= _named_by_subscriptions(strange, config, environment)
    refuse_unread(environment, known)


def _named_by_subscriptions(names: Sequence[str], config: Path | None, environment: Mapping[str, str]) -> frozenset[str]:
    """Return those that the subscriptions file names as the place of a secret."""
    required = {"broker_url": "embedded://", "store_url": "sqlite://"}
    file = AlertsSettings.load(config=config, environment=environment, overrides=required).subscriptions_file
    if file is None or not file.is_file():
        return frozenset()
    text = file.read_text(encoding="utf-8", errors="replace")
    return frozenset(name for name in names if f"{ENVIRONMENT_REFERENCE}{name.removesuffix(SUFFIX)}" in text)

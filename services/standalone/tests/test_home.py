"""The addresses of a home."""

from pathlib import Path

import pytest

from reefmesh.broker.embedded.url import EmbeddedAddress
from reefmesh.errors import ConfigurationError
from reefmesh_standalone.home import Home
from reefmesh_standalone.settings import StandaloneSettings


def test_visibility_time_out_from_the_environment_reaches_the_journals_owner_alone(tmp_path: Path) -> None:
    environment = {"REEFMESH_HOME": str(tmp_path), "REEFMESH_VISIBILITY_TIMEOUT_SECONDS": "300"}
    home = Home.of(StandaloneSettings.load(environment=environment))
    assert EmbeddedAddress.parse(home.broker_address()).visibility_timeout_seconds == 300
    assert EmbeddedAddress.parse(home.broker_address(publisher_only=True)).visibility_timeout_seconds is None


def test_visibility_time_out_is_off_by_default(tmp_path: Path) -> None:
    home = Home.of(StandaloneSettings.load(environment={"REEFMESH_HOME": str(tmp_path)}))
    assert EmbeddedAddress.parse(home.broker_address()).visibility_timeout_seconds is None


def test_visibility_time_out_of_nothing_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigurationError, match="REEFMESH_VISIBILITY_TIMEOUT_SECONDS") as refused:
        StandaloneSettings.load(environment={"REEFMESH_VISIBILITY_TIMEOUT_SECONDS": "0"})
    assert "\n" not in str(refused.value)

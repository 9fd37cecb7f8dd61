"""Settings: environment over file over default, and every mistake is one line that says what to set."""

from pathlib import Path

import pytest
from pydantic import Field

from reefmesh.errors import ConfigurationError
from reefmesh.settings import ServiceSettings

GIVEN = {"REEFMESH_BROKER_URL": "embedded:///var/reefmesh", "REEFMESH_STORE_URL": "sqlite:///var/ingest.db"}


class IngestSettings(ServiceSettings):
    SECTION = "ingest"

    register_file: Path | None = Field(default=None, description="a TOML file of buoys and reefs")


def write(folder: Path, text: str) -> Path:
    path = folder / "reefmesh.toml"
    path.write_text(text)
    return path


def mistake(**changes: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        IngestSettings.load(environment=GIVEN | changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults_hold_when_only_addresses_are_given() -> None:
    settings = IngestSettings.load(environment=GIVEN)
    assert (settings.lanes, settings.drain_timeout_seconds, settings.http_host, settings.crash_limit) == (
        128,
        90.0,
        "127.0.0.1",
        5,
    )


def test_nearer_source_wins(tmp_path: Path) -> None:
    path = write(
        tmp_path, "lanes = 2\ncrash_limit = 3\nlog_level = 'debug'\nhttp_port = 1\n[ingest]\nlanes = 4\n[scoring]\nlanes = 9\n"
    )
    environment = GIVEN | {"REEFMESH_CRASH_LIMIT": "7", "REEFMESH_HTTP_PORT": "2", "REEFMESH_INGEST_HTTP_PORT": "3"}
    settings = IngestSettings.load(environment=environment, config=path, overrides={"log_format": "json", "http_host": None})
    assert (settings.lanes, settings.crash_limit, settings.http_port) == (4, 7, 3)
    assert (settings.log_level, settings.log_format, settings.http_host) == ("debug", "json", "127.0.0.1")


def test_file_named_by_the_environment_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "lanes = 2\n")
    assert IngestSettings.load(environment=GIVEN | {"REEFMESH_CONFIG": str(path)}).lanes == 2


def test_missing_setting_is_named_with_what_to_set() -> None:
    with pytest.raises(
        ConfigurationError, match="REEFMESH_STORE_URL is not set; set it to a database's address: sqlite:////absolute/path"
    ):
        IngestSettings.load(environment={"REEFMESH_BROKER_URL": "embedded:///x"})


@pytest.mark.parametrize("value", ["many", "0", "1.5", "", "100000"])
def test_wrong_value_is_shown_with_what_is_allowed(value: str) -> None:
    assert mistake(REEFMESH_LANES=value) == f"REEFMESH_LANES is {value!r}; set it to a whole number from 1 to 1024"


def test_not_a_number_is_refused() -> None:
    assert mistake(REEFMESH_DRAIN_TIMEOUT_SECONDS="nan").startswith(
        "REEFMESH_DRAIN_TIMEOUT_SECONDS is 'nan'; set it to seconds"
    )


def test_several_mistakes_are_told_at_once() -> None:
    assert mistake(REEFMESH_LANES="x", REEFMESH_LOG_LEVEL="loud").count("; set it to") == 2


def test_passwords_in_addresses_are_not_shown() -> None:
    line = mistake(REEFMESH_BROKER_URL="STOMP://me:hunter2@host")
    assert "hunter2" not in line
    assert "***" in line


def test_secret_value_is_not_shown(tmp_path: Path) -> None:
    path = write(tmp_path, "broker_password = 12345\n")
    with pytest.raises(ConfigurationError) as caught:
        IngestSettings.load(environment=GIVEN, config=path)
    assert "12345" not in str(caught.value)
    assert "broker_password" in str(caught.value)
    assert "hunter2" not in repr(IngestSettings.load(environment=GIVEN | {"REEFMESH_BROKER_PASSWORD": "hunter2"}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lnaes = 2", "unknown setting lnaes in {path}; is lanes meant?"),
        ("[ingest]\nlnaes = 2", "unknown setting lnaes under [ingest] in {path}; is lanes meant?"),
        ("[ingset]\nlanes = 2", "unknown setting ingset in {path}; is ingest meant?"),
        ("ingest = 2", "ingest in {path} must be a table: [ingest]"),
        ("lanes = ", "the settings file {path} is not valid TOML: Invalid value (at end of document)"),
        ("lanes = 'x'", "lanes in {path} is 'x'; set it to a whole number from 1 to 1024"),
    ],
)
def test_mistake_in_the_file_names_file_and_key(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        IngestSettings.load(environment=GIVEN, config=path)
    assert str(caught.value) == expected.format(path=path)


def test_unreadable_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read the settings file .*: no such file or directory"):
        IngestSettings.load(environment=GIVEN, config=tmp_path / "absent.toml")
    with pytest.raises(ConfigurationError, match=r"cannot read the settings file .*: is a directory"):
        IngestSettings.load(environment=GIVEN, config=tmp_path)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="is not valid TOML"):
        IngestSettings.load(environment=GIVEN, config=binary)


MISSPELT = {
    "REEFMESH_BROKR_URL": "is REEFMESH_BROKER_URL meant?",
    "REEFMESH_INGEST_LANS": "is REEFMESH_INGEST_LANES meant?",
    "REEFMESH_INGEST_PARROTFISH": "",  # under the service's own name nobody else reads anything
    "REEFMESH_LOGLEVEL": "is REEFMESH_LOG_LEVEL meant?",
}


@pytest.mark.parametrize("name", MISSPELT)
def test_misspelt_variable_is_refused_with_the_nearest_name(name: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        IngestSettings.refuse_misspelt_variables(GIVEN | {name: "x"})
    assert str(refused.value).startswith(f"{name} is read by nobody; {MISSPELT[name]}")


def test_variables_of_others_and_of_kubernetes_are_let_be() -> None:
    others = {
        "REEFMESH_SMTP_HOST": "x",
        "REEFMESH_REQUIRE": "x",
        "REEFMESH_SCORING_LANES": "2",
        "REEFMESH_SCORING_LANS": "2",  # scoring refuses it
        "REEFMESH_STANDALONE_HOME": "x",
        "REEFMESH_VISIBILITY_TIMEOUT_SECONDS": "300",
        "REEFMESH_INGEST_SERVICE_HOST": "10.0.0.1",
        "REEFMESH_INGEST_PORT": "tcp://10.0.0.1:8080",
        "REEFMESH_INGEST_PORT_8080_TCP_ADDR": "10.0.0.1",
    }
    IngestSettings.refuse_misspelt_variables(GIVEN | others)


def test_every_service_setting_says_what_is_allowed() -> None:
    assert [name for name, field in ServiceSettings.model_fields.items() if not field.description] == []


def test_file_shared_with_the_command_its_home_and_table_are_no_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, 'lanes = 3\nhome = "/srv/reefmesh"\n\n[standalone]\nstore_url = "postgresql://host/name"\n')
    settings = IngestSettings.load(environment=GIVEN, config=path)
    assert (settings.lanes, settings.store_url) == (3, GIVEN["REEFMESH_STORE_URL"])

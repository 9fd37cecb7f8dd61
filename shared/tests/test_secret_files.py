"""Secrets in files: read once, and every mistake is one line that names setting and path and never the content."""

import os
from pathlib import Path

import pytest

from reefmesh.errors import ConfigurationError
from reefmesh.secret_files import BYTES_LIMIT, read_secret_file
from reefmesh.settings import ServiceSettings

SECRET = "s3cr3t"
ADDRESSES = {
    "REEFMESH_BROKER_URL": "stomp://scoring@broker:61613",
    "REEFMESH_STORE_URL": "postgresql://scoring@database/reefmesh",
}


class ScoringSettings(ServiceSettings):
    SECTION = "scoring"


def written(folder: Path, content: bytes) -> Path:
    path = folder / "secret"
    path.write_bytes(content)
    return path


def mistake(environment: dict[str, str], *, config: Path | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        ScoringSettings.load(environment=ADDRESSES | environment, config=config)
    assert "\n" not in str(caught.value)
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"
    return str(caught.value)


@pytest.mark.parametrize("prefix", ["REEFMESH_", "REEFMESH_SCORING_"])
def test_passwords_of_broker_and_database_come_from_files(tmp_path: Path, prefix: str) -> None:
    path = str(written(tmp_path, b"s3cr3t@1\n"))
    environment = {f"{prefix}BROKER_PASSWORD_FILE": path, f"{prefix}STORE_PASSWORD_FILE": path}
    settings = ScoringSettings.load(environment=ADDRESSES | environment)
    assert settings.broker_address() == "stomp://scoring:s3cr3t%401@broker:61613"
    assert settings.store_address() == "postgresql://scoring:s3cr3t%401@database/reefmesh"


def test_settings_file_may_name_the_files(tmp_path: Path) -> None:
    path, config = written(tmp_path, b"s3cr3t"), tmp_path / "reefmesh.toml"
    config.write_text(f'broker_password_file = "{path}"\n[scoring]\nstore_password_file = "{path}"\n')
    settings = ScoringSettings.load(environment=ADDRESSES, config=config)
    assert settings.broker_address() == "stomp://scoring:s3cr3t@broker:61613"
    assert settings.store_address() == "postgresql://scoring:s3cr3t@database/reefmesh"


def test_nearer_place_wins_whichever_form_it_has(tmp_path: Path) -> None:
    path = str(written(tmp_path, b"of-the-file"))
    nearer = {"REEFMESH_BROKER_PASSWORD": "general", "REEFMESH_SCORING_BROKER_PASSWORD_FILE": path}
    settings = ScoringSettings.load(environment=ADDRESSES | nearer)
    assert settings.broker_password is not None
    assert settings.broker_password.get_secret_value() == "of-the-file"


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"s3\n", "s3"), (b"s3\r\n", "s3"), (b"s3\n\n", "s3\n"), (b" s3 ", " s3 "), ("grün".encode(), "grün"), (b"s3", "s3")],
)
def test_one_newline_at_the_end_is_not_part_of_the_secret(tmp_path: Path, content: bytes, secret: str) -> None:
    assert read_secret_file(written(tmp_path, content), named_by="X_FILE") == secret


def test_secret_and_its_file_in_one_place_are_refused(tmp_path: Path) -> None:
    path, config = written(tmp_path, b"s3cr3t"), tmp_path / "reefmesh.toml"
    both = {"REEFMESH_STORE_PASSWORD": SECRET, "REEFMESH_STORE_PASSWORD_FILE": str(path)}
    assert mistake(both) == "REEFMESH_STORE_PASSWORD and REEFMESH_STORE_PASSWORD_FILE are both set; keep one of them"
    config.write_text(f'store_password = "{SECRET}"\nstore_password_file = "{path}"\n')
    assert "store_password_file are both set" in mistake({}, config=config)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"s3cr3t" * 11_000, f"is larger than {BYTES_LIMIT} bytes"),
        (b"s3cr3t\xff", "is not UTF-8"),
    ],
)
def test_file_that_holds_no_secret_is_named_without_its_content(tmp_path: Path, content: bytes, why: str) -> None:
    path = written(tmp_path, content)
    assert mistake({"REEFMESH_BROKER_PASSWORD_FILE": str(path)}) == f"REEFMESH_BROKER_PASSWORD_FILE: {path} {why}"


def test_path_that_is_no_readable_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    missing = mistake({"REEFMESH_BROKER_PASSWORD_FILE": "/no/such"})
    assert missing == "REEFMESH_BROKER_PASSWORD_FILE: cannot read '/no/such': no such file or directory"
    assert mistake({"REEFMESH_BROKER_PASSWORD_FILE": str(tmp_path / "pipe")}).endswith("pipe is not a file")
    assert mistake({"REEFMESH_BROKER_PASSWORD_FILE": str(tmp_path)}).endswith("is not a file")
    assert "is not a file" in mistake({"REEFMESH_BROKER_PASSWORD_FILE": ""})
    assert "cannot read" in mistake({"REEFMESH_BROKER_PASSWORD_FILE": "/no\0such"})
    assert "cannot read" in mistake({"REEFMESH_BROKER_PASSWORD_FILE": "/" + "x" * 300})


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_file_of_somebody_else_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, b"s3cr3t")
    path.chmod(0)
    assert "permission denied" in mistake({"REEFMESH_BROKER_PASSWORD_FILE": str(path)})


def test_variables_of_files_are_known_and_misspelt_ones_are_told() -> None:
    environment = {"REEFMESH_SCORING_BROKER_PASSWORD_FILE": "x", "REEFMESH_STORE_PASSWORD_FIEL": "x"}
    with pytest.raises(ConfigurationError) as refused:
        ScoringSettings.refuse_misspelt_variables(environment)
    assert str(refused.value) == "REEFMESH_STORE_PASSWORD_FIEL is read by nobody; is REEFMESH_STORE_PASSWORD_FILE meant?"

"""What reefmesh ships for RabbitMQ: users and rights that cannot be wider than they read, and passwords that are in no file."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reefmesh.broker.rabbitmq.device_messages import DEVICE_QUEUE, DEVICE_QUEUE_ARGUMENTS, DEVICES_EXCHANGE, FROM_DEVICES
from reefmesh.contracts import channels

DEPLOY = Path(__file__).parents[2] / "deploy" / "rabbitmq"
DEFINITIONS: dict[str, Any] = json.loads((DEPLOY / "definitions.json").read_text(encoding="utf-8"))
USERS = [user["name"] for user in DEFINITIONS["users"]]
PASSWORDS = {user: f"p4ss word of {user}" for user in USERS}
AMAZON = {
    "consumer_timeout": ("3.13", "4.2"),
    "heartbeat": ("3.13", "4.2"),
    "connection_max": ("4.2",),
    "max_message_size": ("4.2",),
}
"""Which of our settings Amazon MQ takes, by version (its Developer Guide: Configurable values, Resource limits)."""


def settings(name: str = "rabbitmq.conf") -> dict[str, str]:
    lines = (DEPLOY / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split(" = ", 1) for line in lines if line and not line.startswith("#"))


def complete(folder: Path, passwords: dict[str, str], devices: Path | None = None) -> "tuple[int, str, Path]":
    """Return the exit code of definitions.py, what it said, and the file that it was to write."""
    file = folder / "definitions.json"
    text = "# comment\n" + "".join(f"{user} {password}\n" for user, password in passwords.items())
    command = [sys.executable, str(DEPLOY / "definitions.py"), str(file), *([] if devices is None else [str(devices)])]
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return run.returncode, run.stderr, file


def outside_of_groups(pattern: str) -> str:
    while (inner := re.sub(r"\([^()]*\)", "", pattern)) != pattern:
        pattern = inner
    return pattern


def test_every_pattern_of_a_right_names_whole_names() -> None:
    """RabbitMQ looks for a pattern anywhere in a name: without both anchors it allows more than it says."""
    for entry in DEFINITIONS["permissions"]:
        if entry["user"] != "operator":
            for right in ("configure", "write", "read"):
                pattern = entry[right]
                assert (pattern[0], pattern[-1]) == ("^", "$"), (entry["user"], right)
                assert "|" not in outside_of_groups(pattern), (entry["user"], right)


def test_nobody_may_speak_for_another_or_administer_but_the_operator() -> None:
    assert {user["name"]: user["tags"] for user in DEFINITIONS["users"]} == {
        **dict.fromkeys(USERS, ""),
        "operator": "administrator",
    }


def test_every_channel_is_there_before_anybody_publishes() -> None:
    made = {each["name"]: (each["type"], each["durable"], each["auto_delete"]) for each in DEFINITIONS["exchanges"]}
    assert made == dict.fromkeys((*map(str, channels.ALL), "reef.doctor", DEVICES_EXCHANGE), ("topic", True, False))


def test_shipped_definitions_hold_no_password_and_no_hash() -> None:
    assert all(set(user) == {"name", "tags"} for user in DEFINITIONS["users"])


def test_completed_definitions_let_each_user_in_by_a_salted_hash_alone(tmp_path: Path) -> None:
    code, said, file = complete(tmp_path, PASSWORDS)
    assert (code, said) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text(encoding="utf-8")
    assert not [password for password in PASSWORDS.values() if password in text]
    users = json.loads(text)["users"]
    for user in users:
        raw = base64.b64decode(user["password_hash"])
        assert raw[4:] == hashlib.sha256(raw[:4] + PASSWORDS[user["name"]].encode()).digest()
    assert len({user["password_hash"] for user in users}) == len(USERS)
    assert {key: value for key, value in json.loads(text).items() if key != "users"} == {
        key: value for key, value in DEFINITIONS.items() if key != "users"
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"alerts": None}, "no password for alerts"),
        ({"alert": "x"}, "there is no user alert; there are alerts"),
        ({"alerts": ""}, "alerts has no password"),
    ],
)
def test_incomplete_passwords_are_refused_in_one_line_and_change_nothing(
    tmp_path: Path, change: dict[str, str | None], said: str
) -> None:
    complete(tmp_path, PASSWORDS)
    before = (tmp_path / "definitions.json").read_text(encoding="utf-8")
    passwords = {user: password for user, password in (PASSWORDS | change).items() if password is not None}
    code, text, file = complete(tmp_path, passwords)
    assert code == 78
    assert said in text
    assert text.count("\n") == 1
    assert before == file.read_text(encoding="utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["definitions.json"]


def test_queue_of_devices_is_the_one_that_the_engine_reads_and_is_bound() -> None:
    """Where it is not bound, the broker confirms to devices what nobody keeps."""
    (queue,) = DEFINITIONS["queues"]
    assert (DEVICE_QUEUE, True, DEVICE_QUEUE_ARGUMENTS) == (queue["name"], queue["durable"], queue["arguments"])
    (binding,) = DEFINITIONS["bindings"]
    assert (DEVICES_EXCHANGE, DEVICE_QUEUE, FROM_DEVICES) == (binding["source"], binding["destination"], binding["routing_key"])
    assert DEVICES_EXCHANGE == settings()["mqtt.exchange"]


def test_only_devices_and_the_operator_may_write_where_devices_do() -> None:
    """The topic says who sent a message, so nobody may write without a permission for topics."""
    writers = {each["user"] for each in DEFINITIONS["permissions"] if re.search(each["write"], DEVICES_EXCHANGE)}
    assert {"operator"} == writers
    (topics,) = [each for each in DEFINITIONS["topic_permissions"] if each["exchange"] == DEVICES_EXCHANGE]
    assert ("operator", None) == (topics["user"], re.search(topics["write"], "buoys.867740030000003.d2c.telemetry"))
    assert re.search(topics["write"], "buoys.867740030000003.c2d.cmd")


def test_each_device_gets_a_user_of_its_own_and_topics_of_its_name(tmp_path: Path) -> None:
    listed = tmp_path / "devices"
    listed.write_text("# of the reef\n867740030000003 a pass word\n867740030000004\n", encoding="utf-8")
    code, said, file = complete(tmp_path, PASSWORDS, listed)
    assert (code, said) == (0, "")
    definitions = json.loads(file.read_text(encoding="utf-8"))
    with_password, certified = definitions["users"][len(USERS) :]
    raw = base64.b64decode(with_password["password_hash"])
    assert raw[4:] == hashlib.sha256(raw[:4] + b"a pass word").digest()
    assert ("867740030000004", "", "") == (certified["name"], certified["tags"], certified["password_hash"])
    for device in ("867740030000003", "867740030000004"):
        (rights,) = [each for each in definitions["permissions"] if each["user"] == device]
        (topics,) = [each for each in definitions["topic_permissions"] if each["user"] == device]
        for right in ("configure", "write", "read"):
            assert (rights[right][0], rights[right][-1]) == ("^", "$")
            assert re.search(rights[right], f"mqtt-subscription-{device}qos1")
            assert not re.search(rights[right], f"mqtt-subscription-{device}0qos1")
        written = topics["write"].replace("{username}", device)
        assert re.search(written, f"buoys.{device}.d2c.telemetry")
        assert not re.search(written, "buoys.1.d2c.telemetry")
        assert not re.search(written, f"buoys.{device}.c2d.cmd")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("86774.003 x", "'86774.003' cannot be a device's name"),
        (".* x", "'.*' cannot be a device's name"),
        ("a/b", "cannot be a device's name"),
        ("9" * 65, "cannot be a device's name"),
        ("operator x", "operator is a user, and cannot be a device"),
        ("1 x\n1 y", "1 stands twice"),
    ],
)
def test_devices_whose_name_would_reach_further_are_refused(tmp_path: Path, line: str, said: str) -> None:
    listed = tmp_path / "devices"
    listed.write_text(f"{line}\n", encoding="utf-8")
    code, text, file = complete(tmp_path, PASSWORDS, listed)
    assert (78, True, 1, False) == (code, said in text, text.count("\n"), file.exists())


def test_page_names_each_setting_that_amazon_mq_takes() -> None:
    page = (DEPLOY.parents[1] / "docs" / "rabbitmq.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(" `") for line in page.splitlines() if line.startswith("| `")}
    ours = {key for key in settings() if not key.startswith(("log.", "prometheus.", "mqtt."))}
    assert ours - rows == set(), "each setting has a row in the table of Amazon MQ"
    for key in ours:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{key}` ")]
        expected = " and ".join(AMAZON.get(key, ())) or "no"
        assert row.split("|")[3].strip().startswith(expected), key

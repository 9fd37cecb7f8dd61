"""The subscriptions file: what it may say, and the one line for each mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reefmesh.errors import ConfigurationError
from reefmesh_alerts.channels.opening import open_channel
from reefmesh_alerts.subscriptions.file import parse_subscriptions
from reefmesh_alerts.subscriptions.watching import Subscriptions

GOOD = """
[[channel]]
name = "log"
type = "console"

[[channel]]
name = "mail"
type = "email"
host = "smtp.example.org"
sender = "reefs@example.org"
username = "reefs"
password = "env:MAIL_PASSWORD"

[[channel]]
name = "hook"
type = "webhook"
url = "https://example.org/hook"
secret = "env:HOOK_SECRET"

[[subscription]]
name = "harbour"
who = "Dive centre"
to = ["dive@example.org"]
reefs = ["gili-*"]
kinds = ["heat", "dive"]
minimum = { heat = "Alert Level 1", dive = 2 }
channels = ["mail", "hook"]
quiet_hours = { begins = "22:00", ends = "07:00", timezone = "Asia/Makassar", break_through = { heat = "Alert Level 2" } }

[[subscription]]
name = "scientist"
to = ["s@example.org"]
channels = ["mail"]
digest = { at = 07:30:00, timezone = "Europe/Berlin" }
"""
ENVIRONMENT = {"MAIL_PASSWORD": "open sesame open", "HOOK_SECRET": "0123456789abcdef0123"}


def parse(text: str) -> object:
    return parse_subscriptions(text, name="subscriptions.toml", environment=ENVIRONMENT)


def test_file_with_everything_is_understood_and_hides_its_secrets() -> None:
    file = parse_subscriptions(GOOD, name="subscriptions.toml", environment=ENVIRONMENT)

    harbour = file.subscription[0]
    assert {"heat": 3, "dive": 2} == harbour.minimum
    assert harbour.quiet_hours is not None
    assert harbour.quiet_hours.breaks("heat", 4)
    assert not harbour.quiet_hours.breaks("heat", 3)
    assert not harbour.quiet_hours.breaks("dive", 5)
    assert "sesame" not in repr(file)
    assert "sesame" not in file.model_dump_json()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('name = "log"', 'name = "mail"', "channel 'mail' is there twice"),
        ('name = "scientist"', 'name = "harbour"', "subscription 'harbour' is there twice"),
        (
            'channels = ["mail", "hook"]',
            'channels = ["post"]',
            "subscription 1 (harbour), channels: there is no channel 'post' (log, mail, hook)",
        ),
        ('to = ["s@example.org"]', "", "subscription 2 (scientist), to: the channel 'mail' needs at least one address"),
        (
            'to = ["s@example.org"]',
            'to = ["nobody"]',
            "subscription 2 (scientist), to.0: write an e-mail address like name@example.org (not 'nobody')",
        ),
        ('kinds = ["heat", "dive"]', 'kinds = ["fish"]', "subscription 1 (harbour), kinds.0: Input should be"),
        (
            'heat = "Alert Level 1"',
            'heat = "Alert Level 9"',
            "subscription 1 (harbour), minimum: 'Alert Level 9' is not one of no stress, bleaching watch",
        ),
        (
            "dive = 2 ",
            "dive = 9 ",
            "subscription 1 (harbour), minimum: dive: write the name of a state, or a number from 0 to 5",
        ),
        ('"Asia/Makassar"', '"Asia/Atlantis"', "subscription 1 (harbour), quiet_hours.timezone: write a time zone like"),
        (
            'begins = "22:00"',
            'begins = "25:00"',
            "subscription 1 (harbour), quiet_hours.begins: write a time of the day as \"hh:mm\" (not '25:00')",
        ),
        ('who = "Dive centre"', 'whom = "x"', "subscription 1 (harbour), whom: there is no such field"),
        ('host = "smtp.example.org"', "", "channel 2 (mail), host: Field required"),
        ('type = "console"', 'type = "pigeon"', "channel 1 (log): Input tag 'pigeon'"),
        ('"env:HOOK_SECRET"', '"env:NO_SUCH"', "channel 3 (hook), secret: the environment variable NO_SUCH is not set"),
        ('"env:HOOK_SECRET"', '"hunter2"', "channel 3 (hook), secret: no secrets in files"),
        ('"env:HOOK_SECRET"', '"env:MAIL_PASSWORD"\nurl2 = 1', "channel 3 (hook), url2: there is no such field"),
        ("https://example.org/hook", "http://example.org/hook", "channel 3 (hook): url: must be https"),
        ("https://example.org/hook", "https://u:p@example.org/", "channel 3 (hook): url: leave user name and password out"),
        ("https://example.org/hook", "file:///etc/passwd", "channel 3 (hook): url: write an address like https://"),
        (
            'sender = "reefs@example.org"',
            'sender = "reefs@example.org"\ntls = "none"',
            "channel 2 (mail): a password needs tls",
        ),
        ('username = "reefs"', "", "channel 2 (mail): username and password go together"),
        ("[[channel]]", "[channel", "not TOML"),
    ],
)
def test_mistake_is_one_line_that_names_its_place(old: str, new: str, line: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError) as caught:
        parse(GOOD.replace(old, new, 1))

    message = str(caught.value)
    assert message.startswith("subscriptions.toml")
    assert line in message
    assert "\n" not in message
    assert "hunter2" not in message
    assert "sesame" not in message


def test_plain_http_is_for_this_machine_or_must_be_allowed() -> None:
    parse(GOOD.replace("https://example.org/hook", "http://127.0.0.1:8000/hook"))
    parse(GOOD.replace("https://example.org/hook", "http://[::1]/hook"))
    parse(GOOD.replace('url = "https://example.org/hook"', 'url = "http://example.org/hook"\nallow_plain_http = true'))


def test_short_secret_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="at least 16 characters") as caught:
        parse_subscriptions(GOOD, name="f", environment=ENVIRONMENT | {"HOOK_SECRET": "short-one"})
    assert "short-one" not in str(caught.value)


async def test_channel_with_an_unreadable_authority_file_is_refused(tmp_path: Path) -> None:
    entry = parse_subscriptions(
        GOOD.replace('type = "webhook"', f'type = "webhook"\nca_file = "{tmp_path}/none.pem"'),
        name="f",
        environment=ENVIRONMENT,
    ).channel[2]

    with pytest.raises(ConfigurationError, match="no certificates can be read from it"):
        open_channel(entry)


class TestChangedFile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "subscriptions.toml"
        path.write_text(GOOD, encoding="utf-8")
        return path

    def test_is_in_force_after_a_look(self, path: Path) -> None:
        subscriptions = Subscriptions(path, environment=ENVIRONMENT)

        assert not subscriptions.look()
        path.write_text(GOOD.replace('"scientist"', '"professor"'), encoding="utf-8")
        assert subscriptions.look()

        assert ["harbour", "professor"] == [entry.name for entry in subscriptions.entries]

    def test_that_is_wrong_leaves_the_old_in_force(self, path: Path) -> None:
        subscriptions = Subscriptions(path, environment=ENVIRONMENT)

        path.write_text("[[channel", encoding="utf-8")
        assert not subscriptions.look()
        path.unlink()
        assert not subscriptions.look()

        assert ["harbour", "scientist"] == [entry.name for entry in subscriptions.entries]

    def test_missing_at_the_start_is_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"none\.toml: cannot be read: No such file"):
            Subscriptions(tmp_path / "none.toml")


def test_documented_example_is_understood() -> None:
    page = Path(__file__).parents[3] / "docs" / "alerts.md"
    (example,) = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    environment = {"REEFS_SMTP_PASSWORD": "open sesame", "REEFS_HOOK_SECRET": "0123456789abcdef"}

    file = parse_subscriptions(example, name="docs/alerts.md", environment=environment)

    assert ["harbour", "scientist"] == [entry.name for entry in file.subscription]

"""The subscriptions file: what it may say, and the one line for each mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from reefmesh.errors import ConfigurationError
from reefmesh_alerts.recipients.file import check_subscriptions, parse_subscriptions
from reefmesh_alerts.recipients.watching import Recipients
from reefmesh_alerts.targets.entries import WebhookEntry
from reefmesh_alerts.targets.opening import open_target

GOOD = """
[[target]]
name = "log"
type = "console"

[[target]]
name = "mail"
type = "email"
host = "smtp.example.org"
sender = "reefs@example.org"
username = "reefs"
password = "env:MAIL_PASSWORD"

[[target]]
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
targets = ["mail", "hook"]
quiet_hours = { begins = "22:00", ends = "07:00", timezone = "Asia/Makassar", break_through = { heat = "Alert Level 2" } }

[[subscription]]
name = "scientist"
to = ["s@example.org"]
targets = ["mail"]
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
        ('name = "log"', 'name = "mail"', "target 'mail' is there twice"),
        ('name = "scientist"', 'name = "harbour"', "subscription 'harbour' is there twice"),
        (
            'targets = ["mail", "hook"]',
            'targets = ["post"]',
            "subscription 1 (harbour), targets: there is no target 'post' (log, mail, hook)",
        ),
        ('to = ["s@example.org"]', "", "subscription 2 (scientist), to: the target 'mail' needs at least one address"),
        (
            'to = ["s@example.org"]',
            'to = ["nobody"]',
            "subscription 2 (scientist), to.0: write an e-mail address like name@example.org (not 'nobody')",
        ),
        ('kinds = ["heat", "dive"]', 'kinds = ["fish"]', "subscription 1 (harbour), kinds.0: must be 'heat', "),
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
        ('host = "smtp.example.org"', "", "target 2 (mail), host: is missing"),
        ('type = "console"', 'type = "pigeon"', "target 1 (log): its 'type' must be one of 'console', 'email', 'webhook'"),
        ('"env:HOOK_SECRET"', '"env:NO_SUCH"', "target 3 (hook), secret: the environment variable NO_SUCH is not set"),
        ('"env:HOOK_SECRET"', '"hunter2"', "target 3 (hook), secret: no secrets in files"),
        ('"env:HOOK_SECRET"', '"env:MAIL_PASSWORD"\nurl2 = 1', "target 3 (hook), url2: there is no such field"),
        ("https://example.org/hook", "http://example.org/hook", "target 3 (hook): url: must be https"),
        ("https://example.org/hook", "https://u:p@example.org/", "target 3 (hook): url: leave user name and password out"),
        (
            "https://example.org/hook",
            "https://127.0.0.1/",
            "url: 127.0.0.1 is no public address; set allow_private",
        ),
        ("https://example.org/hook", "https://[::1]/", "target 3 (hook): url: ::1 is no public address"),
        ("https://example.org/hook", "https://LocalHost/", "target 3 (hook): url: localhost is no public address"),
        ("https://example.org/hook", "https://169.254.169.254/", "target 3 (hook): url: 169.254.169.254 is no public address"),
        ("https://example.org/hook", "file:///etc/passwd", "target 3 (hook): url: write an address like https://"),
        (
            'sender = "reefs@example.org"',
            'sender = "reefs@example.org"\ntls = "none"',
            "target 2 (mail): a password needs tls",
        ),
        ('username = "reefs"', "", "target 2 (mail): username and password go together"),
        ("[[target]]", "[target", "not TOML"),
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
    for url in ("http://127.0.0.1:8000/hook", "http://[::1]/hook", "http://localhost/hook"):
        parse(GOOD.replace('url = "https://example.org/hook"', f'url = "{url}"\nallow_private = true'))
    parse(GOOD.replace('url = "https://example.org/hook"', 'url = "http://example.org/hook"\nallow_plain_http = true'))


def test_short_secret_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="at least 16 characters") as caught:
        parse_subscriptions(GOOD, name="f", environment=ENVIRONMENT | {"HOOK_SECRET": "short-one"})
    assert "short-one" not in str(caught.value)


def test_secrets_come_from_the_files_that_variables_name(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("of-the-file-and-long-enough\n")
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "HOOK_SECRET"}
    environment["HOOK_SECRET_FILE"] = str(tmp_path / "hook")
    file = parse_subscriptions(GOOD, name="f", environment=environment)
    (hook,) = [target for target in file.target if isinstance(target, WebhookEntry)]
    assert hook.secret.get_secret_value() == "of-the-file-and-long-enough"


def test_mistake_in_the_file_of_a_secret_names_target_and_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as both:
        parse_subscriptions(GOOD, name="f", environment=ENVIRONMENT | {"HOOK_SECRET_FILE": str(tmp_path / "hook")})
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "HOOK_SECRET"}
    with pytest.raises(ConfigurationError) as missing:
        parse_subscriptions(GOOD, name="f", environment=environment | {"HOOK_SECRET_FILE": "/no/such"})
    place = "f: target 3 (hook), secret: "
    assert str(both.value) == f"{place}HOOK_SECRET and HOOK_SECRET_FILE are both set; keep one of them"
    assert str(missing.value) == f"{place}HOOK_SECRET_FILE: cannot read '/no/such': no such file or directory"


async def test_target_with_an_unreadable_authority_file_is_refused(tmp_path: Path) -> None:
    entry = parse_subscriptions(
        GOOD.replace('type = "webhook"', f'type = "webhook"\nca_file = "{tmp_path}/none.pem"'),
        name="f",
        environment=ENVIRONMENT,
    ).target[2]

    with pytest.raises(ConfigurationError, match="no certificates can be read from it"):
        open_target(entry)


class TestOldWords:
    """A file of version 0.1 notifies people after an upgrade as before: ``[[channel]]`` for a target, ``channels``."""

    OLD = GOOD.replace("[[target]]", "[[channel]]").replace("targets = [", "channels = [")

    def test_are_read_as_the_new_ones_with_one_warning(self) -> None:
        with capture_logs() as logs:
            old = parse(self.OLD)

        assert parse(GOOD) == old
        (line,) = logs
        assert ("warning", "subscriptions.toml") == (line["log_level"], line["file"])
        assert (
            "channel 1 (log): [[channel]] is now [[target]]; channel 2 (mail): [[channel]] is now [[target]]; "
            "channel 3 (hook): [[channel]] is now [[target]]; "
            "subscription 1 (harbour): channels is now targets; subscription 2 (scientist): channels is now targets"
        ) == line["change"]

    def test_that_are_not_used_warn_of_nothing(self) -> None:
        with capture_logs() as logs:
            parse(GOOD)
        assert [] == logs

    def test_beside_new_ones_are_read_when_the_names_differ(self) -> None:
        with capture_logs() as logs:
            mixed = parse_subscriptions(
                GOOD.replace("[[target]]", "[[channel]]", 1), name="subscriptions.toml", environment=ENVIRONMENT
            )
        assert {"log", "mail", "hook"} == {target.name for target in mixed.target}
        assert ["channel 1 (log): [[channel]] is now [[target]]"] == [line["change"] for line in logs]

    def test_warning_names_a_bounded_number_of_places(self) -> None:
        many = "".join(f'[[channel]]\nname = "c{number}"\ntype = "console"\n' for number in range(30))
        with capture_logs() as logs:
            parse(many)
        (line,) = logs
        assert line["change"].endswith("channel 20 (c19): [[channel]] is now [[target]]; 10 more")

    @pytest.mark.parametrize(
        ("old", "new", "line"),
        [
            (
                '[[target]]\nname = "log"',
                '[[channel]]\nname = "mail"',
                "channel 1 (mail): there is a [[target]] of this name too, remove the [[channel]]",
            ),
            (
                'targets = ["mail", "hook"]',
                'targets = ["mail", "hook"]\nchannels = ["mail"]',
                "subscription 1 (harbour): it has targets and channels, remove channels",
            ),
            (
                '[[target]]\nname = "log"\ntype = "console"',
                '[[channel]]\nname = "log"\ntype = "pigeon"',
                "channel 1 (log): its 'type' must be one of",
            ),
            ('[[target]]\nname = "log"', '[channel]\nname = "log"', "write each target as a table of its own, [[target]]"),
        ],
    )
    def test_with_a_mistake_are_one_line_that_names_its_place_in_the_file(self, old: str, new: str, line: str) -> None:
        assert old in GOOD
        with pytest.raises(ConfigurationError) as caught:
            parse(GOOD.replace(old, new, 1))
        assert line in str(caught.value)
        assert "\n" not in str(caught.value)


class TestChangedFile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "subscriptions.toml"
        path.write_text(GOOD, encoding="utf-8")
        return path

    def test_is_in_force_after_a_look(self, path: Path) -> None:
        recipients = Recipients(path, environment=ENVIRONMENT)

        assert not recipients.reload()
        path.write_text(GOOD.replace('"scientist"', '"professor"'), encoding="utf-8")
        assert recipients.reload()

        assert ["harbour", "professor"] == [entry.name for entry in recipients.entries]

    def test_that_is_wrong_leaves_the_old_in_force(self, path: Path) -> None:
        recipients = Recipients(path, environment=ENVIRONMENT)

        path.write_text("[[target", encoding="utf-8")
        assert not recipients.reload()
        path.unlink()
        assert not recipients.reload()

        assert ["harbour", "scientist"] == [entry.name for entry in recipients.entries]

    def test_missing_at_the_start_is_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"none\.toml: cannot be read: No such file"):
            Recipients(tmp_path / "none.toml")


def test_documented_example_is_understood() -> None:
    page = Path(__file__).parents[3] / "docs" / "alerts.md"
    (example,) = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    environment = {
        "REEFS_SMTP_PASSWORD": "open sesame",
        "REEFS_HOOK_SECRET": "0123456789abcdef",
        "REEFS_TELEGRAM_URL": "tgram://123456789:abcdefghijklmnopqrstuvwxyz123456789/12315544",
    }

    file = parse_subscriptions(example, name="docs/alerts.md", environment=environment)

    assert ["harbour", "scientist"] == [entry.name for entry in file.subscription]


ROTATING = GOOD.replace('secret = "env:HOOK_SECRET"', 'secret = "env:HOOK_SECRET"\nprevious_secret = "env:OLD_SECRET"')


def test_both_secrets_of_a_webhook_come_from_the_environment_or_from_files(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("the secret of last year\n")
    environment = ENVIRONMENT | {"OLD_SECRET_FILE": str(tmp_path / "old")}

    hook = parse_subscriptions(ROTATING, name="s", environment=environment).target[2]

    assert isinstance(hook, WebhookEntry)
    assert hook.previous_secret is not None
    assert "the secret of last year" == hook.previous_secret.get_secret_value()


@pytest.mark.parametrize(
    ("secret", "line"),
    [
        (ENVIRONMENT["HOOK_SECRET"], "previous_secret: is the secret itself; remove it when every receiver has the new one"),
        ("short", "previous_secret: must have at least 16 characters"),
        ("", "previous_secret: the environment variable OLD_SECRET is not set, nor is OLD_SECRET_FILE"),
    ],
)
def test_previous_secret_that_is_of_no_use_is_a_mistake(secret: str, line: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_subscriptions(ROTATING, name="s", environment=ENVIRONMENT | {"OLD_SECRET": secret})

    assert str(error.value).endswith(line)


def test_check_names_every_mistake(tmp_path: Path) -> None:
    path = tmp_path / "subscriptions.toml"
    path.write_text(
        GOOD.replace('kinds = ["heat", "dive"]', 'kinds = ["heet"]').replace('sender = "reefs@example.org"', "port = 0")
    )

    file, mistakes = check_subscriptions(path, environment={"MAIL_PASSWORD": "open sesame open"})

    assert file is None
    assert [line.removeprefix(f"{path}: ").split(":")[0] for line in mistakes] == [
        "target 3 (hook), secret",
        "target 2 (mail), port",
        "target 2 (mail), sender",
        "subscription 1 (harbour), kinds.0",
    ]
    assert "sesame" not in "".join(mistakes)


def test_check_of_names_names_every_one(tmp_path: Path) -> None:
    path = tmp_path / "subscriptions.toml"
    path.write_text(GOOD.replace('targets = ["mail"', 'targets = ["post", "post2"').replace('name = "log"', 'name = "hook"'))

    _, mistakes = check_subscriptions(path, environment=ENVIRONMENT)

    assert 5 == len(mistakes)

"""The command: settings that are wrong are one line, the agent's life with systemd, and nothing but its own libraries."""

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from reefmesh_buoy.__main__ import EXIT_SETTINGS, main

SOURCE = Path(__file__).parents[1] / "src"
GOOD = """
device = "agent-1"
spool = "{folder}/spool.db"
interval_seconds = 0.05
[send]
transport = "http"
url = "http://127.0.0.1:1"
token_file = "{folder}/token"
[[source]]
kind = "command"
command = ["{python}", "-m", "reefmesh_buoy", "simulate", "--interval", "0.05"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("rmt_test\n")
    file = tmp_path / "agent.toml"
    file.write_text(GOOD.format(folder=tmp_path, python=sys.executable))
    return file


def test_good_settings_pass(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--settings", str(settings)]) == 0
    assert capsys.readouterr().out == "agent-1: 1 sources, sends by http\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('device = "agent-1"', "", "device must be set"),
        ('device = "agent-1"', 'device = "a b"', "device"),
        ("interval_seconds = 0.05", "interval_seconds = -1", "interval_seconds must be a number"),
        ("interval_seconds", "intervall", "intervall is no setting"),
        ('transport = "http"', 'transport = "pigeon"', "send.transport must be one of http, mqtt, stomp"),
        ("http://127.0.0.1:1", "127.0.0.1", "send.url"),
        ("/token", "/no-token", "send.token_file"),
        ('kind = "command"', 'kind = "psychic"', "source[0].kind"),
        ("[[source]]", "[[other]]", "other is no setting"),
        ("[[source]]", "[source]", "source: name at least one"),
        ("[send]", "[send", "is no TOML"),
    ],
)
def test_wrong_setting_is_one_line(settings: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str) -> None:
    settings.write_text(settings.read_text().replace(old, new))
    assert main(["check", "--settings", str(settings)]) == EXIT_SETTINGS
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ('certificate_file = "{folder}/device.pem"', "send.key_file must be set"),
        ('key_file = "{folder}/device.key"', "send.certificate_file must be set"),
        ('certificate_file = "{folder}/device.pem"\nkey_file = "{folder}/device.key"\ntls = false', "needs tls = true"),
        ('certificate_file = "{folder}/device.pem"\nkey_file = "{folder}/device.key"', "device.pem"),
    ],
)
def test_certificate_that_cannot_be_shown_is_one_line(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], certificate: str, words: str
) -> None:
    text = settings.read_text()
    send = f'[send]\ntransport = "mqtt"\nhost = "broker"\n{certificate.format(folder=tmp_path)}\n'
    settings.write_text(text[: text.index("[send]")] + send + text[text.index("[[source]]") :])
    assert main(["check", "--settings", str(settings)]) == EXIT_SETTINGS
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_agent_tells_systemd_that_it_lives_and_ends_in_order(settings: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        command = [sys.executable, "-m", "reefmesh_buoy"]
        agent = subprocess.Popen([*command, "run", "--settings", str(settings)], env=environment, stderr=subprocess.PIPE)
        states = [manager.recv(100) for _ in range(3)]
        assert agent.stderr is not None
        told = agent.stderr.readline()
        agent.send_signal(signal.SIGTERM)
        _, rest = agent.communicate(timeout=60)
        while states[-1] != b"STOPPING=1":
            states.append(manager.recv(100))
    assert states[:3] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    assert b"report 1 is not confirmed and is sent again" in told
    assert (agent.returncode, rest) == (0, b"")
    shown = subprocess.run(
        [*command, "status", "--json", "--settings", str(settings)], capture_output=True, text=True, check=True
    )
    health = json.loads(shown.stdout)
    assert health["waiting_readings"] == health["taken_readings"] > 0


def test_agent_runs_where_there_is_nothing_but_python(settings: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "bare")}))
    (packages / "agent.pth").write_text(f"{SOURCE}\n")
    seen = "import importlib.util as u; print([n for n in ('pydantic', 'reefmesh', 'paho', 'stomp') if u.find_spec(n)])"
    assert subprocess.run([python, "-c", seen], capture_output=True, text=True, check=True).stdout == "[]\n"
    checked = subprocess.run(
        [python, "-m", "reefmesh_buoy", "check", "--settings", settings], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    text = settings.read_text()
    settings.write_text(
        text[: text.index("[send]")] + '[send]\ntransport = "mqtt"\nhost = "broker"\n' + text[text.index("[[source]]") :]
    )
    told = subprocess.run(
        [python, "-m", "reefmesh_buoy", "check", "--settings", settings], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr.count("\n")) == (EXIT_SETTINGS, 1)
    assert "reefmesh-buoy[mqtt]" in told.stderr

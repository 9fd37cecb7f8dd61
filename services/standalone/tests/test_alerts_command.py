"""``reefmesh alerts`` as its users run it, on a ledger with real rows and a real receiver."""

import asyncio
import json
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from reefmesh.clock import ManualClock
from reefmesh.observability.metrics import Metrics
from reefmesh.store.connect import open_store
from reefmesh.store.port import Store
from reefmesh_alerts.bootstrap import MIGRATIONS
from reefmesh_alerts.delivery.dispatcher import DeliveryDispatcher
from reefmesh_alerts.domain.reef_watch import ReefWatch
from reefmesh_alerts.domain.transition import Transition
from reefmesh_alerts.muting.ending import MuteEnds
from reefmesh_alerts.queries import DeadTarget
from reefmesh_alerts.recipients.entries import RecipientEntry, SubscriptionsFile
from reefmesh_alerts.recipients.watching import Recipients
from reefmesh_alerts.recording import record
from reefmesh_alerts.targets.entries import ConsoleEntry
from reefmesh_alerts.targets.port import Notice, Rejected, SendResult, Sent
from reefmesh_alerts.texts.unsubscribing import Unsubscribing
from reefmesh_components.command_in_process import CommandInProcess
from reefmesh_ingest.bootstrap import MIGRATIONS as INGEST_MIGRATIONS
from reefmesh_ingest.register.entries import ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.doctor.targets import mend_of

NOW = datetime.now(UTC).replace(microsecond=0)
BOTH = SubscriptionsFile(
    target=[ConsoleEntry(type="console", name="pager"), ConsoleEntry(type="console", name="gone")],
    subscription=[RecipientEntry(name="harbour", targets=["pager", "gone"])],
)
FILE = """
[[target]]
name = "hook"
type = "webhook"
url = "{url}"
secret = "env:HOOK_SECRET"
allow_private = true

[[target]]
name = "spare"
type = "console"

[[subscription]]
name = "harbour"
who = "The dive centre"
reefs = ["amed"]
kinds = ["heat", "dive"]
minimum = {{ heat = "Alert Level 1" }}
targets = ["hook"]
quiet_hours = {{ begins = "22:00", ends = "06:00", timezone = "Asia/Makassar", break_through = {{ heat = 4 }} }}

[[subscription]]
name = "scientist"
targets = ["hook"]
digest = {{ at = "07:00", timezone = "UTC" }}
"""
SECRET = {"HOOK_SECRET": "0123456789abcdef0123"}


def dive(verdict: str, severity: int, *, before: str = "good", minutes_ago: int = 10, stands: bool = True) -> Transition:
    at = NOW - timedelta(minutes=minutes_ago)
    return Transition(
        kind="dive",
        change="changed",
        from_state=before,
        to_state=verdict,
        severity=severity,
        worst_severity=5,
        occurred_at=at,
        evidence_at=at,
        stands=stands,
        evidence={"reasons": "current 1.6 kn"},
    )


class Target:
    """Takes everything, or nothing."""

    def __init__(self, name: str, told: list[str]) -> None:
        self._name = name
        self._told = told

    async def send(self, notice: Notice, *, at: datetime) -> SendResult:
        if self._name == "gone":
            return Rejected(reason="HTTP 410: closed down")
        self._told.append(notice.subject)
        return Sent()

    async def close(self) -> None:
        """Nothing to close."""


class Ledger:
    """The alerts service's side of a home: raises alerts and delivers them."""

    def __init__(self, home: Path) -> None:
        self.told: list[str] = []
        self._url = f"sqlite:///{home}/alerts.db"
        self._watch = {"amed": ReefWatch(reef_name="Amed Wall"), "lovina": ReefWatch(reef_name="Lovina")}
        self._recipients = Recipients.fixed(BOTH)
        self._metrics = Metrics("alerts")

    def raise_alert(self, transition: Transition, *, reef: str = "amed", minutes_ago: int = 10) -> None:
        raised_at = NOW - timedelta(minutes=minutes_ago)
        self._watch[reef], writes, _ = record(
            reef, self._watch[reef], [transition], raised_at=raised_at, recipients=self._recipients.entries
        )
        self._with_store(lambda store: store.write(writes))

    def deliver(self) -> None:
        async def deliver(store: Store) -> None:
            clock = ManualClock(datetime.now(UTC))
            parts: Any = {"store": store, "clock": clock, "recipients": self._recipients, "metrics": self._metrics}
            await MuteEnds(**parts).look_once()
            await DeliveryDispatcher(**parts, opener=lambda entry: Target(entry.name, self.told)).deliver_due()

        self._with_store(deliver)

    def _with_store(self, work: Callable[[Store], Awaitable[None]]) -> None:
        async def main() -> None:
            store = open_store(self._url, migrations=MIGRATIONS)
            await store.open()
            try:
                await work(store)
            finally:
                await store.close()

        asyncio.run(main())


@pytest.fixture
def command(tmp_path: Path) -> CommandInProcess:
    home = tmp_path / "home"
    home.mkdir()

    async def register() -> None:
        store = open_store(f"sqlite:///{home}/ingest.db", migrations=INGEST_MIGRATIONS)
        await store.open()
        reefs = [ReefEntry(id=reef, name=reef, latitude_degrees=-8.0, longitude_degrees=115.0) for reef in ("amed", "lovina")]
        await Register(store).upsert(reefs=reefs)
        await store.close()

    asyncio.run(register())
    return CommandInProcess(home=home)


@pytest.fixture
def ledger(command: CommandInProcess) -> Ledger:
    return Ledger(command.home)


def listed(command: CommandInProcess, *arguments: str) -> Any:
    ended = command("alerts", "list", *arguments, "--json")
    assert 0 == ended.code, ended.err
    return ended.document


def test_list_show_and_failed_tell_what_became_of_alerts(command: CommandInProcess, ledger: Ledger) -> None:
    ledger.raise_alert(dive("poor", 2), minutes_ago=90)
    ledger.raise_alert(dive("fair", 1), reef="lovina", minutes_ago=5)
    ledger.raise_alert(dive("no_go", 4, before="poor"))
    ledger.deliver()

    everything = listed(command)["alerts"]
    assert ["fair", "no_go", "poor"] == [alert["to_state"] for alert in everything]
    assert ["no_go", "poor"] == [alert["to_state"] for alert in listed(command, "--reef", "amed")["alerts"]]
    assert ["fair", "no_go"] == [alert["to_state"] for alert in listed(command, "--since", "1h")["alerts"]]
    assert [] == listed(command, "--kind", "heat")["alerts"]
    assert ["fair"] == [alert["to_state"] for alert in listed(command, "--limit", "1")["alerts"]]
    assert {("amed", "no_go"), ("lovina", "fair")} == {
        (each["reef_id"], each["state"]) for each in listed(command, "--open")["episodes"]
    }
    failed = listed(command, "--failed", "--reef", "amed")["deliveries"]
    assert [("gone", "HTTP 410: closed down")] * 2 == [(each["target"], each["last_error"]) for each in failed]

    newest = everything[1]["alert_id"]
    shown = command("alerts", "show", newest[:10]).out
    assert "Reef:      Amed Wall (amed)" in shown
    assert "reasons: current 1.6 kn" in shown
    assert re.search(r"harbour over pager: sent at .* UTC", shown)
    assert re.search(r"harbour over gone: failed, given up after 1 attempt\n    HTTP 410: closed down", shown)
    document = command("alerts", "show", newest, "--json").document
    assert {"sent", "failed"} == {each["status"] for each in document["deliveries"]}


@pytest.mark.parametrize("arguments", [[], ["--open"], ["--failed"]], ids=" ".join)
@pytest.mark.parametrize("columns", [50, 80])
def test_lists_fit_the_terminal_and_break_no_id(
    command: CommandInProcess, ledger: Ledger, arguments: Sequence[str], columns: int
) -> None:
    ledger.raise_alert(dive("no_go", 4))
    ledger.deliver()
    (alert,) = listed(command)["alerts"]
    command = replace(command, environment={"COLUMNS": str(columns)})

    ended = command("alerts", "list", *arguments)

    head, *below = ended.out.splitlines()
    assert head.startswith(alert["alert_id"])
    assert below
    assert all(len(line) <= columns for line in below)
    assert (columns >= len(head)) == (columns == 80)  # an id is not broken, even where the terminal is narrower


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["list", "--open", "--failed"], "--open lists episodes and --failed deliveries; say one of them"),
        (["list", "--since", "yesterday"], "--since 'yesterday' is neither a day (2026-03-31, in UTC) nor an instant"),
        (["list", "--since", "2026-03-31T08:00"], "states no offset from UTC; add it, such as +08:00 or Z"),
        (["show", "nothing"], "there is no alert nothing; 'reefmesh alerts list' shows those that there are"),
        (["ack", ""], "there is no alert ;"),
        (["mute", "ahmed", "--for", "2h", "--reason", "x"], "reef ahmed is not registered; 'reefmesh reefs list' shows"),
        (["mute", "amed", "--reason", "x"], "say either for how long (--for 2h) or until when"),
        (["mute", "amed", "--for", "2h", "--until", "2999-01-01", "--reason", "x"], "say either for how long"),
        (["mute", "amed", "--for", "2", "--reason", "x"], "--for '2' is no duration; write it like 90m, 2h, 3d or 1w"),
        (["mute", "amed", "--until", "2020-01-01", "--reason", "x"], "a mute ends in the future, within 366 days"),
        (["mute", "amed", "--for", "60w", "--reason", "x"], "a mute ends in the future, within 366 days"),
        (["mute", "amed", "--for", "2h", "--reason", " "], "--reason is empty; say why, for those who wait for messages"),
        (["mute", "--for", "2h", "--reason", "x"], "say either which reefs are meant, or --all-reefs"),
        (["mute", "amed", "--all-reefs", "--for", "2h", "--reason", "x"], "say either which reefs are meant, or --all-reefs"),
        (["mute", "amed", "ahmed", "lovna", "--for", "2h", "--reason", "x"], "reefs ahmed, lovna are not registered;"),
        (["unmute", "--all-reefs"], "nothing like that is muted at any reef;"),
        (["unmute", "amed"], "nothing like that is muted at amed; 'reefmesh alerts list' shows what is"),
        (["test", "nobody"], "there is no target or recipient nobody (console, console)"),
        (["check", "nowhere.toml"], "nowhere.toml: cannot be read: No such file or directory"),
    ],
)
def test_mistake_is_one_line_and_exit_code_78(command: CommandInProcess, arguments: Sequence[str], line: str) -> None:
    ended = command("alerts", *arguments)

    assert (78, "") == (ended.code, ended.out)
    assert line in ended.err
    assert 1 == ended.err.count("\n")


def test_unknown_kind_names_the_kinds(command: CommandInProcess) -> None:
    ended = command("alerts", "list", "--kind", "heet")

    assert 2 == ended.code
    assert "'heet' is not one of heat, dive," in " ".join(ended.err.replace("│", " ").split())


def test_mute_holds_back_is_shown_everywhere_and_ends_with_what_stands(command: CommandInProcess, ledger: Ledger) -> None:
    muted = command("alerts", "mute", "amed", "--for", "2h", "--reason", "buoy on deck", "--by", "ana")
    assert 0 == muted.code, muted.err
    assert re.fullmatch(r"Muted until .* UTC: amed, every kind but heat from Alert Level 1\n", muted.out)
    ledger.raise_alert(dive("no_go", 4), minutes_ago=0)
    ledger.deliver()

    assert [] == ledger.told
    (mute,) = listed(command, "--open")["mutes"]
    assert ("amed", None, "buoy on deck", "ana", 2) == (
        mute["reef_id"],
        mute["kind"],
        mute["reason"],
        mute["made_by"],
        mute["deliveries_held_back"],
    )
    (episode,) = listed(command, "--open")["episodes"]
    assert mute["until"] == episode["muted_until"]
    assert "2 deliveries held back; by ana: buoy on deck" in " ".join(command("alerts", "list").out.split())
    status = command("status", "--json").document
    assert ([mute], mute["until"]) == (status["mutes"], status["episodes"][0]["muted_until"])

    unmuted = command("alerts", "unmute", "amed", "--by", "ben")
    assert (0, "Not muted any more: amed, every kind but heat from Alert Level 1\n") == (unmuted.code, unmuted.out)
    ledger.deliver()

    (subject,) = ledger.told
    assert subject.startswith("After the mute: Diving no-go at Amed Wall, was good (current 1.6 kn)")
    assert [] == listed(command)["mutes"]
    assert [] == command("status", "--json").document["mutes"]


def test_mute_of_one_kind_is_lifted_by_its_kind(command: CommandInProcess, ledger: Ledger) -> None:
    for kind in ("dive", "sensor_fault"):
        assert 0 == command("alerts", "mute", "amed", "--kind", kind, "--for", "1w", "--reason", "x").code

    assert "amed, dive" in command("alerts", "unmute", "amed", "--kind", "dive").out

    assert ["sensor_fault"] == [mute["kind"] for mute in listed(command)["mutes"]]


EVERY_KIND = "every kind but heat from Alert Level 1"


def test_several_reefs_are_muted_together_or_none_is(command: CommandInProcess) -> None:
    asked = ("alerts", "mute", "lovina", "amed", "lovina", "--for", "2h", "--reason", "no network", "--by", "ana")
    assert 78 == command(*asked, "ahmed").code
    assert [] == listed(command)["mutes"]

    muted = command(*asked)

    assert 0 == muted.code, muted.err
    assert ["lovina", "amed"] == [line.partition(" UTC: ")[2].partition(",")[0] for line in muted.out.splitlines()]
    assert "2 reefs.\n" == muted.err
    assert {("amed", "ana"), ("lovina", "ana")} == {(each["reef_id"], each["made_by"]) for each in listed(command)["mutes"]}
    assert "nothing like that is muted at lovina, amed;" in command("alerts", "unmute", "lovina", "amed", "--kind", "heat").err
    unmuted = command("alerts", "unmute", "lovina", "amed")
    assert {f"Not muted any more: {reef}, {EVERY_KIND}" for reef in ("amed", "lovina")} == set(unmuted.out.splitlines())
    assert [] == listed(command)["mutes"]


def test_all_reefs_are_counted_before_they_are_muted(command: CommandInProcess) -> None:
    asked = ("alerts", "mute", "--all-reefs", "--kind", "dive", "--for", "2h", "--reason", "no network")
    dry = command(*asked, "--dry-run")
    assert (0, "2 reefs; nothing was changed.\n") == (dry.code, dry.err)
    assert re.fullmatch(r"(Would be muted until .* UTC: (amed|lovina), dive\n){2}", dry.out)
    document = command(*asked, "--dry-run", "--json").document
    assert (True, ["amed", "lovina"]) == (document["dry_run"], [each["reef_id"] for each in document["mutes"]])
    assert [] == listed(command)["mutes"]

    made = command(*asked, "--json").document

    assert made["dry_run"] is False
    by_id = {each["mute_id"]: each for each in listed(command)["mutes"]}
    assert by_id == {each["mute_id"]: each for each in made["mutes"]}
    assert 0 == command("alerts", "unmute", "--all-reefs", "--dry-run").code
    assert by_id.keys() == {each["mute_id"] for each in listed(command)["mutes"]}
    ended = command("alerts", "unmute", "--all-reefs", "--json").document
    assert by_id.keys() == {each["mute_id"] for each in ended["mutes"]}
    assert [] == listed(command)["mutes"]


def test_acknowledgement_is_shown_with_the_alert(command: CommandInProcess, ledger: Ledger) -> None:
    ledger.raise_alert(dive("no_go", 4))
    (alert,) = listed(command)["alerts"]

    ended = command("alerts", "ack", alert["alert_id"][:12], "--note", "boats are back", "--by", "ana")

    assert 0 == ended.code, ended.err
    assert ended.out.startswith("Acknowledged: Diving no-go at Amed Wall")
    for arguments in (["list"], ["list", "--open"], ["show", alert["alert_id"]]):
        assert re.search(r"acknowledged by ana, .*: boats are back", command("alerts", *arguments).out)
    (known,) = listed(command, "--open")["episodes"][0]["acknowledgements"]
    assert ("ana", "boats are back") == (known["made_by"], known["note"])
    assert [known] == command("status", "--json").document["episodes"][0]["acknowledgements"]


class Receiver:
    """A web server that keeps what it got and answers as it is told."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.status = 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                body = b"" if receiver.status == 204 else b"not today"
                self.send_response(receiver.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: the test looks at the bodies."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


@pytest.fixture
def knowing(command: CommandInProcess) -> CommandInProcess:
    """The command where the secrets are."""
    return replace(command, environment=SECRET)


def test_test_sends_a_message_through_the_real_target_and_says_what_it_answered(
    knowing: CommandInProcess, receiver: Receiver, tmp_path: Path
) -> None:
    path = tmp_path / "subscriptions.toml"
    path.write_text(FILE.format(url=receiver.url))

    good = knowing("alerts", "test", "harbour", "--file", path)
    receiver.status = 410
    refused = knowing("alerts", "test", "hook", "--file", path)
    receiver.status = 503
    later = knowing("alerts", "test", "hook", "--file", path, "--json")

    assert (0, "hook: accepted\n") == (good.code, good.out)
    assert (1, "hook: refused for good: HTTP 410: not today\n") == (refused.code, refused.out)
    assert (1, [{"target": "hook", "to": [], "accepted": False, "said": "HTTP 503: not today"}]) == (
        later.code,
        later.document,
    )
    body = receiver.bodies[0]
    assert ("harbour", "Test message: nothing has happened at any reef") == (body["subscription"], body["summary"])
    assert ["reefmesh-test"] == [alert["reef_id"] for alert in body["alerts"]]
    assert 3 == len({body["idempotency_key"] for body in receiver.bodies})


def test_file_of_the_service_is_used_when_none_is_named(knowing: CommandInProcess, receiver: Receiver, tmp_path: Path) -> None:
    path = tmp_path / "subscriptions.toml"
    path.write_text(FILE.format(url=receiver.url))
    knowing = replace(knowing, environment=SECRET | {"REEFMESH_ALERTS_SUBSCRIPTIONS_FILE": str(path)})

    assert 0 == (knowing("alerts", "test", "hook")).code
    assert 0 == (knowing("alerts", "check")).code


def test_mail_server_needs_an_address(command: CommandInProcess, tmp_path: Path) -> None:
    path = tmp_path / "subscriptions.toml"
    path.write_text(
        '[[target]]\nname = "mail"\ntype = "email"\nhost = "127.0.0.1"\nport = 9\ntls = "none"\nsender = "a@example.org"\n'
    )

    unaddressed = command("alerts", "test", "mail", "--file", path)
    away = command("alerts", "test", "mail", "--to", "b@example.org", "--file", path)

    assert (78, "reefmesh: mail is a mail server; say with --to to whom, or name a recipient\n") == (
        unaddressed.code,
        unaddressed.err,
    )
    assert 1 == away.code
    assert away.out.startswith("mail to b@example.org: not accepted, and would be tried again: ")


def test_check_says_who_gets_what_and_when(knowing: CommandInProcess, tmp_path: Path) -> None:
    knowing = replace(knowing, environment=SECRET | {"COLUMNS": "120"})
    path = tmp_path / "subscriptions.toml"
    path.write_text(FILE.format(url="https://example.org/hook"))

    ended = knowing("alerts", "check", path)

    assert 0 == ended.code, ended.err
    assert ended.out.splitlines() == [
        "harbour (The dive centre)",
        "    reefs amed",
        "    heat from Alert Level 1, dive; data of up to 168 h",
        "    over hook",
        "    at once, but from 22:00 to 06:00 Asia/Makassar only heat from Alert Level 2",
        "scientist",
        "    reefs *",
        "    heat, dive, chemistry, buoy silent, buoy drift, buoy battery, sensor fault, quantity silent; data of up to 168 h",
        "    over hook",
        "    gathered, daily at 07:00 UTC",
    ]
    assert "No recipient uses spare.\n" == ended.err
    lovina = (knowing("alerts", "check", path, "--reef", "lovina", "--json")).document
    assert ["scientist"] == [each["name"] for each in lovina["recipients"]]
    silent = (knowing("alerts", "check", path, "--kind", "buoy_silent", "--json")).document
    assert [("scientist", ["buoy_silent"])] == [(each["name"], each["kinds"]) for each in silent["recipients"]]
    heat = (knowing("alerts", "check", path, "--reef", "amed", "--kind", "heat", "--json")).document
    assert ["harbour", "scientist"] == [each["name"] for each in heat["recipients"]]


def test_check_names_each_mistake_in_a_line(command: CommandInProcess, tmp_path: Path) -> None:
    path = tmp_path / "subscriptions.toml"
    path.write_text(FILE.format(url="http://example.org/hook").replace("22:00", "ten").replace('"07:00"', '"7"'))

    ended = command("alerts", "check", path, "--json")

    assert 78 == ended.code
    mistakes = [line.removeprefix(f"{path}: ") for line in json.loads(ended.out)["mistakes"]]
    assert 4 == len(mistakes)
    assert "target 1 (hook), secret: the environment variable HOOK_SECRET is not set, nor is HOOK_SECRET_FILE" in mistakes
    text = command("alerts", "check", path)
    assert (78, 4, "") == (text.code, len(text.err.splitlines()), text.out)


def test_check_opens_the_targets(knowing: CommandInProcess, tmp_path: Path) -> None:
    path = tmp_path / "subscriptions.toml"
    path.write_text(
        FILE.format(url="https://example.org/hook").replace("allow_private", 'ca_file = "nowhere.pem"\nallow_private')
    )

    ended = knowing("alerts", "check", path)

    assert 78 == ended.code
    assert "target 1 (hook): nowhere.pem: no certificates can be read from it" in ended.err


def test_verify_tells_whose_wish_to_unsubscribe_it_is(command: CommandInProcess) -> None:
    key = "a key of at least sixteen characters"
    token = Unsubscribing(key=SecretStr(key)).token_of("harbour")
    knowing = replace(command, environment={"REEFMESH_ALERTS_UNSUBSCRIBE_KEY": key})

    own, other = knowing("alerts", "verify", "harbour", token), knowing("alerts", "verify", "scientist", token)
    keyless = command("alerts", "verify", "harbour", token)

    assert (0, "This is the token of harbour, who wants no more mails.\n") == (own.code, own.out)
    assert 1 == other.code
    assert "not the token of scientist" in other.out
    assert 78 == keyless.code
    assert "REEFMESH_ALERTS_UNSUBSCRIBE_KEY" in keyless.err


def test_doctor_names_a_target_that_takes_nothing(command: CommandInProcess, ledger: Ledger) -> None:
    def found() -> dict[str, tuple[str, str]]:
        findings = command("doctor", "--service", "alerts", "--json").document["findings"]
        return {each["check"]: (each["verdict"], each["said"]) for each in findings}

    assert "targets" not in found()  # the service has made no tables yet
    for minutes_ago in (50, 40):
        ledger.raise_alert(dive("poor", 2, minutes_ago=minutes_ago), minutes_ago=minutes_ago)
    ledger.deliver()
    assert "ok" == found()["targets"][0]

    ledger.raise_alert(dive("no_go", 4))
    ledger.deliver()

    verdict, said = found()["targets"]
    assert "fail" == verdict
    assert re.fullmatch(r"gone has taken nothing since .* UTC: 3 attempts at 3 deliveries failed: HTTP 410: closed down", said)


@pytest.mark.parametrize(
    ("error", "names_the_proxy"),
    [
        ("ConnectTimeout: ", True),
        ("ConnectError: hook.example does not resolve: no such name", True),
        ("through the proxy p.example:3128: ConnectError: all attempts failed", False),
        ("HTTP 410: closed down", False),
    ],
)
def test_doctor_thinks_of_a_proxy_where_nothing_was_reached_directly(error: str, names_the_proxy: bool) -> None:
    target = DeadTarget(target="hook", deliveries=1, attempts=3, since=datetime(2026, 11, 30, tzinfo=UTC), last_error=error)

    assert names_the_proxy == ("set REEFMESH_ALERTS_PROXY" in mend_of(target))

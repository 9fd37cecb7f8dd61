"""Whatever is wrong, people read our sentences: one line, no words of the library that noticed it."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from reefmesh.errors import ConfigurationError
from reefmesh_alerts.recipients.file import parse_subscriptions
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_ingest.domain.decode import Refusal, decode
from reefmesh_ingest.register.entries import ReefEntry
from reefmesh_ingest.register.file import parse_register
from reefmesh_standalone.commands.register import changed
from reefmesh_standalone.settings import StandaloneSettings
from reefmesh_standalone.variables import refuse_unread_variables

OF_PYDANTIC = re.compile(
    r"input should|extra inputs|value error|field required|string should|list should|validation error|pydantic|unable to parse"
    r"|valid (integer|number|string|list|dict|boolean)|assertion failed|type=",
    re.IGNORECASE,
)
REEF = '[[reef]]\nid = "a"\nname = "A"\nlatitude_degrees = 1\nlongitude_degrees = 1\n'
REGISTERS = (
    REEF.replace("= 1", "= 95"),
    REEF.replace('"a"', '"A B"'),
    REEF.replace('name = "A"\n', ""),
    REEF + "colour = 3\n",
    REEF + "mmm_celsius = 'warm'\n",
    REEF + '[[buoy]]\nid = "b"\nreef = "a"\nwaking_hours_utc = [1]\n',
    REEF + '[[buoy]]\nid = "b"\nreef = "a"\nsensor = 3\n',
    REEF + '[[buoy]]\nid = "b"\nreef = "a"\nearliest_observed_at = "soon"\n',
    "reef = 3\n",
    "reef = [3]\n",
)
TARGET = '[[target]]\nname = "t"\ntype = "console"\n'
SUBSCRIPTIONS = (
    TARGET.replace("console", "pigeon"),
    TARGET.replace('type = "console"\n', ""),
    TARGET + "concurrency = 0\n",
    TARGET + "timeout_seconds = 'x'\n",
    TARGET + '[[subscription]]\nname = "me"\ntargets = []\n',
    TARGET + '[[subscription]]\nname = "me"\ntargets = ["t"]\nkinds = ["fish"]\n',
    TARGET + '[[subscription]]\nname = "m e"\ntargets = ["t"]\n',
    TARGET + '[[subscription]]\nname = "me"\ntargets = ["t"]\nquiet_hours = 3\n',
    TARGET + '[[subscription]]\nname = "me"\ntargets = ["t"]\nreefs = ["A B"]\n',
    "subscription = 1\n",
)
FIELDS = (
    "mmm_celsius=warm",
    "limits=3",
    'limits={"sea_water_temperature": {"spike_fail": "x"}}',
    "name=",
    "latitude_degrees=[]",
)
SETTINGS = {
    "REEFMESH_LANES": "many",
    "REEFMESH_DRAIN_TIMEOUT_SECONDS": "-1",
    "REEFMESH_LOG_LEVEL": "loud",
    "REEFMESH_TRACING": "yes",
    "REEFMESH_ACCEPT_UNSTAMPED_UNTIL": "soon",
    "REEFMESH_BROKER_USERS": "a b",
    "REEFMESH_STORE_URL": "x",
    "REEFMESH_BROKER_URL": "x",
    "REEFMESH_ALERTS_HEAT_OPENS_AT": "9",
}
TELEMETRY = {"schema": "telemetry/1", "buoy_id": "agent-1", "seq": 1, "sent_at": "2026-03-01T00:00:00Z", "readings": []}
READING = {"observed_at": "2026-03-01T00:00:00Z", "channels": {"sea_water_temperature": 28.0}}
PAYLOADS: tuple[dict[str, object], ...] = (
    {},
    {"seq": -1, "readings": [READING]},
    {"seq": "x", "readings": [READING]},
    {"sent_at": "soon", "readings": [READING]},
    {"schema": "telemetry/2", "readings": [READING]},
    {"colour": 1, "readings": [READING]},
    {"readings": [READING | {"observed_at": 3}]},
    {"readings": [READING | {"channels": 3}]},
    {"readings": [READING | {"channels": {"mood": 3}}]},
    {"readings": [READING | {"channels": {"sea_water_temperature": "warm"}}]},
)


PLACE = ("name=A", "latitude_degrees=1", "longitude_degrees=1")


def fields_with(wrong: str) -> list[str]:
    return [*(each for each in PLACE if each[:4] != wrong[:4]), wrong]


WRONG: dict[str, Callable[[], object]] = {
    **{f"{name}={value}": partial(AlertsSettings.load, environment={name: value}) for name, value in SETTINGS.items()},
    "broker of the command": partial(StandaloneSettings.load, environment={"REEFMESH_BROKER_URL": "x"}),
    "time-out of the command": partial(StandaloneSettings.load, environment={"REEFMESH_VISIBILITY_TIMEOUT_SECONDS": "x"}),
    **{f"register {number}": partial(parse_register, text, name="r.toml") for number, text in enumerate(REGISTERS)},
    **{
        f"subscriptions {number}": partial(parse_subscriptions, text, name="s.toml", environment={})
        for number, text in enumerate(SUBSCRIPTIONS)
    },
    **{field: partial(changed, ReefEntry, {"id": "a"}, fields_with(field)) for field in FIELDS},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_in_one_line_of_our_own_words(wrong: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        WRONG[wrong]()
    said = str(refused.value)
    assert "\n" not in said
    assert not OF_PYDANTIC.search(said), said


@pytest.mark.parametrize("payload", [*(json.dumps(TELEMETRY | each) for each in PAYLOADS), "{not json}", "[3]"])
def test_what_is_wrong_with_a_payload_is_told_in_our_own_words(payload: str) -> None:
    report = decode("telemetry/1", payload.encode())
    details = [report.detail] if isinstance(report, Refusal) else [part.detail for part in report.refused]
    assert details
    for detail in details:
        assert not OF_PYDANTIC.search(detail), detail


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("REEFMESH_BROKR_URL", "is REEFMESH_BROKER_URL meant?"),
        ("REEFMESH_SCORNG_LANES", "is REEFMESH_SCORING_LANES meant?"),
        ("REEFMESH_PARROTFISH", "remove it"),
    ],
)
def test_variable_that_nobody_reads_is_refused_with_the_nearest_name(name: str, near: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        refuse_unread_variables(environment={name: "x"})
    assert f"{name} is read by nobody; {near}" == str(refused.value)


def test_variables_of_every_service_and_of_secrets_in_the_subscriptions_file_are_read(tmp_path: Path) -> None:
    file = tmp_path / "subscriptions.toml"
    file.write_text('[[target]]\nname = "h"\nsecret = "env:REEFMESH_HOOK"\n')
    others = {"REEFMESH_INGEST_LANES": "2", "REEFMESH_HEAT_OPENS_AT": "2", "REEFMESH_REQUIRE": "activemq", "REEFMESH_HOME": "x"}
    hook = {"REEFMESH_HOOK_FILE": "x"}
    refuse_unread_variables(environment={**others, **hook, "REEFMESH_SUBSCRIPTIONS_FILE": str(file)})
    with pytest.raises(ConfigurationError, match="REEFMESH_HOOK_FILE is read by nobody"):
        refuse_unread_variables(environment=others | hook)

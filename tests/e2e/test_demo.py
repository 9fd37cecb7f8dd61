"""The demonstration: one of each trouble goes through the whole mesh, and an operator can read what came of it."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from reefmesh_components.reefmesh_command import ReefmeshCommand


@pytest.mark.ci
@pytest.mark.timeout(240)  # under a minute on an idle machine
def test_demo_ends_by_itself_everything_accounted_for_each_trouble_alerted(reefmesh: ReefmeshCommand) -> None:
    with replace(reefmesh, name_home=False).running("demo", "--days", "120", "--json") as demo:
        ended = demo.wait(timeout_seconds=200)
    assert (0, "") == (ended.code, ended.err)
    books = ended.document["accounting"]
    assert (0, []) == (books["unexplained"], books["discrepancies"])
    messages = books["messages"]
    assert books["sent"] == messages["received"] == messages["accepted"] + messages["duplicates"] + messages["quarantined"]
    assert min(messages["duplicates"], messages["quarantined"], books["channels_quarantined"]) > 0

    alerts = ended.document["alerts"]
    assert {"heat", "dive", "chemistry", "buoy_silent", "sensor_fault"} == Counter(alert["kind"] for alert in alerts).keys()
    silent = [alert for alert in alerts if alert["reef_id"] == "padang-bai" and alert["kind"] == "buoy_silent"]
    assert [("opened", "silent")] == [(alert["change"], alert["to_state"]) for alert in silent]
    # A heat alert happens on a solar date, which has midnight in UTC as its instant and begins earlier in the east.
    instants = [
        [datetime.fromisoformat(alert[name]) for name in ("occurred_at", "raised_at")]
        for alert in alerts
        if alert["kind"] != "heat"
    ]
    assert instants == [sorted(each) for each in instants]

    levels = {reef["reef_id"]: reef["heat"]["latest"]["level_7day_max"] for reef in ended.document["reefs"]}
    assert levels["menjangan-north"] > levels["pemuteran"] > 0 == levels["crystal-bay"]
    assert "lovina" not in levels
    assert [] == list(Path(reefmesh.environment["TMPDIR"]).iterdir())

"""Each section of docs/alerts.md that a script measures is written without the others."""

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from reefmesh.contracts.alerts import Alert
from reefmesh_standalone.simulator.fleet import DAYS, demonstration

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from alert_contradictions import Contradiction
from alerts_page import OF_A_YEAR, OF_SEAS, write_page
from ledger_of_a_life import Life

ENDS_AT = datetime(2025, 6, 1, tzinfo=UTC)
TODAY = date(2025, 6, 2)
BY_HAND = f"# Alerts\n\nBy hand.\n\n{OF_A_YEAR}\nOld figures.\n\n## Written by hand too\n\nThe end.\n"


def alert(reef: str, at: datetime) -> Alert:
    return Alert.model_validate(
        {
            "alert_id": f"{reef}/{at.isoformat()}",
            "reef_id": reef,
            "reef_name": reef,
            "kind": "heat",
            "change": "opened",
            "from_state": "No Stress",
            "to_state": "Bleaching Warning",
            "severity": 2,
            "occurred_at": at,
            "raised_at": at,
            "data_age_seconds": 0,
            "summary": "Bleaching Warning",
            "evidence": {},
        }
    )


def life(seed: str, days: int, *reefs: str, found: int = 0) -> Life:
    told = [alert(reef, ENDS_AT - timedelta(hours=number + 1)) for number, reef in enumerate(reefs)]
    contradicted = [Contradiction(law="text", what="is not so", alert=told[0]) for _ in range(found)]
    fleet = demonstration(ENDS_AT, seed=seed, days=days)
    return Life(fleet=fleet, alerts=told, found=contradicted, untold=[])


def test_lives_of_a_demo_and_a_long_one_have_sections_of_their_own(tmp_path: Path) -> None:
    page = tmp_path / "alerts.md"
    page.write_text(BY_HAND, encoding="utf-8")
    write_page(page, [life("a", DAYS, "amed-wall"), life("b", DAYS)], "seas", TODAY)
    assert page.read_text(encoding="utf-8").startswith(BY_HAND)
    of_seas = page.read_text(encoding="utf-8").partition(OF_SEAS)[2]
    write_page(page, [life("a", 400, "amed-wall")], "year", TODAY)
    after = page.read_text(encoding="utf-8")
    assert after.partition(OF_SEAS)[2] == of_seas
    assert "Old figures" not in after
    assert [after.count(each) for each in ("By hand.", OF_A_YEAR, "The end.", OF_SEAS)] == [1, 1, 1, 1]
    write_page(page, [life("a", DAYS, "amed-wall"), life("b", DAYS)], "seas", TODAY)
    assert page.read_text(encoding="utf-8") == after


def test_a_line_of_a_sea_has_its_kinds_its_rate_and_the_laws_that_it_breaks(tmp_path: Path) -> None:
    page = tmp_path / "alerts.md"
    page.write_text(BY_HAND, encoding="utf-8")
    write_page(page, [life("a", DAYS, *["amed-wall"] * 3, *["tulamben"] * 98, found=2), life("b", DAYS)], "seas", TODAY)
    lines = page.read_text(encoding="utf-8").splitlines()
    reefs = sum(site.registered for site in demonstration(ENDS_AT).sites)
    assert f"| `a` | 101 | 101 | {101 / DAYS / reefs:.2f} | 24 | text 2 |" in lines
    assert "| `b` | 0 | 0 | 0.00 | 0 | none |" in lines

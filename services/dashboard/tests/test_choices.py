"""Language, units and theme by choice, remembered without a script; words of safety stand in English until somebody reviewed
their translation."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import polib
import pytest

from reefmesh_dashboard.pages.choices import Choices, chosen, way_back
from reefmesh_dashboard.pages.language import Language, preferred, read_languages
from reefmesh_dashboard.pages.words import LEVELS

if TYPE_CHECKING:
    from services.dashboard.tests.conftest import Bench, Samples

ROOT = Path(__file__).parents[3]
LANGUAGES = read_languages()
CATALOGUES = ROOT / "services/dashboard/src/reefmesh_dashboard/pages/languages"


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "languages.py"), "--check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_catalogues_have_every_sentence_of_the_pages_with_its_places() -> None:
    done = check()
    assert (0, "") == (done.returncode, done.stderr)


def test_catalogue_that_lacks_changes_or_invents_a_sentence_is_found(tmp_path: Path) -> None:
    catalogue = polib.pofile(str(CATALOGUES / "id.po"))
    for entry in catalogue:
        if entry.msgid == "No go":
            entry.msgstr = ""
        elif entry.msgid == "{count} days ago":
            entry.msgstr = "{jumlah} hari lalu"
    catalogue.append(polib.POEntry(msgid="Whatever", msgstr="Apa saja"))
    catalogue.save(str(tmp_path / "id.po"))
    done = check("--catalogues", str(tmp_path))
    assert 1 == done.returncode
    assert [
        "id.po: it has no translation of 'No go'",
        "id.po: no page says 'Whatever'",
        "id.po: other {names} than in '{count} days ago'",
    ] == sorted(done.stderr.splitlines())


def test_levels_have_the_names_that_scores_have() -> None:
    assert {level: level.title for level in LEVELS} == LEVELS
    assert len(LEVELS) == 8


@pytest.mark.parametrize(
    ("accepted", "code"),
    [
        ("", "en"),
        ("de-DE,de;q=0.9", "en"),
        ("id-ID,id;q=0.9,en;q=0.8", "id"),
        ("in", "id"),  # what old phones call it
        ("en;q=0.4, th;q=0.9", "th"),
        ("th;q=0, id;q=0.1", "id"),
        ("th;q=many", "en"),
        ("TH", "th"),
    ],
)
def test_language_is_the_one_that_the_browser_likes_best(accepted: str, code: str) -> None:
    assert code == preferred(accepted, tuple(LANGUAGES))


def test_words_of_safety_stand_in_english_until_a_speaker_reviewed_them() -> None:
    sentences = {"No go": "Jangan menyelam", "Unknown, last {value}": "Tidak diketahui, terakhir {value}"}
    unreviewed = Language("id", "Bahasa Indonesia", sentences=sentences, reviewed=False)
    reviewed = Language("id", "Bahasa Indonesia", sentences=sentences, reviewed=True)
    assert ("Jangan menyelam (No go)", "Jangan menyelam") == (unreviewed.safety("No go"), reviewed.safety("No go"))
    assert "Tidak diketahui, terakhir 2 (Unknown, last 2)" == unreviewed.safety("Unknown, last {value}", value=2)
    assert ("Fair", "Jangan menyelam") == (unreviewed.safety("Fair"), unreviewed.say("No go")), "what is missing is English"


def test_catalogue_is_reviewed_when_its_header_is_not_fuzzy(tmp_path: Path) -> None:
    from reefmesh_dashboard.pages.language import read_catalogue

    text = (CATALOGUES / "th.po").read_text(encoding="utf-8")
    unreviewed, reviewed = read_catalogue("th", text), read_catalogue("th", text.replace("#, fuzzy\n", "", 1))
    assert (False, True, "ไทย") == (unreviewed.reviewed, reviewed.reviewed, reviewed.name)


@pytest.mark.parametrize("code", ["id", "th"])
async def test_page_in_another_language_says_verdicts_in_both_and_that_nobody_reviewed_it(
    code: str, bench: Bench, samples: type[Samples]
) -> None:
    await bench.readings(samples.reading(0, t=29.5))
    await bench.score(samples.score(dive=samples.dive("no_go")))
    language = LANGUAGES[code]
    async with bench.visitor() as client:
        for path in ("/", "/reefs/north-wall"):
            answer = await client.get(path, headers={"accept-language": code})
            assert f'<html lang="{code}"' in answer.text
            assert f"{language.say('No go')} (No go)" in answer.text
            assert language.say(NOT_REVIEWED) in answer.text
            assert language.say("Heat stress") in answer.text
            assert {"accept-language", "cookie"} <= set(re.split(r",\s*", answer.headers["vary"].lower()))
        english = await client.get("/")
        wrong = await client.get("/reefs/nowhere", headers={"accept-language": code})
    assert (404, True) == (wrong.status_code, language.say("There is no such site.") in wrong.text)
    assert NOT_REVIEWED not in english.text


NOT_REVIEWED = "Translated, and not reviewed by a speaker of the language: words on which safety depends stand in English, too."


async def test_choice_is_remembered_and_leads_back_to_its_page(bench: Bench, samples: type[Samples]) -> None:
    flow = {"sea_water_speed": samples.latest("sea_water_speed", 0.5), "sea_water_temperature": samples.latest()}
    await bench.score(samples.score(latest=flow))
    async with bench.visitor() as client:
        before = (await client.get("/reefs/north-wall")).text
        form = {"language": "id", "speed": "kn", "temperature": "F", "theme": "dark", "back": "/reefs/north-wall?x=1"}
        answer = await client.post("/choices", data=form)
        after = (await client.get(answer.headers["location"])).text
    assert (303, "/reefs/north-wall?x=1") == (answer.status_code, answer.headers["location"])
    cookie = answer.headers["set-cookie"]
    assert all(each in cookie for each in ("Max-Age=31536000", "HttpOnly", "SameSite=lax", "Path=/"))
    assert ("0.50 m/s" in before, "29.5 °C" in before, 'data-theme="auto"' in before) == (True, True, True)
    assert ("0.97 kn" in after, "85.1 °F" in after, 'data-theme="dark"' in after, "Arus" in after) == (True, True, True, True)
    assert 'value="/reefs/north-wall?x=1"' in after, "the next choice leads back, too"


@pytest.mark.parametrize("cookie", ["", "nonsense", "xx:yy:zz:ww", "id", ":::", "en:ms:C:auto:more", '"><script>:kn:F:dark'])
async def test_cookie_that_is_none_of_ours_means_no_choice(cookie: str, bench: Bench) -> None:
    async with bench.visitor() as client:
        answer = await client.get("/", headers={"cookie": f"reefmesh={cookie}"})
    assert (200, False) == (answer.status_code, "<script>" in answer.text)


def test_what_is_no_choice_is_the_default() -> None:
    assert Choices() == chosen({"language": "xx", "speed": "mph", "temperature": 3, "theme": ""}, LANGUAGES)


@pytest.mark.parametrize(
    "given",
    [
        "https://elsewhere.test/",
        "//elsewhere.test/",
        "/\\elsewhere.test",
        "\\\\elsewhere.test",
        "javascript:alert(1)",
        "reefs/north-wall",
        "",
        "/reefs\r\nset-cookie: a=b",
        "/\t/elsewhere.test",
        "///elsewhere.test",
        "http:elsewhere.test",
    ],
)
def test_nobody_is_sent_elsewhere_by_a_choice(given: str) -> None:
    assert "/" == way_back(given)


async def test_form_beyond_its_size_is_refused(bench: Bench) -> None:
    async with bench.visitor() as client:
        long = await client.post("/choices", content=b"back=" + b"a" * 9_000)
        many = await client.post("/choices", content=b"&".join(b"a%d=1" % number for number in range(30)))
    assert [400, 400] == [long.status_code, many.status_code]
    assert "set-cookie" not in long.headers

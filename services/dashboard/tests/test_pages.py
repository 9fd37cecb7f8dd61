"""The pages: complete without a script, honest about what is not known, and safe from what strangers call their reefs."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.scores import BuoyHealth, DiveConditions

if TYPE_CHECKING:
    from services.dashboard.tests.conftest import Bench, Samples


VOID = {"br", "input", "line", "link", "meta", "path"}
INLINE = {"a", "b", "small", "span", "time"}


class Seen(HTMLParser):
    """What a browser would take from the page: its elements with their attributes, and the text that is not hidden."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._hidden = 0
        self.feed(page)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID and (self._hidden or "hidden" in dict(attrs)):
            self._hidden += 1
        self._part(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self._hidden:
            self._hidden -= 1
        self._part(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data

    def _part(self, tag: str) -> None:
        if tag not in INLINE:
            self.text += " "


async def seen(bench: Bench, path: str) -> Seen:
    async with bench.visitor() as client:
        answer = await client.get(path)
    assert 200 == answer.status_code
    return Seen(answer.text)


async def test_list_says_verdict_reason_heat_temperature_and_age_of_each_site(any_bench: Bench, samples: type[Samples]) -> None:
    await any_bench.readings(samples.reading(0, t=29.5))
    await any_bench.score(samples.score())
    page = await seen(any_bench, "/")
    for words in (
        "North Wall",
        "Diving: ✓ Good current 0.4 kn (0.20 m/s): at most 0.5 kn",
        "Heat stress: No Stress DHW 2.5 °C-weeks",
        "Water: 29.5 °C 60 min ago",
        "Newest reading 2026-11-29 12:00 UTC (60 min ago)",
    ):
        assert words in page.text
    assert ("a", {"href": "/reefs/north-wall"}) in page.elements


async def test_site_page_says_reasons_ages_and_what_nobody_measures(bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(samples.reading(0, t=29.5))
    await bench.score(samples.score(time_zone="Asia/Makassar"))
    await bench.alert(samples.alert("a1"))
    page = await seen(bench, "/reefs/north-wall")
    for words in (
        "visibility 12.0 m: at least 10 m",
        "Holds until 2026-11-29 22:00 (Asia/Makassar) Current",  # what is to come has no age
        "Newest reading 2026-11-29 20:00 (Asia/Makassar) (60 min ago)",
        "Salinity \N{EN DASH} Not measured here",
        "Aragonite saturation \N{EN DASH} Not measured here",
        "heat stress is Bleaching Watch",
        "b1 : last seen",
    ):
        assert words in page.text.replace("b1:", "b1 :")
    assert "2026-11-29 12:00 UTC" in [attributes.get("title") for _, attributes in page.elements]


async def test_stale_unknown_and_unmeasured_are_three_things_and_none_is_good(bench: Bench, samples: type[Samples]) -> None:
    unknown = DiveConditions(verdict="unknown", reasons=["visibility is too old"], factors=[], valid_until=None)
    await bench.score(samples.score(reef_id="stale"))
    await bench.score(samples.score(reef_id="unmeasured", dive=unknown))
    measured = {"underwater_visibility": samples.latest("underwater_visibility", 8.0)}
    await bench.score(samples.score(reef_id="unknown", dive=unknown, latest=measured))
    bench.clock.set(samples.START + timedelta(days=9))
    pages = {reef: (await seen(bench, f"/reefs/{reef}")).text for reef in ("stale", "unmeasured", "unknown")}
    assert "? Unknown the last readings are too old was good until 9 days ago" in pages["stale"]
    assert "Not measured here neither current nor visibility is measured here" in pages["unmeasured"]
    assert "? Unknown visibility is too old" in pages["unknown"]
    assert "Unknown none of the last 7 days is on record was No Stress on 2026-11-29" in pages["stale"]
    assert "Good" not in " ".join(pages.values())


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "</title></h1><svg/onload=alert(1)>",
    "javascript:alert(1)//&lt;b&gt;",
]


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_text_is_shown_and_does_nothing(name: str, bench: Bench, samples: type[Samples]) -> None:
    """Names, reasons, summaries and time zones come from devices and registers."""
    await bench.readings(samples.reading(0, t=29.5), reef=samples.reef(name=name))
    dive = samples.dive().model_copy(update={"reasons": [name]})
    buoys = [BuoyHealth(facts=BuoyFacts(buoy_id="b1"), last_seen_at=samples.START, faults={SEA_WATER_TEMPERATURE: name})]
    await bench.score(samples.score(reef_name=name, dive=dive, time_zone=name[:64], buoys=buoys))
    await bench.alert(samples.alert("a1", summary=name))
    for path, times, charts in (("/", 2, 0), ("/reefs/north-wall", 4, 1)):
        page = await seen(bench, path)
        tags = [tag for tag, _ in page.elements]
        assert not {"img", "iframe", "object", "style"} & set(tags)
        assert ["/page.js"] == [attributes.get("src") for tag, attributes in page.elements if tag == "script"]
        assert ["/choices"] == [attributes.get("action") for tag, attributes in page.elements if tag == "form"]
        assert charts == tags.count("svg")
        assert not [each for _, attributes in page.elements for each in attributes if each.startswith("on") or each == "style"]
        assert times <= page.text.count(" ".join(name.split())), "it is there as text"


async def test_text_that_turns_its_surroundings_around_is_marked(bench: Bench, samples: type[Samples]) -> None:
    await bench.readings(samples.reading(0, t=29.5), reef=samples.reef(name="Wall \u202edoog"))
    page = await seen(bench, "/")
    assert "\u202e" not in page.text
    assert "Wall \N{REPLACEMENT CHARACTER}doog" in page.text


async def test_more_sites_than_a_page_holds_follow_by_a_link(bench: Bench, samples: type[Samples]) -> None:
    for number in range(103):
        await bench.readings(samples.reading(0, t=29.5), reef=samples.reef(f"r{number:03}", name=f"Site {number % 50:02}"))
    found: list[str] = []
    path = "/"
    while path:
        page = await seen(bench, path)
        found += [str(each["href"]) for tag, each in page.elements if tag == "a" and str(each["href"]).startswith("/reefs/")]
        path = next((str(each["href"]) for tag, each in page.elements if tag == "a" and each.get("rel") == "next"), "")
    assert 103 == len(found) == len(set(found))


@pytest.mark.parametrize("path", ["/reefs/nowhere", "/reefs/No%20Where", "/reefs/%00", "/?after=%00", "/?after=xyz"])
async def test_page_that_is_not_there_says_so(path: str, bench: Bench) -> None:
    async with bench.visitor() as client:
        answer = await client.get(path)
    assert answer.status_code in (400, 404)
    assert "text/html" in answer.headers["content-type"]


async def test_first_view_of_a_hundred_sites_is_small(bench: Bench, samples: type[Samples]) -> None:
    """At most 150 KB compressed, the style with it."""
    for number in range(100):
        await bench.readings(samples.reading(0, t=29.5), reef=samples.reef(f"r{number:03}", name=f"Site {number}"))
        await bench.score(samples.score(reef_id=f"r{number:03}"))
    async with bench.visitor() as client:
        answers = [await client.get(path, headers={"accept-encoding": "gzip"}) for path in ("/", "/page.css")]
    assert ["gzip", "gzip"] == [each.headers["content-encoding"] for each in answers]
    assert sum(int(each.headers["content-length"]) for each in answers) < 150_000


async def test_page_has_what_it_will_say_when_nothing_newer_comes(bench: Bench, samples: type[Samples]) -> None:
    """It may stay open without a connection: what ceases to hold gives way to what a page made then would say."""
    await bench.readings(samples.reading(0, t=29.5))
    await bench.score(samples.score(carbonate=samples.carbonate((samples.START.date(), 3.2))))
    for path in ("/", "/reefs/north-wall"):
        page = await seen(bench, path)
        ends = {str(attributes["data-until"]) for _, attributes in page.elements if "data-until" in attributes}
        behind = [attributes for _, attributes in page.elements if "data-afterwards" in attributes]
        assert all("hidden" in each for each in behind)
        expected = {"2026-11-29T14:00:00+00:00", "2026-11-29T18:00:00+00:00", "2026-12-06T00:00:00+00:00"}
        assert expected | ({"2026-12-01T00:00:00+00:00"} if "reefs" in path else set()) == ends
        for end in sorted(ends):
            async with bench.visitor() as client:
                now = (await client.get(path)).text
                bench.clock.set(datetime.fromisoformat(end) + timedelta(seconds=1))
                then = (await client.get(path)).text
                bench.clock.set(samples.START + timedelta(hours=1))
            promised = [_without_ages(each) for each in re.findall(ENDS.replace("END", re.escape(end)), now, re.DOTALL)]
            assert promised
            assert [True] * len(promised) == [each in _without_ages(then) for each in promised], end


ENDS = r'data-until="END".*?data-afterwards hidden>(.*?)</(?:p|tr|div)>'


def _without_ages(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"(<span data-age[^>]*>)[^<]*", r"\1", html))


async def test_files_of_the_page_are_there_with_their_types_and_small(bench: Bench) -> None:
    async with bench.visitor() as client:
        page = (await client.get("/")).text
        files = {
            path: await client.get(path)
            for path in (
                "/page.css",
                "/page.js",
                "/ages.js",
                "/stream.js",
                "/service-worker.js",
                "/manifest.webmanifest",
                "/icon.svg",
            )
        }
        worker = files["/service-worker.js"].text
    assert {200} == {each.status_code for each in files.values()}
    assert "text/javascript; charset=utf-8" == files["/page.js"].headers["content-type"]
    assert "application/manifest+json" == files["/manifest.webmanifest"].headers["content-type"]
    assert ("/", "standalone") == tuple(files["/manifest.webmanifest"].json()[each] for each in ("start_url", "display"))
    assert sum(len(each.content) for each in files.values()) < 25_000
    needed = set(re.findall(r'"(/[a-z-]+\.[a-z]+)"', worker.split("NEEDED = [")[1].split("]")[0]))
    assert set(files) - {"/service-worker.js"} == needed, "what a kept page needs is kept, too"
    linked = set(re.findall(r'(?:href|src)="(/[a-z.-]+\.[a-z]+)"', page))
    assert linked <= set(files)

"""Walks through the pages in a real Chromium: what a script adds, and that nothing is lost without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

from reefmesh_components.chromium import chromium_path
from reefmesh_components.requirement import ComponentMissing, give_up

if TYPE_CHECKING:
    from services.dashboard.tests.conftest import Bench, Samples

    Benches = Callable[[], AbstractAsyncContextManager[Bench]]

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATIENCE_MILLISECONDS = 60_000
"""For what comes by itself, on a busy machine."""
IS_KEPT = "async () => Boolean(await (await caches.open('pages')).match(location.href))"
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    try:
        path = chromium_path()
    except ComponentMissing as missing:
        give_up(missing)
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=path)
        yield opened
        await opened.close()


@asynccontextmanager
async def visiting(browser: Browser, *, at: datetime | None = None, **options: Any) -> AsyncIterator[Page]:
    """A visitor's page that fails the test for an error of a script, and for a request to another host."""
    context = await browser.new_context(viewport=PHONE, locale="en-GB", timezone_id="Asia/Makassar", **options)
    page = await context.new_page()
    if at is not None:
        await page.clock.install(time=at)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if "Content Security" in message.text else None)
    context.on("request", lambda each: None if each.url.startswith("http://127.0.0.1:") else troubles.append(each.url))
    try:
        yield page
        assert [] == troubles
    finally:
        await context.close()


async def follow(bench: Bench) -> None:
    """Wait until the page follows: the first look makes its stream ready."""
    async with asyncio.timeout(PATIENCE_MILLISECONDS / 1000):
        await bench.listeners.arrived.wait()
    await bench.changes.look()


async def test_change_comes_in_without_a_reload_and_a_lost_connection_is_said_until_it_is_back(
    browser: Browser, benches: Benches, samples: type[Samples]
) -> None:
    async with benches() as bench, visiting(browser, at=bench.clock.now()) as page:
        await bench.score(samples.score())
        row = page.locator("li[data-reef=north-wall]")
        async with bench.served() as client:
            port = client.base_url.port
            assert port is not None
            await page.goto(str(client.base_url))
            await follow(bench)
            await expect(row).to_contain_text("Good")
            await page.evaluate("window.marked = true")
            await bench.score(samples.score(dive=samples.dive("no_go")))
            await bench.changes.look()
            await expect(row).to_contain_text("No go")
            assert await page.evaluate("window.marked"), "the page was not loaded anew"
            await expect(page.locator("#connection")).to_be_hidden()
        await expect(page.locator("#connection")).to_contain_text("Connection lost")
        await page.clock.fast_forward("02:10:00")
        await expect(page.locator("#connection")).to_contain_text("Connection lost 2 h ago")
        await expect(row.locator("p:visible").first).to_have_text("Diving: ? Unknown the last readings are too old")
        await expect(row).to_contain_text("3 h ago")
        bench.clock.set(bench.clock.now() + timedelta(hours=2, minutes=11))
        dive = samples.dive("fair", until=bench.clock.now() + timedelta(hours=2))
        await bench.score(samples.score(as_of=bench.clock.now(), dive=dive))
        async with bench.served(port=port):
            await page.clock.fast_forward("01:00")
            await follow(bench)
            await expect(row.locator("p:visible").first).to_contain_text("Diving: ≈ Fair")
            await expect(page.locator("#connection")).to_be_hidden()
            assert await page.evaluate("window.marked")


async def test_site_page_takes_its_whole_main_part_and_shows_utc_on_touch(
    browser: Browser, benches: Benches, samples: type[Samples]
) -> None:
    async with benches() as bench, bench.served() as client, visiting(browser, at=bench.clock.now(), has_touch=True) as page:
        await bench.score(samples.score(time_zone="Asia/Makassar"))
        await page.goto(f"{client.base_url}/reefs/north-wall")
        await follow(bench)
        time = page.locator("main time").first
        await time.tap()
        await expect(time).to_have_text("2026-11-29 14:00 UTC")
        await time.tap()
        await expect(time).to_have_text("2026-11-29 22:00 (Asia/Makassar)")
        await bench.alert(samples.alert("a1", summary="heat stress is Alert Level 5"))
        await bench.changes.look()
        await expect(page.locator("main")).to_contain_text("heat stress is Alert Level 5")


async def test_page_that_was_seen_opens_without_a_connection_with_its_age_in_front(
    browser: Browser, benches: Benches, samples: type[Samples]
) -> None:
    async with benches() as bench, visiting(browser, at=bench.clock.now()) as page:
        await bench.score(samples.score())
        async with bench.served() as client:
            address = str(client.base_url)
            await page.goto(address)
            async with asyncio.timeout(PATIENCE_MILLISECONDS / 1000):
                while not await page.evaluate(IS_KEPT):
                    continue  # each question is a turn of the browser
            await follow(bench)
            await bench.score(samples.score(dive=samples.dive("fair")))
            await bench.changes.look()
            await expect(page.locator("li[data-reef=north-wall]")).to_contain_text("Fair")
        await expect(page.locator("#connection")).to_contain_text("Connection lost")
        await page.clock.fast_forward("30:00")
        await page.goto(address)
        await expect(page.locator("#connection")).to_have_text("This page is from 30 min ago. Now there is no connection.")
        await expect(page.locator("li[data-reef=north-wall]")).to_contain_text(
            "Fair"
        )  # as it was last seen, not as it was loaded
        box, heading = await page.locator("#connection").bounding_box(), await page.locator("h1").bounding_box()
        assert box is not None
        assert heading is not None
        assert box["y"] < heading["y"]


async def test_everything_is_there_and_can_be_chosen_without_a_script(
    browser: Browser, benches: Benches, samples: type[Samples]
) -> None:
    async with benches() as bench, bench.served() as client, visiting(browser, java_script_enabled=False) as page:
        await bench.score(samples.score())
        await page.goto(str(client.base_url))
        await expect(page.locator("li")).to_contain_text("60 min ago")
        await page.get_by_role("link", name="North Wall").click()
        await page.get_by_text("Language, units, theme").click()
        await page.get_by_label("Language").select_option("th")
        await page.get_by_label("Temperature in").select_option("F")
        await page.get_by_label("Theme").select_option("dark")
        await page.get_by_role("button", name="Remember").click()
        await expect(page).to_have_url(f"{client.base_url}/reefs/north-wall")
        await expect(page.locator("main")).to_contain_text("85.1 °F")
        await expect(page.locator("main")).to_contain_text("ดี (Good)")
        assert "rgb(16, 23, 29)" == await page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.ci
@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("id", "dark"), ("th", "light")])
async def test_axe_finds_nothing_in_any_state(
    language: str, theme: str, browser: Browser, benches: Benches, samples: type[Samples]
) -> None:
    """WCAG 2.2 AA: the rules that a program can check."""
    async with benches() as bench, bench.served() as client, visiting(browser) as page:
        await _every_state(bench, samples)
        await page.context.add_cookies([{"name": "reefmesh", "value": f"{language}:kn:C:{theme}", "url": str(client.base_url)}])
        for path in ("", "/reefs/no-go", "/reefs/nowhere"):
            await page.goto(f"{client.base_url}{path}")
            await page.locator("summary").click()
            found = await Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})
            assert not found.violations_count, found.generate_report()


async def _every_state(bench: Bench, samples: type[Samples]) -> None:
    """A reef in each state: every verdict and level, not measured, stale."""
    on = samples.START.date()
    for level, verdict in enumerate(("good", "fair", "poor", "experienced_only", "no_go", "good", "good", "good")):
        heat = samples.heat(samples.day(on, level))
        reef_id = verdict.replace("_", "-") if level < 5 else f"level-{level}"
        await bench.score(samples.score(reef_id=reef_id, reef_name=reef_id, heat=heat, dive=samples.dive(verdict)))
    await bench.score(samples.score(reef_id="stale", reef_name="stale", dive=samples.dive(until=samples.START)))
    await bench.readings(samples.reading(0, t=29.5), reef=samples.reef("no-score", name="no score"))

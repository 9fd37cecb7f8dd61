"""What the pages name exists: files, headings, tasks, commands and their options, settings, metrics, modules."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from reefmesh.observability import table
from reefmesh.settings import ServiceSettings
from reefmesh.variables import CONFIG_VARIABLE, PREFIX
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_dashboard.settings import DashboardSettings
from reefmesh_gateway.settings import GatewaySettings
from reefmesh_ingest.settings import IngestSettings
from reefmesh_scoring.settings import ScoringSettings
from reefmesh_standalone.__main__ import app

ROOT = Path(__file__).parents[2]
LINKED = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PAGES = [page for page in LINKED if page.name != "CHANGELOG.md" and page.parent.name != "adr"]
"""The pages about the present. The changelog and the decisions also name things that are gone; only their links count."""

SERVICES = ("ingest", "scoring", "alerts", "gateway", "dashboard")
FOLDERS = ("deploy", "docs", "services", "shared", "tests", "tools")
SERIES = ("_bucket", "_sum", "_count", "_created")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_of(page: Path) -> Iterator[str]:
    """Every line of the page's code blocks, and every inline code."""
    fenced = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
    text = text_of(page)
    for block in fenced.findall(text):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", fenced.sub("", text))


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    return frozenset(slug(heading) for heading in re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE))


@pytest.mark.parametrize("page", LINKED, ids=named)
def test_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"[a-z+]+:", link):
            continue  # another site
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert [] == dead


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_file_of_the_repository_that_a_page_names_exists(page: Path) -> None:
    """Paths from the root, and a package's own ``domain/...`` (of any service)."""
    roots = [ROOT, *ROOT.glob("services/*/src/*"), *ROOT.glob("tests/*/src/*")]
    prefixes = "|".join((*FOLDERS, "domain", "simulation"))
    paths = {path for code in code_of(page) for path in re.findall(rf"(?<![\w/.-])((?:{prefixes})/[\w./*-]+)", code)}
    lacking = sorted(path for path in paths if not any(any(root.glob(path.rstrip("./"))) for root in roots))
    assert [] == lacking


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_task_that_a_page_names_is_one_of_the_makefile(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    tasks = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    used = [task for code in code_of(page) for task in re.findall(r"(?:^|[\s;&])make ((?:[a-z]+ ?)+)", code)]
    assert set() == {each for words in used for each in words.split()} - tasks


def options_of(words: list[str]) -> tuple[set[str], list[str]]:
    """Return the options of the command that the words name, and the words after its name."""
    command = typer.main.get_command(app)
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        found = command.commands.get(words[0])
        assert found is not None, f"reefmesh has no command {words[0]!r}: {', '.join(command.commands)}"
        command, words = found, words[1:]
    return {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}, words


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_command_that_a_page_names_exists_with_its_options(page: Path) -> None:
    for code in code_of(page):
        for line in re.findall(r"(?:^|[\s/])reefmesh ((?:[a-z-]+|<\w+>)(?: [^|;#&]*)?)", code):
            words = line.split()
            if not re.fullmatch(r"[a-z]+|--[a-z-]+", words[0]):
                continue
            known, rest = options_of(words)
            assert set() == {word.partition("=")[0] for word in rest if word.startswith("--")} - known, code


def settings_variables() -> set[str]:
    variables = {CONFIG_VARIABLE, f"{PREFIX}HOME"}
    for settings in (
        ServiceSettings,
        IngestSettings,
        ScoringSettings,
        AlertsSettings,
        GatewaySettings,
        DashboardSettings,
    ):
        variables |= settings.variables()
    return variables


@cache
def variables_in_code() -> frozenset[str]:
    """Variables that tests, tools and the command read by name."""
    files = [path for folder in ("services", "tests", "tools", "shared") for path in (ROOT / folder).rglob("*")]
    text = "".join(path.read_text(encoding="utf-8") for path in files if path.suffix == ".py" and path != Path(__file__))
    return frozenset(re.findall(rf"\"({PREFIX}[A-Z_]+[A-Z])\"", text))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_variable_that_a_page_names_is_a_setting(page: Path) -> None:
    used = set(re.findall(rf"{PREFIX}[A-Z]+(?:_+[A-Z]+)*(?![A-Z_]*[<_*])", text_of(page)))
    nested = {name for name in used if "__" in name and name.partition("__")[0] in settings_variables()}
    assert set() == used - settings_variables() - variables_in_code() - nested


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_metric_that_a_page_names_is_in_the_table(page: Path) -> None:
    metrics = {value.name for value in vars(table).values() if isinstance(value, table.Counter | table.Gauge | table.Histogram)}
    packages = {path.name for path in [*ROOT.glob("*/src/*"), *ROOT.glob("*/*/src/*")]}
    used = set(re.findall(r"(?<![\w/])reefmesh_[a-z_]+[a-z]", text_of(page)))
    series = {f"{metric}{ending}" for metric in metrics for ending in SERIES}
    assert set() == used - metrics - series - packages


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_module_that_a_page_runs_exists(page: Path) -> None:
    modules = {module for code in code_of(page) for module in re.findall(r"python -m ([\w.]+)", code)}
    assert set() == {module for module in modules if importlib.util.find_spec(module) is None}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_service_command_that_a_page_names_exists(page: Path) -> None:
    used = set(re.findall(r"(?:^|[\s/])reefmesh-([a-z]+)\b(?=\s|$)", "\n".join(code_of(page)), re.MULTILINE))
    assert set() == used - set(SERVICES) - {"shared", "buoy"}


@cache
def product_code() -> str:
    folders = [ROOT / "shared" / "src", *ROOT.glob("services/*/src")]
    return "".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_log_line_that_a_page_quotes_is_one_that_is_written(page: Path) -> None:
    """In sentences about the log, the words in code marks are those to search for."""
    sentences = [line for line in text_of(page).splitlines() if re.search(r"\blog\b", line, re.IGNORECASE)]
    quoted = {phrase for line in sentences for phrase in re.findall(r"`((?!reefmesh )[a-z]+(?:,? [a-z]+)+)`", line)}
    events = {f"broker {event}" for event in table.BROKER_EVENTS.labels[0].values}
    assert set() == {phrase for phrase in quoted - events if f'"{phrase}' not in product_code()}


CHECKS = (
    (test_link_leads_to_a_file_and_a_heading_that_exist, "[here](no/such/page.md)"),
    (test_link_leads_to_a_file_and_a_heading_that_exist, "[here](#no-such-heading)"),
    (test_file_of_the_repository_that_a_page_names_exists, "`docs/no-such-page.md`"),
    (test_task_that_a_page_names_is_one_of_the_makefile, "`make coffee`"),
    (test_command_that_a_page_names_exists_with_its_options, "`reefmesh coffee`"),
    (test_command_that_a_page_names_exists_with_its_options, "```sh\nreefmesh status --sugar\n```"),
    (test_variable_that_a_page_names_is_a_setting, "`REEFMESH_COFFEE`"),
    (test_metric_that_a_page_names_is_in_the_table, "`reefmesh_coffees_total`"),
    (test_module_that_a_page_runs_exists, "`python -m reefmesh_coffee`"),
    (test_service_command_that_a_page_names_exists, "`reefmesh-coffee --help`"),
    (test_log_line_that_a_page_quotes_is_one_that_is_written, "The log: `coffee is ready`"),
)


@pytest.mark.parametrize(("check", "wrong"), CHECKS)
def test_check_sees_a_page_that_is_wrong(check: Callable[[Path], None], wrong: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(wrong, encoding="utf-8")
    with pytest.raises(AssertionError):
        check(page)

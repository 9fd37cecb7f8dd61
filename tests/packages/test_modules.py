"""The house: no circle of imports, no class name twice, and the page of modules is true."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from modules import Module, circles_of, page_of, read_modules, repeated_classes  # noqa: E402 - a tool, no package


@pytest.fixture(scope="module")
def modules() -> dict[str, Module]:
    return read_modules(ROOT)


def test_product_has_no_circle_of_imports(modules: dict[str, Module]) -> None:
    """Also none for the type checker alone: a Protocol of what is used takes its place."""
    assert circles_of(modules) == []


def test_product_names_no_class_twice(modules: dict[str, Module]) -> None:
    assert repeated_classes(modules) == {}


def test_circles_and_repeated_classes_are_found() -> None:
    """The two tests above can fail."""
    one = Module(name="reefmesh.one", lines=1, imports=frozenset({"reefmesh.two"}), classes=("Same",))
    two = Module(name="reefmesh.two", lines=1, imports=frozenset({"reefmesh.three"}), classes=())
    three = Module(name="reefmesh.three", lines=1, imports=frozenset({"reefmesh.one"}), classes=("Same",))
    outside = Module(name="reefmesh.outside", lines=1, imports=frozenset({"reefmesh.one"}), classes=())
    modules = {module.name: module for module in (one, two, three, outside)}
    assert circles_of(modules) == [frozenset({"reefmesh.one", "reefmesh.two", "reefmesh.three"})]
    assert repeated_classes(modules) == {"Same": ["reefmesh.one", "reefmesh.three"]}


@pytest.mark.parametrize(
    ("places", "repeated"),
    [
        (("reefmesh.broker.one.session", "reefmesh.broker.two.session"), False),
        (("reefmesh.broker.one.session", "reefmesh.broker.one.lane"), True),
        (("reefmesh.broker.one.session", "reefmesh.store.session"), True),
        (("reefmesh.broker.port", "reefmesh.broker.probe"), True),
    ],
)
def test_only_engines_have_rooms_of_the_same_name(places: tuple[str, ...], repeated: bool) -> None:
    modules = {name: Module(name=name, lines=1, imports=frozenset(), classes=("Session",)) for name in places}
    assert bool(repeated_classes(modules)) == repeated


def test_page_of_modules_is_made_from_this_code(modules: dict[str, Module]) -> None:
    assert page_of(modules) == (ROOT / "docs" / "modules.md").read_text(encoding="utf-8"), "run: make docs"


def test_command_without_modules_says_what_to_do(tmp_path: Path) -> None:
    tool = ROOT / "tools" / "modules.py"
    ended = subprocess.run([sys.executable, tool, "--root", tmp_path], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "--root" in ended.stderr

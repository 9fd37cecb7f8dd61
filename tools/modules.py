"""The product's modules as they are: a drawing of the packages and their imports, and figures.

``make docs`` writes ``docs/modules.md`` with it; ``python tools/modules.py --root DIR`` reads another checkout.
Imports are read from the source, those for the type checker alone included; nothing is executed.
"""

import argparse
import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOTS: Final = ("shared/src", "services/*/src")
LONGEST: Final = 10
ENGINE: Final = re.compile(r"reefmesh\.broker\.\w+(?=\.)")
MEASURED: Final = (
    "reefmesh.broker.activemq",
    "reefmesh.broker.embedded",
    "reefmesh.broker.rabbitmq",
    "reefmesh.service",
    "reefmesh.store",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """``imports``: product modules only; ``classes``: those defined at the top of the module."""

    name: str
    lines: int
    imports: frozenset[str]
    classes: tuple[str, ...]

    @property
    def package(self) -> str:
        """Return the package as a drawing shows it: an engine of the broker is a package of its own."""
        parts = self.name.split(".")
        depth = 3 if self.name.startswith("reefmesh.broker.") and len(parts) > 3 else 2
        return ".".join(parts[:depth]) if len(parts) > depth else ".".join(parts[:-1]) or parts[0]


def read_modules(root: Path) -> dict[str, Module]:
    """Return every module of the product by its dotted name."""
    files = {
        _dotted(path.relative_to(source)): path
        for pattern in ROOTS
        for source in sorted(root.glob(pattern))
        for path in sorted(source.rglob("*.py"))
    }
    return {name: _read(name, path, files) for name, path in files.items()}


def circles_of(modules: Mapping[str, Module]) -> list[frozenset[str]]:
    """Return the largest sets of modules that all import each other, directly or through others."""
    reached = {name: _reached_from(name, modules) for name in modules}
    circles = {
        frozenset({name, *(other for other in reached[name] if name in reached[other])})
        for name in modules
        if name in reached[name]
    }
    return sorted(circles, key=sorted)


def repeated_classes(modules: Mapping[str, Module]) -> dict[str, list[str]]:
    """Return the class names that more than one module defines. Broker engines have the same rooms, so one name may stand in
    each of them once."""
    where: dict[str, list[str]] = defaultdict(list)
    for name, module in modules.items():
        for each in module.classes:
            where[each].append(name)
    return {name: places for name, places in sorted(where.items()) if not _one_for_each_engine(places)}


def _one_for_each_engine(places: Sequence[str]) -> bool:
    """Whether it is one place, or each is in another engine."""
    engines = {engine[0] for place in places if (engine := ENGINE.match(place))}
    return len(places) == 1 or len(engines) == len(places)


def drawing_of(modules: Mapping[str, Module]) -> str:
    """Return the packages and their imports as a Mermaid flowchart; it changes only when the structure does."""
    packages = sorted({module.package for module in modules.values()})
    arrows = {
        (module.package, modules[imported].package)
        for module in modules.values()
        for imported in module.imports
        if modules[imported].package != module.package
    }
    drawn = ["flowchart TD"]
    for root in sorted({package.split(".")[0] for package in packages}):
        inside = [package for package in packages if package.split(".")[0] == root]
        drawn += [f"  subgraph All{_node(root)} [{root}]", *(f'    {_node(each)}["{each}"]' for each in inside), "  end"]
    drawn += [f"  {_node(start)} --> {_node(end)}" for start, end in sorted(arrows)]
    return "\n".join(drawn)


def page_of(modules: Mapping[str, Module]) -> str:
    """Return ``docs/modules.md``."""
    return f"""# Packages and imports

Written by `make docs` from the source. `python tools/modules.py --figures` counts lines, circles and repeated names.

```mermaid
{drawing_of(modules)}
```
"""


def figures_of(modules: Mapping[str, Module]) -> str:
    """Return the figures of the house as Markdown."""
    longest = sorted(modules.values(), key=lambda module: (-module.lines, module.name))[:LONGEST]
    circles, repeated = circles_of(modules), repeated_classes(modules)
    lines = [
        "| figure | value |",
        "|---|---|",
        f"| modules | {len(modules)} |",
        f"| lines | {sum(module.lines for module in modules.values())} |",
        *(f"| lines of `{package}` | {_lines_below(modules, package)} |" for package in MEASURED),
        f"| circles of imports | {len(circles)} |",
        f"| class names that are defined twice | {len(repeated)} |",
        *(f"| longest: `{module.name}` | {module.lines} |" for module in longest),
    ]
    lines += [f"\nCircle: {', '.join(sorted(circle))}" for circle in circles]
    lines += [f"\nClass `{name}` twice: {', '.join(places)}" for name, places in repeated.items()]
    return "\n".join(lines) + "\n"


def _reached_from(start: str, modules: Mapping[str, Module]) -> set[str]:
    reached: set[str] = set()
    waiting = [*modules[start].imports]
    while waiting:
        if (name := waiting.pop()) not in reached:
            reached.add(name)
            waiting += modules[name].imports
    return reached


def _lines_below(modules: Mapping[str, Module], package: str) -> int:
    return sum(module.lines for name, module in modules.items() if name.startswith(f"{package}.") or name == package)


def _node(package: str) -> str:
    return package.replace("_", ".").title().replace(".", "")


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _read(name: str, path: Path, files: Mapping[str, Path]) -> Module:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    imports = frozenset(found for found in _imports(tree, files) if found != name)
    classes = tuple(node.name for node in tree.body if isinstance(node, ast.ClassDef))
    return Module(name=name, lines=source.count("\n"), imports=imports, classes=classes)


def _imports(tree: ast.Module, files: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names if each.name in files)
            case ast.ImportFrom(module=str(source), names=names):
                for each in names:
                    inner = f"{source}.{each.name}"
                    if inner in files:
                        yield inner
                    elif source in files:
                        yield source
            case _:
                pass


def main() -> int:
    """Print the page, or the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="the checkout to read (this one)")
    parser.add_argument("--figures", action="store_true", help="print lines, circles and names that stand twice instead")
    options = parser.parse_args()
    modules = read_modules(options.root)
    if not modules:
        sys.stderr.write("no modules found; name the root of a checkout with --root\n")
        return 2
    sys.stdout.write(figures_of(modules) if options.figures else page_of(modules))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Data flows one way: every import is read, between the rooms and between the modules of a room.

A room's docstring names, behind ``Uses:``, what its modules may import; this file holds it to its word. Imports inside
functions count like all others: they hide a circle, they do not break it.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "lockgate"
#: Every code and exception: any module may use it.
OPEN_TO_ALL = "errors"
#: The library, as others import it.
LIBRARY = "lockgate"
#: What makes these rooms testable without a clock, a socket or a process.
SANS_IO = ("gate", "protocol", "retry")
BANNED_IN_SANS_IO = frozenset(
    {
        *("aiohttp", "asyncio", "concurrent", "multiprocessing", "random", "socket", "sqlite3", "ssl", "subprocess"),
        *("threading", "time"),
    }
)
_NAMED = re.compile(r"``(\w+)``")

Graph = Mapping[str, set[str]]


class Module(NamedTuple):
    """One file: its dotted name below ``lockgate``, its docstring, and all that it imports."""

    name: str
    docstring: str
    ours: frozenset[str]
    others: frozenset[str]

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Pairs of module and name; the name is empty where a whole module is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import; write the whole name"
            yield from ((node.module or "", alias.name) for alias in node.names)


def module_of(dotted: str, name: str, known: frozenset[str]) -> str:
    """The module of ours that ``from dotted import name`` reads, named below ``lockgate``."""
    inner = dotted.removeprefix(LIBRARY).removeprefix(".")
    deeper = f"{inner}.{name}".strip(".") if name else inner
    if deeper in known:
        return deeper
    return inner or LIBRARY


def read(name: str, source: str, known: frozenset[str]) -> Module:
    tree = ast.parse(source)
    found = list(imported(tree))
    ours = {module_of(dotted, one, known) for dotted, one in found if dotted.partition(".")[0] == LIBRARY}
    others = {dotted.partition(".")[0] for dotted, _ in found} - {LIBRARY}
    return Module(name, ast.get_docstring(tree) or "", frozenset(ours - {name}), frozenset(others))


def files() -> dict[str, Path]:
    """Path of each module; a package stands under its own name, the library under ``lockgate``."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts) or LIBRARY] = path
    return dict(sorted(found.items()))


FILES = files()
KNOWN = frozenset(FILES)
ROOMS = sorted({name for name, path in FILES.items() if path.name == "__init__.py" and "." not in name} - {LIBRARY})
PACKAGES = sorted(name for name, path in FILES.items() if path.name == "__init__.py")


@functools.cache
def modules() -> dict[str, Module]:
    """All of them. Read by the tests that look at them: each process of a run collects all tests."""
    return {name: read(name, path.read_text(encoding="utf-8"), KNOWN) for name, path in FILES.items()}


def uses(docstring: str) -> set[str]:
    """What a room says that it may use: the names between ``Uses:`` and the end of the paragraph."""
    _, colon, rest = docstring.partition("Uses:")
    assert colon, "the docstring must say, behind 'Uses:', which rooms may be imported"
    return set(_NAMED.findall(rest.partition("\n\n")[0]))


@functools.cache
def may_use() -> dict[str, set[str]]:
    """What each room may use."""
    return {room: uses(modules()[room].docstring) for room in ROOMS}


def breaches(module: Module) -> list[str]:
    """Walls that a module of a room breaks."""
    if module.room not in may_use():
        return []  # the modules at the top wire rooms together; only circles are forbidden to them
    allowed = {module.room, OPEN_TO_ALL} | may_use()[module.room]
    found = [
        f"{module.name} may not import {name}: {module.room}/__init__.py does not name it"
        for name in sorted(module.ours)
        if name.partition(".")[0] not in allowed
    ]
    if module.room in SANS_IO:
        banned = sorted(module.others & BANNED_IN_SANS_IO)
        found += [f"{module.name} may not import {name}: {module.room} is sans-I/O" for name in banned]
    return found


def child_of(name: str, package: str) -> str | None:
    """The direct child of a package in which a module lies; None if it lies elsewhere or is the package itself."""
    if package == LIBRARY:
        return name.partition(".")[0]
    inner = name.removeprefix(f"{package}.")
    return inner.partition(".")[0] if inner != name else None


def arrows(package: str, all_modules: Iterable[Module]) -> Graph:
    """Imports between the direct children of a package, sub-packages taken as one each."""
    found: dict[str, set[str]] = {}
    for module in all_modules:
        child = child_of(module.name, package)
        if child is not None:
            others = {child_of(name, package) for name in module.ours} - {child, None}
            found.setdefault(child, set()).update(name for name in others if name is not None)
    return found


def floors(graph: Graph) -> list[list[str]]:
    """The children by floor, the lowest first; what is left in a circle is no part of it."""
    done: list[list[str]] = []
    placed: set[str] = set()
    while True:
        floor = sorted(name for name, below in graph.items() if name not in placed and below <= placed)
        if not floor:
            return done
        done.append(floor)
        placed.update(floor)


def circle(graph: Graph) -> list[str]:
    """Children that import each other in a circle, or lie above one; empty if data flows one way."""
    placed = {name for floor in floors(graph) for name in floor}
    return sorted(set(graph) - placed)


@pytest.mark.parametrize("name", list(FILES))
def test_no_module_breaks_a_wall(name: str) -> None:
    """A module imports what its room names, and nothing that does I/O where the room is sans-I/O."""
    assert breaches(modules()[name]) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_arrow_leads_up_inside_a_package(package: str) -> None:
    """The direct children of each package stand on floors: every import leads to a lower one."""
    assert circle(arrows(package, modules().values())) == []


def test_no_circle_of_modules() -> None:
    """No module imports itself through others."""
    graph = {name: set(module.ours & KNOWN) for name, module in modules().items()}
    assert circle(graph) == []


def test_rooms_say_what_they_are() -> None:
    """Each room names what comes in and what goes out, and only rooms that exist."""
    for room in ROOMS:
        assert all(word in modules()[room].docstring for word in ("In:", "Out:", "Uses:")), room
        assert may_use()[room] <= KNOWN, room


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_names_no_more_than_it_uses(room: str) -> None:
    """A docstring that names a room which nothing imports would be a door left open."""
    inside = [module for module in modules().values() if module.room == room and module.name != room]
    used = {name.partition(".")[0] for module in inside for name in module.ours}
    unused = may_use()[room] - used
    assert not inside or not unused


def test_sans_io_rooms_use_only_sans_io_rooms() -> None:
    """Nothing reaches a clock or a socket through another room."""
    for room in SANS_IO:
        assert may_use()[room] <= set(SANS_IO), room


@pytest.mark.parametrize(
    ("name", "source", "count"),
    [
        pytest.param("gate.scan", "from lockgate.gateway.app import make_app", 1, id="a room above"),
        pytest.param("store.base", "import lockgate", 1, id="the library from below it"),
        pytest.param("delivery.views", "from lockgate import streams", 1, id="a room as a name"),
        pytest.param("streams.pump", "def f():\n    from lockgate.config import Settings", 1, id="inside a function"),
        *(
            pytest.param(f"{room}.x", f"import {name}\nimport {name}.y", 1, id=f"{name} in {room}")
            for room in SANS_IO
            for name in sorted(BANNED_IN_SANS_IO)
        ),
        pytest.param("delivery.durable", "from lockgate.store.base import Page\nimport time", 0, id="allowed"),
    ],
)
def test_a_breach_is_seen(name: str, source: str, count: int) -> None:
    """The check itself is awake, for each wall."""
    assert len(breaches(read(name, source, KNOWN))) == count


def test_an_arrow_up_is_seen() -> None:
    """Two children of one package that import each other, also through a sub-package and inside functions."""
    below = read(
        "streams.plan", "def f():\n    from lockgate.streams.inner.deep import x", KNOWN | {"streams.inner.deep"}
    )
    above = read("streams.inner.deep", "from lockgate.streams.plan import y", KNOWN)
    assert circle(arrows("streams", [below, above])) == ["inner", "plan"]
    assert floors(arrows("streams", [above])) == []
    assert floors(arrows("streams", [above, read("streams.plan", "", KNOWN)])) == [["plan"], ["inner"]]


def test_a_relative_import_is_seen() -> None:
    """Whole names only: they can be searched for."""
    with pytest.raises(AssertionError, match="relative import"):
        read("gate.scan", "from . import events", KNOWN)


if __name__ == "__main__":
    for package in PACKAGES:
        graph = arrows(package, modules().values())
        print(f"{package}: {len(graph)} modules, {len(floors(graph))} floors, {len(circle(graph))} in circles")
        for floor in reversed(floors(graph)):
            print("   ", "  ".join(floor))

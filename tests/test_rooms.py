"""Data flows one way through the rooms: every import is read, and one that reaches up is an error."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "lockgate"
OPEN_TO_ALL = {"errors"}
# config.py needs pydantic, so only the rooms of the server may know it.
MAY_IMPORT: dict[str, set[str]] = {
    "gate": set(),
    "protocol": set(),
    "observe": set(),
    "registry": {"gate"},
    "client": {"protocol"},
    "sim": {"protocol"},
    "store": {"protocol", "observe"},
    "upstream": {"protocol", "observe"},
    "delivery": {"protocol", "store", "observe"},
    "retry": {"protocol"},
    "streams": {"gate", "protocol", "retry", "registry", "observe", "upstream", "store", "__init__"},
    "pages": {"streams", "store", "delivery"},
    "gateway": {
        *("gate", "protocol", "retry", "registry", "observe", "upstream", "store", "delivery", "streams", "pages"),
        *("config", "__init__"),
    },
    "config": {"sources"},
    "sources": set(),
    "errors": set(),
    "cli": {"gateway", "sim", "config", "client", "llama", "terminal", "demo", "__init__"},
    "demo": {"gateway", "config", "llama"},
    "llama": set(),
    "terminal": {"__init__"},
    "satisfiability": {"gate"},
    "__init__": {"gate", "satisfiability"},
    "__main__": {"cli"},
}
SANS_IO = {"gate", "protocol", "retry"}
BANNED_IN_SANS_IO = {"asyncio", "socket", "ssl", "time", "random", "threading", "sqlite3", "aiohttp"}


def room_of(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path, tree: ast.Module) -> Iterator[str]:
    """Absolute names of all modules that a file imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "lockgate")


def faults(path: Path, source: str) -> list[str]:
    room = room_of(path)
    found = []
    for name in imports(path, ast.parse(source)):
        first, _, rest = name.partition(".")
        if first == "lockgate":
            other = rest.partition(".")[0] or "__init__"
            if other == "__init__" and not (SOURCE / other).exists() and name == "lockgate" and room != "cli":
                continue  # ``from lockgate import x`` is judged by x
            known = (SOURCE / other).is_dir() or (SOURCE / f"{other}.py").is_file()
            if known and other not in {room} | OPEN_TO_ALL | MAY_IMPORT[room]:
                found.append(f"{room} may not import {name}")
        elif room in SANS_IO and first in BANNED_IN_SANS_IO:
            found.append(f"{room} is sans-I/O and may not import {name}")
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_room_reaches_up(path: Path) -> None:
    assert faults(path, path.read_text(encoding="utf-8")) == []


def test_the_walls_hold() -> None:
    """The check itself sees a reach upward and a clock in a sans-I/O room."""
    bad = "import time\nfrom lockgate.gateway.app import make_app\ndef f():\n    import asyncio\n"
    assert len(faults(SOURCE / "gate" / "scan.py", bad)) == 3
    assert faults(SOURCE / "delivery" / "durable.py", "from lockgate.store.base import Page\nimport time") == []

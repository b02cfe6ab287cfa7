"""docs/architecture.md and the glossary name what exists, and what is decided in one place is decided nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate.protocol.header_names import REQUEST_HEADERS, RESPONSE_HEADERS
from lockgate.protocol.lifecycle import Outcome
from tests.source_names import ROOT, SOURCE, classes_in, names_in, sources, tree_of

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs" / "reference" / "glossary.md").read_text(encoding="utf-8")
DECISIONS = ROOT / "docs" / "decisions"
#: A file, below the package or below the repository, and perhaps a name in it.
_PLACE = re.compile(r"`([\w./]+\.(?:py|md))(?::(\w+))?`")
#: A line of an event stream, as code that writes one has it.
_FIELD = re.compile(r"^(id|event|retry|data): ?(%[bds]|\{\}|$)", re.MULTILINE)
_FOLDER = re.compile(r"`([\w/]+/)`")


def path_of(written: str) -> Path:
    inside = SOURCE / written
    return inside if inside.exists() else ROOT / written


def section(head: str) -> str:
    found = re.search(rf"^## {head}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section {head!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


PLACES = sorted(set(_PLACE.findall(PAGE)))


@pytest.mark.parametrize(("file", "name"), PLACES, ids=[f"{file}:{name}" for file, name in PLACES])
def test_a_place_on_the_page_exists(file: str, name: str) -> None:
    assert path_of(file).is_file(), f"docs/architecture.md names {file}"
    if name:
        assert name in names_in(path_of(file)), f"docs/architecture.md names {name} in {file}"


@pytest.mark.parametrize(
    "page", ["CONTRIBUTING.md", "SECURITY.md", *(f"docs/decisions/{p.name}" for p in sorted(DECISIONS.glob("*.md")))]
)
def test_files_that_a_page_names_exist(page: str) -> None:
    for file, name in _PLACE.findall((ROOT / page).read_text(encoding="utf-8")):
        assert path_of(file).is_file(), f"{page} names {file}"
        assert not name or name in names_in(path_of(file)), f"{page} names {name} in {file}"


def test_folders_on_the_page_exist() -> None:
    for folder in _FOLDER.findall(PAGE):
        if folder != "src/lockgate/":
            assert (SOURCE / folder).is_dir() or (ROOT / folder).is_dir(), folder


def test_every_room_is_on_the_page() -> None:
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert rooms <= set(re.findall(r"(\w+)/", section("The rooms")))


@pytest.mark.parametrize(
    "kind",
    ["provider dialect", "store", "face", "patch rule", "metric", "option", "error code", "page for people", "setting"],
)
def test_the_page_says_where_to_go_to_add(kind: str) -> None:
    kinds = [row[0] for row in rows(section("To add something"))]
    assert any(one.startswith(kind) for one in kinds), kinds


DECIDED = [(row[0], *_PLACE.findall(row[1])[0]) for row in rows(section("Decided in one place"))]


@pytest.mark.parametrize(("what", "file", "name"), DECIDED, ids=[row[0].replace(" ", "-") for row in DECIDED])
def test_what_decides_is_defined_once(what: str, file: str, name: str) -> None:
    assert [path for path in sources() if name in names_in(path)] == [SOURCE / file], what


# -- and nothing else decides it ---------------------------------------------------------------------------------------


def raised(path: Path) -> Iterator[str]:
    """Names of the exceptions that a module raises by calling them."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            yield node.exc.func.id


def templates(path: Path) -> Iterator[str]:
    """Texts that a module puts together, with {} where something is filled in; and those that begin such a text."""
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.JoinedStr(values=values):
                yield "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in values)
            case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod() | ast.Add()):
                yield text
            case ast.BinOp(left=ast.Constant(value=bytes(data)), op=ast.Mod() | ast.Add()):
                yield data.decode("latin-1")


def rooms_of(paths: list[Path]) -> set[str]:
    return {str(path.relative_to(SOURCE)) for path in paths}


def test_only_the_gate_refuses_a_byte() -> None:
    outside = [path for path in sources() if SOURCE / "gate" not in path.parents]
    assert rooms_of([path for path in outside if "Violation" in raised(path)]) == set()


def writes_events(path: Path) -> bool:
    return any(_FIELD.search(text) for text in templates(path))


def test_events_are_written_in_one_module() -> None:
    """``sim`` writes them as providers do, wrong line ends and all: it must not share what we write."""
    ours = [path for path in sources() if SOURCE / "sim" not in path.parents]
    assert rooms_of([path for path in ours if writes_events(path)]) == {"protocol/sse.py"}


def names_header(path: Path) -> bool:
    """Whether a text of it is the name of a header, in any case."""
    known = {name.lower() for name in (*RESPONSE_HEADERS, *REQUEST_HEADERS)}
    texts = (node.value for node in ast.walk(tree_of(path)) if isinstance(node, ast.Constant))
    names = (text.decode("latin-1") if isinstance(text, bytes) else text for text in texts)
    return any(isinstance(name, str) and name.lower() in known for name in names)


def test_headers_are_named_in_one_module() -> None:
    """``sim`` and ``upstream`` speak to others, in the words of those; ``pages`` are no part of the API."""
    rooms = [path for path in sources() if path.relative_to(SOURCE).parts[0] in ("gateway", "delivery", "streams")]
    assert rooms_of([path for path in rooms if names_header(path)]) == set()


def chosen_outcomes(path: Path) -> list[int]:
    """Lines that name an outcome other than to compare with it."""
    tree = tree_of(path)
    compared = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Compare) for part in ast.walk(node)}
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Outcome"
        and node.attr in Outcome.__members__
        and id(node) not in compared
    ]


def test_outcomes_are_chosen_in_one_module() -> None:
    assert rooms_of([path for path in sources() if chosen_outcomes(path)]) == {"protocol/lifecycle.py"}


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("raise Violation('invalid_json', 'no')", id="a byte refused"),
        pytest.param("text = f'data: {item}\\n'", id="an event written"),
        pytest.param("event = b'data: ' + item", id="an event put together"),
        pytest.param("found = Outcome.COMPLETE", id="an outcome chosen"),
        pytest.param("headers = {'stream-closed': 'true'}", id="a header named"),
    ],
)
def test_the_checks_see_a_breach(tmp_path: Path, source: str) -> None:
    path = tmp_path / "breach.py"
    path.write_text(source, encoding="utf-8")
    assert "Violation" in raised(path) or writes_events(path) or chosen_outcomes(path) or names_header(path)


# -- the glossary ------------------------------------------------------------------------------------------------------


def test_classes_in_the_glossary_exist() -> None:
    defined = {name for path in sources() for name in classes_in(path)}
    named = set(re.findall(r"`([A-Z][A-Za-z]+)(?:\.\w+)?`", GLOSSARY))
    assert len(named) > 15
    assert named <= defined


def test_a_word_stands_once_in_the_glossary() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", GLOSSARY, re.MULTILINE)
    assert len(words) == len(set(words)) > 50

"""``lockgate schema``: the walk-through of docs/howto/schema-versions.md, as a user types it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import invoked

PAGE = Path(__file__).parents[1] / "docs" / "howto" / "schema-versions.md"
_FILE = re.compile(r"`(invoice-\d\.json)`.*?```json\n(.*?)```", re.DOTALL)
_SESSION = re.compile(r"^```\n(\$ .*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def schema(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    done = invoked("schema", *arguments)
    return done.exit_code, done.stdout, done.stderr


def commands(page: str) -> Iterator[tuple[list[str], list[str]]]:
    """Each command of the sessions, with the lines that follow it."""
    for session in _SESSION.findall(page):
        for block in session.split("$ ")[1:]:
            typed, *shown = block.rstrip("\n").split("\n")
            yield typed.split(), shown


def fits(shown: list[str], printed: str) -> bool:
    """Whether the page shows what was printed: an ellipsis is anything, and hashes are cut and differ by release."""
    pattern = "\n".join(shown)
    for mark in ("…", *set(re.findall(r"sha256:[0-9a-f]+", pattern))):
        pattern = pattern.replace(mark, "\0")
    return re.fullmatch(re.escape(pattern).replace(re.escape("\0"), "(?s:.*)"), printed.rstrip("\n")) is not None


def test_the_walk_through_is_as_the_page_says(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    files = _FILE.findall(page)
    assert [name for name, _ in files] == ["invoice-1.json", "invoice-2.json", "invoice-3.json"]
    for name, text in files:
        (tmp_path / name).write_text(text, encoding="utf-8")
    typed = list(commands(page))
    assert len(typed) >= 10
    for (program, group, *arguments), shown in typed:
        assert (program, group) == ("lockgate", "schema")
        code, out, _ = schema(*arguments)
        assert code == (1 if arguments[:2] == ["check", "invoice@3"] else 0), (arguments, out)
        assert fits(shown, out), (arguments, shown, out)


def test_types_of_python_are_registered(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import dataclasses\n@dataclasses.dataclass\nclass Order:\n    number: str\n    count: int = 1\n",
        encoding="utf-8",
    )
    code, out, err = schema("add", "order@1", "--python", "shop:Order")
    assert (code, out.startswith("order@1 registered")) == (0, True), err
    code, out, _ = schema("show", "order@latest")
    assert json.loads(out)["$defs"]["Order"]["properties"]["count"]["type"] == "integer"


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        pytest.param(["add", "invoice", "x.json"], 2, "x.json: No such file", id="no file"),
        pytest.param(["add", "invoice@1"], 2, "name a file", id="nothing to register"),
        pytest.param(["add", "invoice@^1", "true.json"], 2, "must be a count", id="a range"),
        pytest.param(["add", "invoice@1", "--python", "nowhere:X"], 2, "No module named", id="no module"),
        pytest.param(["show", "invoice@1"], 2, "there is no schema invoice", id="no schema"),
        pytest.param(["rule", "invoice", "strict"], 2, "a rule is one of", id="no rule"),
        pytest.param(["types", "invoice@1"], 2, "choose --python or --typescript", id="no language"),
        pytest.param(["types", "invoice@1", "--python"], 2, "there is no schema invoice", id="no schema for types"),
        pytest.param(["retire", "invoice@1"], 2, "there is no schema invoice", id="nothing to retire"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path: Path, arguments: list[str], code: int, hint: str) -> None:
    (tmp_path / "true.json").write_text("true", encoding="utf-8")
    assert schema("rule", "other", "none")[0] == 0, "there is a log"
    found, _, err = schema(*arguments)
    assert found == code
    assert hint in err
    assert err.count("\n") == 1


@pytest.fixture
def _no_generators(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("lockgate.schema_types.find_spec", lambda _name: None)


@pytest.mark.usefixtures("_no_generators")
@pytest.mark.parametrize(
    ("language", "hint"),
    [
        pytest.param("--python", "pip install 'lockgate[types]'", id="Python"),
        pytest.param("--typescript", "npm install --save-dev json-schema-to-typescript", id="TypeScript"),
    ],
)
def test_without_its_generator_it_is_said_how_to_install_it(tmp_path: Path, language: str, hint: str) -> None:
    (tmp_path / "true.json").write_text("true", encoding="utf-8")
    assert schema("add", "invoice@1", "true.json")[0] == 0
    code, out, err = schema("types", "invoice@1", language)
    assert (code, out) == (2, "")
    assert err == f"lockgate: schema: {language} needs {err.partition(' needs ')[2]}"
    assert err.rstrip().endswith(hint)


#: A generator that shows what it was given.
ECHO = """#!/bin/sh
echo "$@"
cat
"""


def test_a_generator_is_sent_a_schema_that_stands_alone(tmp_path: Path) -> None:
    """With what it refers to inside, under a name of its version; the one of the project counts, as with npx."""
    (tmp_path / "money.json").write_text('{"type": "number"}', encoding="utf-8")
    (tmp_path / "sum.json").write_text('{"$ref": "lockgate:money@1", "title": "Sum"}', encoding="utf-8")
    for version, file in (("money@1", "money.json"), ("the-sum@1.4.0", "sum.json")):
        assert schema("add", version, file)[0] == 0
    tool = tmp_path / "node_modules" / ".bin" / "json2ts"
    tool.parent.mkdir(parents=True)
    tool.write_text(ECHO, encoding="utf-8")
    tool.chmod(0o755)
    code, out, err = schema("types", "the-sum@latest", "--typescript")
    assert (code, err) == (0, "")
    options, _, sent = out.partition("\n")
    assert options.startswith("--bannerComment // Types of the-sum@1.4.0, sha256:")
    assert json.loads(sent) == {
        "$ref": "#/$defs/money_1",
        "title": "TheSum1",
        "$defs": {"money_1": {"type": "number"}},
    }


def test_what_a_generator_cannot_do_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "true.json").write_text("true", encoding="utf-8")
    assert schema("add", "invoice@1", "true.json")[0] == 0
    tool = tmp_path / "node_modules" / ".bin" / "json2ts"
    tool.parent.mkdir(parents=True)
    tool.write_text(
        "#!/bin/sh\necho 'export int'\necho 'message: it is too odd' >&2\necho at somewhere >&2\nexit 1\n",
        encoding="utf-8",
    )
    tool.chmod(0o755)
    code, out, err = schema("types", "invoice@1", "--typescript")
    assert (code, out) == (2, "")
    assert err == "lockgate: schema: no types of invoice@1 can be made: message: it is too odd\n"


@pytest.mark.parametrize("command", [("list",), ("show", "invoice@1"), ("retire", "invoice@1")])
def test_a_log_that_is_only_looked_at_is_not_made(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Its name is mistyped, rather."""
    code, out, err = schema(*command, "--store", "nope.db")
    assert (code, out) == (2, "")
    assert "there is no log at nope.db" in err
    assert list(tmp_path.iterdir()) == []

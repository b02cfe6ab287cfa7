"""Sources of settings: texts become values, what is wrong is told with its source, and secrets never are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from lockgate.sources import NO_SETTINGS, Flag, Origin, SettingsError, Sources, keys_of

SECRET = "hunter2-hunter2"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Rung(Part):
    pattern: str
    height: int = 1


class Inner(Part):
    wait_s: float = Field(1.0, alias="waitSeconds", gt=0)


class Box(Part):
    port: int = 1
    name: str = ""
    limit: int | None = 5
    label: str | None = "x"
    items: tuple[str, ...] = ("a",)
    words: tuple[Literal["up", "down"], ...] = ("up",)
    rungs: tuple[Rung, ...] = ()
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    secret: SecretStr | None = None
    address: str = "http://x"
    inner: Inner = Field(default_factory=Inner)


class Other(Part):
    secret: SecretStr | None = None
    is_on: bool = False


class Everything(Part):
    box: Box = Field(default_factory=Box)
    other: Other = Field(default_factory=Other)


def sources(*flags: str, env: dict[str, str] | None = None, file: Path | None = None) -> Sources[Everything]:
    found = Sources(Everything)
    if file is not None:
        found.add_file(file)
    found.add_environment(env or {})
    found.add_flags(Flag("--set", *flag.split("=", 1)) for flag in flags)
    return found


def error_of(found: Sources[Everything]) -> str:
    with pytest.raises(SettingsError) as caught:
        found.resolve()
    return str(caught.value)


def box_by_flag(key: str, text: str) -> Any:
    return getattr(sources(f"box.{key}={text}").resolve().settings.box, key)


def box_by_variable(key: str, text: str) -> Any:
    return getattr(sources(env={f"LOCKGATE_BOX__{key.upper()}": text}).resolve().settings.box, key)


BY_TEXT = pytest.mark.parametrize("read", [box_by_flag, box_by_variable])
Read = Callable[[str, str], Any]

# -- texts -----------------------------------------------------------------------------------------------------------


@BY_TEXT
@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        pytest.param("port", "12", 12, id="number"),
        pytest.param("name", "12", "12", id="text that looks like a number"),
        pytest.param("name", "null", "null", id="text that looks like null"),
        pytest.param("name", "", "", id="empty text"),
        pytest.param("name", "a=b=c", "a=b=c", id="equals signs"),
        pytest.param("name", '"a b"', "a b", id="quotes that an env file left"),
        pytest.param("name", '"a" or "b"', '"a" or "b"', id="quotes that belong to the text"),
        pytest.param("limit", "", None, id="empty text unsets"),
        pytest.param("limit", "null", None, id="null unsets"),
        pytest.param("label", '""', None, id="quoted empty text unsets"),
        pytest.param("items", "a,b", ("a", "b"), id="commas"),
        pytest.param("items", " a , b, ", ("a", "b"), id="commas and blanks"),
        pytest.param("items", "a", ("a",), id="one item"),
        pytest.param("items", "", (), id="empty list"),
        pytest.param("items", "[]", (), id="empty JSON list"),
        pytest.param("items", '["a", "b,c"]', ("a", "b,c"), id="JSON list"),
        pytest.param("items", "[::1],localhost", ("[::1]", "localhost"), id="an IPv6 address is no JSON"),
        pytest.param("words", "down,up", ("down", "up"), id="words"),
        pytest.param("rungs", "", (), id="no rows"),
        pytest.param("rungs", '[{"pattern": "a"}]', (Rung(pattern="a"),), id="rows"),
    ],
)
def test_a_text_is_read_as_its_setting_wants_it(read: Read, key: str, text: str, value: Any) -> None:
    assert read(key, text) == value


ITEM = st.text(st.characters(exclude_characters=",", exclude_categories=["C", "Z"]), min_size=1).filter(
    lambda item: not item.startswith(("[", '"'))
)


@given(st.lists(ITEM))
def test_a_list_is_the_same_with_commas_and_as_json(items: list[str]) -> None:
    for text in (",".join(items), json.dumps(items), json.dumps(items, ensure_ascii=False)):
        for read in (box_by_flag, box_by_variable):
            assert read("items", text) == tuple(items)


@given(st.text().filter(lambda text: not text.startswith('"')))
def test_a_text_for_a_text_is_itself(text: str) -> None:
    assert box_by_flag("name", text) == box_by_variable("name", text) == text


def test_sections_and_maps_are_json_too() -> None:
    """What names a setting goes before what names its section; a flag can add one entry to a map."""
    found = sources(
        "box.headers.X-B=2",
        "box.headers.X.C=3",
        env={
            "LOCKGATE_BOX__PORT": "2",
            "LOCKGATE_BOX": '{"port": 3, "name": "n", "inner": {"waitSeconds": 4}, "headers": {"X-A": "1"}}',
        },
    ).resolve()
    box = found.settings.box
    assert (box.port, box.name, box.inner.wait_s) == (2, "n", 4)
    assert {name: value.get_secret_value() for name, value in box.headers.items()} == {
        "X-A": "1",
        "X-B": "2",
        "X.C": "3",
    }
    shown = {row.key: (row.value, str(row.origin)) for row in found.rows()}
    assert shown["box.headers.X-A"] == ("***", "LOCKGATE_BOX")
    assert shown["box.headers.X-B"] == ("***", "--set")
    assert sources("box.headers={}", env={"LOCKGATE_BOX__HEADERS": '{"X-A": "1"}'}).resolve().settings.box.headers == {}


def test_the_last_flag_wins() -> None:
    assert sources("box.port=1", 'box={"port": 2}', "box.port=3").resolve().settings.box.port == 3


# -- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "text", "line"),
    [
        pytest.param("box.port", "x", "box.port: should be a valid integer, unable to parse string as an integer, "
                     "not 'x' (from {})", id="number"),
        pytest.param("box.inner.wait_s", "0", "box.inner.waitSeconds: should be greater than 0, not '0' (from {})",
                     id="range"),
        pytest.param("box.words", "up,left", "box.words[1]: should be 'up' or 'down', not 'left' (from {})", id="item"),
        pytest.param("box.items", '["a"', "box.items: should be a JSON list: Expecting ',' delimiter at character 5 "
                     "(from {})", id="broken list"),
        pytest.param("box.rungs", "a,b", "box.rungs: should be a JSON list: Expecting value at character 1 (from {})",
                     id="rows with commas"),
        pytest.param("box.rungs", '[{"patern": "a", "pattern": ""}]', "box.rungs[0].patern: there is no such setting; "
                     "did you mean pattern? (from {})", id="unknown in a row"),
        pytest.param("box", "1", "box: should be a JSON object (from {})", id="section"),
        pytest.param("box.headers", "a", "box.headers: should be a JSON object: Expecting value at character 1 "
                     "(from {})", id="map"),
        pytest.param("box.inner", '{"wait": 1}', "box.inner.wait: there is no such setting; did you mean "
                     "box.inner.waitSeconds? (from {})", id="unknown in a section"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_key_and_source(key: str, text: str, line: str) -> None:
    variable = "LOCKGATE_" + key.replace(".", "__").upper()
    assert error_of(sources(f"{key}={text}")) == line.format("--set")
    assert error_of(sources(env={variable: text})) == line.format(variable)


def test_every_mistake_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"box": {"prt": 1, "port": []}}')
    said = error_of(sources("other.is_on=maybe", env={"LOCKGATE_BOX__NAM": "1"}, file=path)).splitlines()
    assert said == [
        f"box.prt: there is no such setting; did you mean box.port? (from {path})",
        "LOCKGATE_BOX__NAM: there is no such setting; did you mean LOCKGATE_BOX__NAME?",
        f"box.port: should be a valid integer, not [] (from {path})",
        "other.is_on: should be a valid boolean, unable to interpret input, not 'maybe' (from --set)",
    ]


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        pytest.param("LOCKGATE_BOX_PORT", "LOCKGATE_BOX__PORT", id="one underscore"),
        pytest.param("LOCKGATE_PORT", "LOCKGATE_BOX__PORT", id="no section"),
        pytest.param("LOCKGATE_BOX__PROT", "LOCKGATE_BOX__PORT", id="letters swapped"),
        pytest.param("LOCKGATE_OTHER__PORT", "LOCKGATE_BOX__PORT", id="another section"),
        pytest.param("LOCKGATE_BOX__INNER__WAITSECONDS", "LOCKGATE_BOX__INNER__WAIT_S", id="the name of the wire"),
        pytest.param("LOCKGATE_BOX__PORT__X", "LOCKGATE_BOX__PORT", id="inside a value"),
        pytest.param("LOCKGATE_BOX__HEADERS__X_A", "LOCKGATE_BOX__HEADERS", id="inside a map"),
        pytest.param("LOCKGATE_BOXX", "LOCKGATE_BOX", id="section"),
        pytest.param("lockgate_box__prot", "LOCKGATE_BOX__PORT", id="small letters"),
        pytest.param("LOCKGATE_QQ", None, id="nothing like it"),
        pytest.param("LOCKGATE_", None, id="no name at all"),
        pytest.param("LOCKGATE_SERVICE_PORT", None, id="Kubernetes' name without its host"),
    ],
)
def test_an_unknown_variable_is_refused(variable: str, meant: str | None) -> None:
    hint = f"; did you mean {meant}?" if meant else ""
    assert error_of(sources(env={variable: "1"})).startswith(f"{variable}: there is no such setting{hint}")


@pytest.mark.parametrize("key", list(keys_of(Everything)), ids=lambda key: key.name)
def test_one_underscore_for_two_is_seen_through(key: Any) -> None:
    said = error_of(sources(env={key.variable.replace("__", "_"): "1"}))
    assert said.endswith(f"; did you mean {key.variable}?")


def test_variables_of_others_are_left_alone() -> None:
    kubernetes = {
        "LOCKGATE_SERVICE_HOST": "10.0.0.1",
        "LOCKGATE_SERVICE_PORT": "8700",
        "LOCKGATE_SERVICE_PORT_HTTP": "8700",
        "LOCKGATE_PORT": "tcp://10.0.0.1:8700",
        "LOCKGATE_PORT_8700_TCP": "tcp://10.0.0.1:8700",
        "LOCKGATE_PORT_8700_TCP_ADDR": "10.0.0.1",
        "LOCKGATE_REDIS_SERVICE_HOST": "10.0.0.2",
        "LOCKGATE_REDIS_PORT": "tcp://10.0.0.2:6379",
    }
    env = {**kubernetes, **dict.fromkeys(NO_SETTINGS, "1"), "OTHER_BOX__PORT": "x", "LOCKGATE_BOX__PORT": "2"}
    assert sources(env=env).resolve().settings.box.port == 2


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        pytest.param("a.toml", "[box\n", r"a.toml: Expected ']'", id="toml"),
        pytest.param("a.json", "{", "a.json: Expecting property name", id="json"),
        pytest.param("a.json", "[" * 100_000, "a.json: ", id="json, deep"),
        pytest.param("a.yaml", "box: {\n", "a.yaml: expected the node content", id="yaml"),
        pytest.param("a.yaml", "box: {port: 2001-99-99}", "a.yaml: month must be in 1..12", id="yaml, no date"),
        pytest.param("a.ini", "", "a.ini: unknown kind of file: use .toml, .yaml or .json", id="kind"),
        pytest.param("a.json", "[]", "a.json: must hold sections like", id="no sections"),
        pytest.param("a.json", '{"box": 1}', "box: is a section, which holds settings by name (from ", id="section"),
        pytest.param("a.json", '{"box.port": 1}', "box.port: there is no such setting; a file holds sections, not "
                     "names with dots (from ", id="dots"),
        pytest.param("a.json", '{"port": 1}', "port: there is no such setting; did you mean box.port? (from ",
                     id="no section"),
        pytest.param("a.json", '{"box": {"inner": {"wait_s": 1, "waitSeconds": 2}}}',
                     "box.inner.waitSeconds: is given twice, also as wait_s (from ", id="twice"),
        pytest.param("a.yaml", "1: 2", "1: there is no such setting (from ", id="a number for a name"),
        pytest.param("a.json", '{"box": {"items": "a,b"}}', "box.items: should be a valid list, not 'a,b' (from ",
                     id="a text for a list"),
    ],
)  # fmt: skip
def test_a_bad_file_is_told_in_one_line(tmp_path: Path, name: str, text: str, line: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError) as caught:
        sources(file=tmp_path / name).resolve()
    said = str(caught.value)
    assert said.removeprefix(f"{tmp_path}/").startswith(line)
    assert str(tmp_path / name) in said
    assert "\n" not in said


def test_an_empty_section_of_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("box:\n  # port: 1\n")
    assert sources(file=tmp_path / "a.yaml").resolve().settings == Everything()


def test_settings_that_contradict_each_other_are_told_with_both_sources() -> None:
    class Strict(Everything):
        def model_post_init(self, _context: object, /) -> None:
            if self.box.secret and self.other.secret:
                raise ValueError("box.secret and other.secret are both set: keep one")

    found = Sources(Strict)
    found.add_environment({"LOCKGATE_BOX__SECRET": SECRET})
    found.add_flags([Flag("--secret", "other.secret", SECRET)])
    with pytest.raises(SettingsError) as caught:
        found.resolve()
    assert str(caught.value) == (
        "settings: box.secret and other.secret are both set: keep one (from LOCKGATE_BOX__SECRET and --secret)"
    )


# -- secrets ---------------------------------------------------------------------------------------------------------

BADLY_PUT: list[Any] = [
    pytest.param({"box": {"secret": [SECRET]}}, id="a list"),
    pytest.param({"box": {"secret": {"key": SECRET}}}, id="a map"),
    pytest.param({"box": {"secret": SECRET, "sekret": SECRET}}, id="a misspelled name"),
    pytest.param({"box": {"headers": [SECRET]}}, id="a list for a map"),
    pytest.param({"box": {"headers": {"X-A": [SECRET]}}}, id="a list in a map"),
    pytest.param({"box": {"secret": SECRET, "port": f"http://me:{SECRET}@x"}}, id="credentials of an address"),
    pytest.param({"box": {"port": f"http://x/?api-key={SECRET}&a={SECRET}"}}, id="the query of an address"),
    pytest.param({"box": {"port": f"sk-{SECRET}"}}, id="a key in a wrong place"),
    pytest.param({"box": [SECRET]}, id="for a section"),
]


@pytest.mark.parametrize("values", BADLY_PUT)
def test_an_error_never_tells_a_secret(values: dict[str, Any], tmp_path: Path) -> None:
    """From a file, as a flag and in the environment."""
    (tmp_path / "a.json").write_text(json.dumps(values))
    for found in (
        sources(file=tmp_path / "a.json"),
        sources(f"box={json.dumps(values['box'])}"),
        sources(env={"LOCKGATE_BOX": json.dumps(values["box"])}),
    ):
        assert "hunter2" not in error_of(found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("a.yaml", f'box:\n  secret: "{SECRET}\n', id="yaml, quotes left open"),
        pytest.param("a.yaml", f"box:\n  secret: *{SECRET}\n", id="yaml, taken for an alias"),
        pytest.param("a.yaml", f"box:\n  secret: !{SECRET} x\n", id="yaml, taken for a tag"),
        pytest.param("a.toml", f'[box]\nsecret = "{SECRET}\n', id="toml, quotes left open"),
        pytest.param("a.toml", f"[box]\nsecret = {SECRET}\n", id="toml, no quotes"),
        pytest.param("a.json", f'{{"box": {{"secret": "{SECRET}', id="json, cut"),
        pytest.param("a.json", f'{{"box": {{"secret": {SECRET}}}}}', id="json, no quotes"),
    ],
)
def test_a_broken_file_never_tells_a_secret(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError) as caught:
        sources(file=tmp_path / name)
    assert name in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_what_is_in_force_is_shown_without_secrets() -> None:
    found = sources(
        f"box.secret={SECRET}",
        f"box.headers.X-A={SECRET}",
        f"box.address=https://me:{SECRET}@host.example/v1?key={SECRET}&b={SECRET}",
        f"box.name=sk-{SECRET}",
        f"box.items=http://{SECRET}@a,b",
    ).resolve()
    rows = list(found.rows())
    assert "hunter2" not in repr(rows)
    shown = {row.key: row.value for row in rows}
    assert shown["box.secret"] == "***"
    assert shown["box.address"] == "https://***@host.example/v1?key=***&b=***"
    assert shown["box.items"] == ["http://***@a", "b"]
    assert shown["other.secret"] is None
    assert {str(row.origin) for row in rows if row.value == "***"} == {"--set"}


def test_what_is_in_force_is_fit_for_json() -> None:
    rows = list(sources('box.rungs=[{"pattern": "a"}]').resolve().rows())
    assert {row.key for row in rows} == {key.name for key in keys_of(Everything)}
    assert json.loads(json.dumps(rows)) == [[row.key, row.value, list(row.origin)] for row in rows]
    assert next(row for row in rows if row.key == "box.rungs").origin == Origin("flag", "--set")


def test_bytes_that_are_no_text_can_be_shown() -> None:
    class Shelf(Part):
        path: Path = Path()

    found = Sources(Shelf)
    found.add_environment({"LOCKGATE_PATH": "\udcff"})
    assert [row.value for row in found.resolve().rows()] == ["\\udcff"]

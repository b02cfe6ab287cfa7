"""The documents that were asked for are what the code says: one test for each, which fails when the two part."""

from __future__ import annotations

import ast
import json
import random
import re
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import aiohttp
import jsonschema_rs
import msgspec
import pytest

from lockgate import Limits
from lockgate.config import Settings, load
from lockgate.config.requirements import REQUIREMENTS, configuration_schema, requirements_in
from lockgate.gate.events import Recovery
from lockgate.gate.scan import Scanner, Violation
from lockgate.gateway.solution import ERROR_HANDLING, Solution, solution_of
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Meta, Problem, StreamResponse
from lockgate.upstream.base import Failed, UpstreamEvent
from tests.acceptance.criteria import CRITERIA, names
from tests.gateway.nodes import Node, running
from tests.source_names import ROOT, SOURCE, names_in, tree_of
from tests.test_cli import lockgate
from tests.test_docs import anchors, writer

WRITER = writer("write_deliverables")
ASKED: list[Any] = WRITER.acceptance.lines()
FLOW: ModuleType = WRITER.flow
ASSEMBLY: ModuleType = WRITER.assembly


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(WRITER.PAGES))
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert page(name) == WRITER.PAGES[name](), f"{name} is out of date: run make docs"


# -- the index -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(WRITER.PAGES))
def test_the_index_names_what_was_asked_for(name: str) -> None:
    index = page("DOCUMENTATION_INDEX.md")
    assert "api-gateway" in anchors(ROOT / "DOCUMENTATION_INDEX.md")
    assert f"({name})" in index


# -- acceptance ------------------------------------------------------------------------------------------------------


@cache
def cases_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
    }


def is_setting(name: str) -> bool:
    """Whether it is a setting, under its name on the wire."""
    kind: Any = Settings
    *sections, last = name.split(".")
    for section in sections:
        kind = kind.model_fields[section].annotation
    return any(last in (key, field.alias) for key, field in kind.model_fields.items())


@pytest.mark.parametrize("line", ASKED, ids=lambda line: str(line.id))
def test_what_answers_a_line_is_there(line: Any) -> None:
    """Its code, tests, pages, setting and metrics; what is done has a test, and what lacks something says what."""
    for place in line.code:
        file, _, name = place.partition(":")
        assert (SOURCE / file).is_file(), place
        assert not name or name in names_in(SOURCE / file), place
    for place in line.tests:
        file, _, name = place.partition("::")
        assert (ROOT / file).is_file(), place
        assert not name or name in cases_in(ROOT / file), place
    assert all((ROOT / one).is_file() for one in line.pages)
    assert not line.setting or is_setting(line.setting)
    assert set(line.metrics) <= {metric.name for metric in Meters().all}
    assert set(line.figures) <= set(names())
    assert line.state in ("done", "partly", "not yet")
    assert (line.state == "done") == (not line.lacks)
    assert line.state == "not yet" or line.tests
    met = {one["name"]: one["is_met"] for one in WRITER.acceptance.measured()["figures"]}
    assert line.state != "done" or all(met.get(name) for name in line.figures), "a figure is missed, or not recorded"


@pytest.mark.parametrize(
    ("line", "name"),
    [pytest.param(line, name, id=f"{line.id} {name}") for line in ASKED for name in line.absent],
)
def test_what_is_not_yet_there_is_not_there(line: Any, name: str) -> None:
    is_there = (ROOT / name).exists() if "/" in name else is_setting(name)
    assert not is_there, f"docs/acceptance.toml, {line.id}: {name} is there now. Say what it does, and how it is shown."


def test_each_line_has_a_name_of_its_own() -> None:
    assert len({line.id for line in ASKED}) == len(ASKED)


def test_recorded_figures_are_of_the_criteria_as_they_are() -> None:
    """Each as often as criteria.toml says; a figure that is not met stands there as such."""
    figures = {one["name"]: one for one in WRITER.acceptance.measured()["figures"]}
    assert set(figures) <= set(names())
    objects, verdicts = CRITERIA["objects"]["count"], CRITERIA["verdicts"]["runs"]
    counts = {"objects whole and valid": objects, "right verdicts": verdicts}
    counts |= {f"bytes lost, {mode}": CRITERIA["lost"]["objects_per_mode"] for mode in CRITERIA["lost"]["modes"]}
    counts |= {f"{count} readers reconnect, last one whole": count for count in CRITERIA["reconnects"]["readers"]}
    for name, count in counts.items():
        assert figures[name]["of"].startswith(f"{count} "), name
    for name in ("gap between chunks p99", "gap added p99", "end to end p99"):
        limit_ms = CRITERIA["end_to_end" if name.startswith("end") else "gap"]["p99_ms"]
        assert figures[name]["wanted"] == f"< {limit_ms} ms"
        assert figures[name]["of"].startswith(f"{objects} objects over 50 KB, ")
        assert figures[name]["is_met"] == (figures[name]["value"] < limit_ms)
    assert set(CRITERIA["lost"]["modes"]) == set(get_args(Recovery))
    assert objects >= 300
    assert min(verdicts, CRITERIA["fault_matrix"]["runs"]) >= 3000
    assert CRITERIA["objects"]["min_bytes"] > 50_000


# -- configuration ---------------------------------------------------------------------------------------------------


def test_the_example_of_the_configuration_is_taken(tmp_path: Path) -> None:
    """By the schema, and by the gateway, which does what it says."""
    (text,) = re.findall(r"```toml\n(\[delivery\].*?)```", page("docs/reference/streaming-configuration.md"), re.DOTALL)
    (tmp_path / "lockgate.toml").write_text(text)
    asked = tomllib.loads(text)
    jsonschema_rs.Draft202012Validator(configuration_schema()).validate(asked)
    found = requirements_in(load(tmp_path / "lockgate.toml"))
    assert {group: {name: found[group][name] for name in members} for group, members in asked.items()} == asked


GOOD: list[Any] = [
    {},
    {"delivery": {"protocol": "HTTP2", "fallback": [], "retry": {"maxAttempts": 0, "backoffStrategy": "linear"}}},
    {"validation": {"schemaVersioning": False, "partialValidation": False, "errorRecovery": "skip"}},
    {"monitoring": {"chunkMetrics": False, "validationErrors": False, "connectionHealth": False}},
]
BAD: list[Any] = [
    {"delivery": {"protocol": "carrier pigeon"}},
    {"delivery": {"fallback": "SSE"}},
    {"delivery": {"retry": {"maxAttempts": -1}}},
    {"delivery": {"retry": {"maxAttempts": 3, "jitter": True}}},
    {"validation": {"errorRecovery": "hope"}},
    {"validation": {"partialValidation": "perhaps"}},
    {"monitoring": {"everything": True}},
    {"observability": {}},
]


@pytest.mark.parametrize("asked", [*GOOD, *BAD], ids=json.dumps)
def test_the_schema_takes_what_the_settings_take(asked: Any) -> None:
    """Also the part that was asked for, for what is in it."""
    schema = configuration_schema()
    part = {"$ref": "#/$defs/StreamingSystemRequirements", "$defs": schema["$defs"]}
    for one in (schema, part):
        assert jsonschema_rs.Draft202012Validator(one).is_valid(asked) == (asked in GOOD)
    try:
        Settings.model_validate(asked)
    except ValueError:
        assert asked in BAD
    else:
        assert asked in GOOD


def test_the_schema_takes_every_file_of_the_docs() -> None:
    jsonschema_rs.meta.validate(configuration_schema())
    validator = jsonschema_rs.Draft202012Validator(configuration_schema())
    files = sorted((ROOT / "docs" / "howto" / "providers").glob("*.toml"))
    assert len(files) >= 9
    for file in files:
        validator.validate(tomllib.loads(file.read_text(encoding="utf-8")))


def test_the_command_prints_the_schema() -> None:
    printed = lockgate("settings", "--schema")
    assert printed.returncode == 0
    assert json.loads(printed.stdout) == configuration_schema()


# -- types, and the system as one object -----------------------------------------------------------------------------


@cache
def members_of(interface: str) -> set[str]:
    """The names in an interface of requirements.ts, also those of objects inside it."""
    text = re.sub(r"/\*\*.*?\*/", "", page("docs/reference/requirements.ts"), flags=re.DOTALL)
    found = re.search(rf"^export interface {interface}\b.*?\n\}}", text, re.MULTILINE | re.DOTALL)
    assert found is not None, interface
    return set(re.findall(r"(\w+)\??:", found[0]))


def test_the_types_have_the_names_of_the_settings() -> None:
    wanted = {*REQUIREMENTS, *(name for members in REQUIREMENTS.values() for name in members)}
    assert members_of("StreamingSystemRequirements") == wanted | {"maxAttempts", "backoffStrategy"}


def test_the_envelope_has_the_names_that_were_asked_for() -> None:
    assert members_of("StreamResponse") - {"schema", "sequence", "totalChunks"} == {"meta", "data", "errors"}
    fields = {field.encode_name for field in msgspec.structs.fields(StreamResponse)}
    assert {"meta", "data", "errors"} <= fields
    assert {"schema", "sequence", "totalChunks"} <= {field.encode_name for field in msgspec.structs.fields(Meta)}
    assert members_of("StreamError") <= {field.encode_name for field in msgspec.structs.fields(Problem)}


def test_describe_has_the_members_that_were_asked_for() -> None:
    said = msgspec.to_builtins(solution_of(Settings(), Meters().all))
    assert members_of("Solution") == said.keys() - {"version", "requirements"}
    for kind, name in (("Component", "components"), ("ValidationStage", "validationStages"), ("Metric", "metrics")):
        for one in said[name]:
            assert members_of(kind) <= one.keys()
    assert {one["type"] for one in said["metrics"]} == {"counter", "gauge"}
    for component in said["components"]:
        assert (SOURCE / component["name"].partition("/")[0]).is_dir(), "a component is a room"


@pytest.mark.parametrize("mode", get_args(Recovery))
def test_describe_follows_the_settings(mode: Recovery) -> None:
    settings = Settings.model_validate(
        {
            "validation": {"errorRecovery": mode, "schemaVersioning": False},
            "monitoring": {"chunkMetrics": False},
            "delivery": {"protocol": "WebSocket", "fallback": []},
            "store": {"kind": "memory"},
        }
    )
    said = solution_of(settings, Meters().all)
    assert [stage.name for stage in said.validationStages] == ["json", "schema", "authority"], "versions are off"
    assert {stage.errorHandling for stage in said.validationStages} == {ERROR_HANDLING[mode]}
    assert {stage.errorRecovery for stage in said.validationStages} == {mode}
    assert not any(series.name.startswith("lockgate_chunk") for series in said.metrics)
    components = {component.name for component in said.components}
    assert {"store/memory", "delivery/WebSocket"} <= components
    assert not components & {"delivery/LongPoll", "observe/chunkMetrics"}
    assert said.interactionPattern.endswith("by WebSocket")


async def test_the_running_gateway_says_what_describe_says(tmp_path: Path) -> None:
    """By the same settings; each series that it names is in /metrics under that name and with those labels."""
    flags = ["--set", "validation.errorRecovery=patch"]
    node = Node(tmp_path, "http://127.0.0.1:9/v1")
    node.add_flags(*flags)
    async with running(node), aiohttp.ClientSession() as session:
        async with session.get(f"{node.url}/v1/system") as answer:
            said = msgspec.convert(await answer.json(), Solution)
        async with session.get(f"{node.url}/metrics") as answer:
            exposed = await answer.text()
    described = lockgate("describe", "--base-url", "http://127.0.0.1:9/v1", *flags, cwd=tmp_path)
    assert msgspec.json.decode(described.stdout, type=Solution) == said
    for series in said.metrics:
        assert f"\n# TYPE {series.metric} {series.kind}\n" in f"\n{exposed}", series


def test_a_mistake_in_the_settings_is_told() -> None:
    done = lockgate("describe", "--set", "validation.errorRecovery=hope")
    assert (done.returncode, done.stdout) == (2, "")
    assert "validation.errorRecovery" in done.stderr


# -- metrics ---------------------------------------------------------------------------------------------------------


def test_metrics_have_the_unit_that_their_name_says() -> None:
    """Base units, as Prometheus asks for; what has no unit in its name counts something."""
    units = {metric.name: metric.unit for metric in Meters().all}
    assert units["lockgate_chunk_gap_seconds"] == "s"
    assert units["lockgate_received_bytes_total"] == "bytes"
    assert units["lockgate_stream_ingestion_bytes_per_second"] == "bytes/s"
    assert units["lockgate_violations_total"] == "count"
    assert not [name for name, unit in units.items() if unit == "count" and re.search("second|byte|_ms|usd", name)]


def test_each_metric_serves_a_line() -> None:
    ids = {line.id for line in ASKED}
    for metric in Meters().all:
        assert set(WRITER.metrics.answers(metric)) <= ids
    named = {name for line in ASKED for name in line.metrics}
    assert len(named) > len(Meters().all) / 2, "most metrics answer more than their group"


# -- providers -------------------------------------------------------------------------------------------------------


def test_the_spec_of_providers_names_every_event_and_its_members() -> None:
    spec = page("docs/reference/provider.md")
    rows = dict(re.findall(r"^\| `(\w+)\((.*?)\)` \|", spec, re.MULTILINE))
    for event in get_args(UpstreamEvent):
        fields = [field.name for field in msgspec.structs.fields(event)]
        named = rows[event.__name__].split(", ")
        assert named == (fields if named[-1] != "…" else [*fields[: len(named) - 1], "…"])
    for field in msgspec.structs.fields(Failed):
        assert f"| `{field.name}` |" in spec


# -- chunk assembly --------------------------------------------------------------------------------------------------

_STATE = re.compile(r"^\| ([A-Z_]+(?: [a-z ]+)?) \| .*? \| (.+) \|$", re.MULTILINE)
CHUNKS = page("docs/concepts/chunk-assembly.md")


@cache
def table_of_the_page() -> dict[str, dict[int, str]]:
    """State and byte to the next state, as the page has it; 128 is any byte outside ASCII."""
    found = {}
    for state, told in _STATE.findall(CHUNKS):
        moves = re.findall(r"((?:`.`|[^`;])+?) → ([A-Z_]+)", told)
        found[state] = {byte: then for cell, then in moves for byte in ASSEMBLY.read(cell)}
    return found


class PageMachine:
    """Runs the table of the page, with the four things that stand above it."""

    def __init__(self) -> None:
        self.table = table_of_the_page()
        self.state = "AT_VALUE"
        self.open: list[str] = []
        self.in_name = False
        self.rest = ""  # of a literal
        self.digits = ""  # of an escape
        self.is_low = False

    def take(self, byte: int) -> bool:
        """Whether the byte may come next."""
        row = self.state
        is_object = self.open[-1:] == ["{"]
        if row == "AFTER_VALUE" and is_object:
            row = "AFTER_VALUE in an object"
        if row == "IN_STRING" and self.in_name:
            row = "IN_STRING of a name"
        char = chr(byte) if byte < 128 else ""
        if self.state == "IN_LITERAL":
            return self._goes_on_with_literal(char)
        moves = self.table[row]
        number_ends = self.state.startswith(("IN_I", "IN_F", "IN_EX", "AFTER_Z")) and char in tuple(" \t\n\r]},")
        if number_ends:
            self._end_value()
            return self.take(byte)
        then = moves.get(min(byte, 128))
        if then is None:
            return False
        if self.state == "IN_HEX":
            return self._take_digit(char)
        if char in ("{", "[") and then.startswith("AT_"):
            self.open.append(char)
        if self.state == "IN_ESCAPE" and char == "u":
            self.digits, self.is_low = "", False
        if self.state == "AT_LOW_U":
            self.digits, self.is_low = "", True
        if then == "IN_LITERAL":
            self.rest = {"t": "rue", "f": "alse", "n": "ull"}[char]
        if self.state.startswith("AT_NAME") and then == "IN_STRING":
            self.in_name = True
        elif self.state in ("AT_VALUE", "AT_ELEMENT_OR_CLOSE") and then == "IN_STRING":
            self.in_name = False
        self.state = then
        if char in ("}", "]") and then == "AFTER_VALUE":
            self.open.pop()
            self._end_value()
        elif then == "AFTER_VALUE":
            self._end_value()
        return True

    def _end_value(self) -> None:
        self.state = "AFTER_VALUE" if self.open else "AT_END"

    def _goes_on_with_literal(self, char: str) -> bool:
        if char != self.rest[0]:
            return False
        self.rest = self.rest[1:]
        if not self.rest:
            self._end_value()
        return True

    def _take_digit(self, char: str) -> bool:
        self.digits += char
        code = int(self.digits.ljust(4, "0"), 16)
        is_low = 0xDC00 <= code <= 0xDFFF
        if len(self.digits) >= 2 and is_low != self.is_low:
            return False
        if self.is_low and self.digits[0] not in "dD":
            return False
        if len(self.digits) == 4:
            self.state = "AT_LOW_BACKSLASH" if 0xD800 <= code <= 0xDBFF else "IN_STRING"
        return True


def refused_by_the_page(text: bytes) -> int:
    machine = PageMachine()
    return next((at for at, byte in enumerate(text) if not machine.take(byte)), -1)


def refused_by_the_scanner(text: bytes) -> int:
    scanner = Scanner(ASSEMBLY.AnyValue(), Limits())
    for at in range(len(text)):
        try:
            scanner.scan(text[at : at + 1])
        except Violation:
            return at
    return -1


def text_like_json(rng: random.Random) -> bytes:
    """A document, changed somewhere in two of three cases. ASCII: characters are put together before the scanner."""

    def value(depth: int) -> Any:
        match rng.randrange(8 if depth < 4 else 6):
            case 0:
                return rng.choice([True, False, None])
            case 1:
                return rng.choice([0, -1, 10, 2.5, 1e30, -0.5e-7])
            case 6:
                return [value(depth + 1) for _ in range(rng.randrange(4))]
            case 7:
                return {rng.choice(["a", "é", '"', "b c"]): value(depth + 1) for _ in range(rng.randrange(4))}
            case _:
                return rng.choice(["", "x", "é😀", "a\\b", "line\n", "\u2028", "1"])

    text = bytearray(json.dumps(value(0), indent=rng.choice([None, 1])).encode())
    for _ in range(rng.randrange(3)):
        at = rng.randrange(len(text))
        text[at : at + rng.randrange(3)] = rng.choice(list(b'{}[]":,\\u0d8cfntrue-+.eE 12x\n')).to_bytes(1)
        if not text:
            break
    return bytes(text)


def test_the_table_of_the_page_is_the_scanner() -> None:
    """Read from the page and run, it refuses the same byte of the same texts as gate/scan.py."""
    refused = 0
    for seed in range(3000):
        text = text_like_json(random.Random(seed))
        found = refused_by_the_page(text)
        assert found == refused_by_the_scanner(text), text
        refused += found >= 0
    assert 500 < refused < 2500


def test_the_page_names_what_stands_in_the_code() -> None:
    """Each function of the pseudocode is one of scanner or gate, and each step of the scanner is on the page."""
    code = "".join((SOURCE / "gate" / file).read_text("utf-8") for file in ("scan.py", "base.py", "halt.py"))
    functions = set(re.findall(r"def (\w+)", code))
    pseudocode = "".join(re.findall(r"```\n(.*?)```", CHUNKS, re.DOTALL))
    named = set(re.findall(r"(?<![\w.])(_\w+)", pseudocode))
    assert named <= functions
    ways = re.search(r"def scan\((.*?)def go_to\(", code, re.DOTALL)
    assert ways is not None
    groups = {"_number_or_end", "_escape_rest"}  # which choose among the rarer steps
    steps = set(re.findall(r"self\.(_\w+)\(data, i, n\)", ways[1])) - groups
    assert len(steps) == 21  # one for each state
    halves = {"_value_or_close", "_name_or_close", "_low_backslash", "_low_u"}  # a bracket or _value; _low_half
    assert steps - named == halves


# -- the flow --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(FLOW.DIAGRAMS))
def test_the_pictures_are_of_these_diagrams(name: str) -> None:
    """A picture carries the digest of its diagram, shows each of its labels, and needs nothing from elsewhere."""
    diagram = FLOW.DIAGRAMS[name]()
    picture = page(f"docs/concepts/{name}.svg")
    assert FLOW.digest(diagram) in picture, f"docs/concepts/{name}.svg is of another diagram: run make diagrams"
    shown = re.sub(r"\s+", "", re.sub(r"<style>.*?</style>|<[^>]*>", "", picture, flags=re.DOTALL))
    for label in re.findall(r'"([^"]+)"', diagram):
        assert re.sub(r"\s+", "", label) in shown, label
    assert "foreignObject" not in picture
    assert not re.search(r"(?:href|src)=\"http", picture)

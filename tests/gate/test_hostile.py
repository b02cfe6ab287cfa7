"""What an attacker, or a looping model, would send: bounded time, bounded memory, no exception, no crash."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import lockgate
from lockgate import Limits, Misuse
from tests.gate.runs import every_byte, feed, judge

NODE = {"$ref": "#/$defs/node"}
TREE: dict[str, Any] = {
    **NODE,
    "$defs": {
        "node": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {"op": {"const": name}, "l": NODE, "r": NODE},
                    "required": ["op", "l", "r"],
                    "additionalProperties": False,
                }
                for name in ("add", "mul")
            ]
            + [{"type": "number"}]
        }
    },
}


def test_a_bad_leaf_deep_in_an_expression_tree_costs_no_more_than_its_depth() -> None:
    """A list of the validator's errors would grow exponentially here: 15 s for 371 bytes."""
    deep = b'{"op":"add","r":1,"l":' * 200
    run = judge(lockgate.compile(TREE), deep + b'"x"' + b"}" * 200)
    assert run.state == "halted"
    assert run.released == deep


def test_many_bad_names_cost_no_more_than_their_number() -> None:
    schema = lockgate.compile({"propertyNames": {"pattern": "^[a-z]+$"}})
    text = ("{" + ",".join(f'"k{number}":1' for number in range(20_000)) + "}").encode()
    assert judge(schema, text).released == b'{"k'


@pytest.mark.parametrize("depth", [255, 256, 500])
def test_the_deepest_document_is_judged(depth: int) -> None:
    limits = Limits(max_depth=500)
    assert judge(lockgate.compile({"type": "array"}, limits=limits), b"[" * depth + b"]" * depth).state == "complete"
    never = lockgate.compile({"not": {}}, limits=limits)
    assert judge(never, b"[" * depth + b"]" * depth).state == "halted"


def test_nearly_no_stack_is_enough() -> None:
    """The parser of the authority recurses; where the caller left it no room, our own does not."""
    schema = lockgate.compile({"type": "array"}, limits=Limits(max_depth=400))

    def at_depth(frames: int) -> str:
        return at_depth(frames - 1) if frames else judge(schema, b"[" * 400 + b"]" * 400).state

    used = len(__import__("inspect").stack())
    assert at_depth(sys.getrecursionlimit() - used - 150) == "complete"


def test_nested_choices_do_not_crash_the_process() -> None:
    """In a process of its own, since what is tested for is a segmentation fault."""
    code = """
import lockgate
inner = {"$ref": "#"}
for _ in range(30):
    inner = {"anyOf": [inner]}
gate = lockgate.compile({"type": "object", "properties": {"a": inner}}).gate()
gate.feed(b'{"a":' * 255 + b"1")
print(gate.state)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "halted"


def test_a_lowered_limit_of_the_interpreter_is_not_ours() -> None:
    code = """
import sys, lockgate
sys.set_int_max_str_digits(640)
gate = lockgate.compile({"type": "array"}).gate()
gate.feed(b"[" + b"1" * 1000 + b"]")
print(gate.state, [type(event).__name__ for event in gate.close()])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "open ['Completed']"


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        pytest.param({"maximum": 10**30}, b"1e30", id="maximum"),
        pytest.param({"minimum": 10**23}, b"1e23", id="minimum"),
        pytest.param({"const": 10**23}, b"1e23", id="const"),
        pytest.param({"enum": [1, 10**23]}, b"1e23", id="enum"),
    ],
)
def test_big_integers_in_another_spelling_are_no_false_alarm(schema: dict[str, Any], text: bytes) -> None:
    assert judge(lockgate.compile(schema), text).state == "complete"


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        pytest.param({"items": [{"type": "string"}]}, b'{"p":[1]}', id="items as a list"),
        pytest.param({"prefixItems": [{"type": "string"}]}, b'{"p":[1]}', id="a keyword of another draft"),
        pytest.param({"prefixItems": 5}, b'{"p":[1]}', id="no keyword there at all"),
    ],
)
def test_an_embedded_dialect_is_left_to_the_authority(inner: dict[str, Any], text: bytes) -> None:
    """A schema inside a schema may be written in another draft."""
    dialect = {"$id": "http://x.example/y", "$schema": "http://json-schema.org/draft-07/schema#"}
    schema = lockgate.compile({"properties": {"p": {**dialect, **inner}}})
    expected = "halted" if "items" in inner else "complete"
    assert judge(schema, text).state == expected


@pytest.mark.parametrize(
    ("schema", "limits", "text"),
    [
        pytest.param({"maxLength": 1}, Limits(max_string_bytes=3), b'"abcdef"', id="maxLength before string_limit"),
        pytest.param({"enum": ["xyz"]}, Limits(max_string_bytes=3), b'"abcdef"', id="enum before string_limit"),
        pytest.param(
            {"properties": {"x": {}}, "additionalProperties": False},
            Limits(max_string_bytes=3),
            b'{"abcdef":1}',
            id="name before string_limit",
        ),
        pytest.param(True, Limits(max_document_bytes=1), b"[\xc3\xa9]", id="no character there, at the limit"),
        pytest.param(
            {"maximum": 1}, Limits(max_document_bytes=5), b"1.5\xef\xbb\xbf", id="the end of a number, at the limit"
        ),
    ],
)
def test_limits_and_checks_in_one_piece(schema: Any, limits: Limits, text: bytes) -> None:
    """Which of two faults comes first does not depend on the cuts."""
    compiled = lockgate.compile(schema, limits=limits)
    assert judge(compiled, text) == feed(compiled.gate(), every_byte(text))


def test_with_duplicates_allowed_a_repeated_name_is_not_one_more() -> None:
    schema = lockgate.compile({"maxProperties": 1}, limits=Limits(duplicate_members=True))
    assert judge(schema, b'{"a":1,"a":2}').state == "complete"
    assert judge(schema, b'{"a":1,"b":2}').state == "halted"


def test_a_released_memoryview_is_misuse() -> None:
    view = memoryview(b"1")
    view.release()
    with pytest.raises(Misuse, match="released"):
        lockgate.compile(True).gate().feed(view)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ['{"enum": [NaN]}', '{"const": Infinity}', '{"type": "string", "type": "number"}'])
def test_a_schema_text_that_is_not_plain_json_is_refused(text: str) -> None:
    with pytest.raises(lockgate.SchemaError, match="not JSON"):
        lockgate.compile(text)


@pytest.mark.parametrize("draft", [-7, "7x", "5", (7,), 7.5, ""])
def test_an_unknown_draft_is_refused(draft: Any) -> None:
    with pytest.raises(lockgate.SchemaError, match="not known"):
        lockgate.compile(True, draft=draft)


def test_the_depth_limit_names_the_value_that_is_too_deep() -> None:
    run = judge(lockgate.compile(True, limits=Limits(max_depth=2)), b"[[[1]]]")
    assert run.violations[0].path == "/0/0"

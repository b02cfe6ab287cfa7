"""Texts, schemas, options and cuts, all made by seed, and what holds for every one of them.

``python -m tests.gate.fuzz SEED`` runs the batch of one seed again, and says of each failure what failed.
"""

from __future__ import annotations

import json
import math
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jsonschema_rs

import lockgate
from lockgate import (
    Completed,
    Element,
    Event,
    Gate,
    Limits,
    Misuse,
    Patched,
    Released,
    Schema,
    SchemaError,
    Skipped,
    Violated,
)
from tests.gate.recovery.made import json_like, random_limits, random_schema
from tests.gate.runs import cut, every_byte

#: Texts that one seed makes, all for one schema.
BATCH = 20
#: An unfinished escape pair, and what begins a character, are never released.
_MAX_UNFINISHED = 11
_BIG = [2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63, 2**64, 10**19, 1e16, 1e300, 0.1, 0.3, 1e-7, -0.0]
_NAMES = ["a", "b", "id", "x", "y z", "é", ""]
_TEXTS = [
    "",
    "a",
    "ab",
    "b b",
    "x",
    "é",
    "😀",
    'say "hi"',
    "a\\b",
    "line\nline",
    "null",
    "12",
    "2024-01-31",
    "{",
    "a, b",
]
#: Beside the usual tokens: more of what is looked through, and past, for what follows a token.
_LONG_TOKENS = [
    " " * 20,
    " " * 64,
    "\n" + " " * 30,
    "x" * 40,
    "9" * 90,
    "/*" + "c" * 90 + "*/",
    "// " + "c" * 60 + "\n",
]
_LONG_TOKENS += ['"a name of some length":', '"', "'", "“", "”", "`", '"""', "=", "=>", "true", "-1", "\\n", ", "]
#: What a row of them begins with.
_OPENINGS = ["[", "{", '{"a": \'', '{"a": "', "['", '["', "{'", '{"id": “', '[{"a": ', '{"a": ', "{a", "It is "]
_DRAFTS = ["http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-07/schema#"]
_DRAFTS += ["https://json-schema.org/draft/2019-09/schema", "https://json-schema.org/draft/2020-12/schema"]


class Case(NamedTuple):
    """One text, and how it is judged.

    Attributes:
        is_plain: No limit but the usual ones is in force, and no other framing: then valid text must come out whole.
    """

    source: Any
    text: bytes
    options: dict[str, Any]
    cuts: tuple[int, ...]
    clean: bool
    is_plain: bool


class Run(NamedTuple):
    released: bytes
    events: tuple[Event, ...]  # without Released
    state: str


# -- what is made ----------------------------------------------------------------------------------------------------


def fitting(rng: random.Random, depth: int = 0) -> tuple[Any, Any]:
    """A schema, and a value that it takes."""
    kind = rng.random() if depth < 4 else rng.random() * 0.5
    if kind < 0.25:
        return _fitting_scalar(rng)
    if kind < 0.5:
        return _fitting_number(rng)
    if kind < 0.75:
        return _fitting_object(rng, depth)
    if kind < 0.9:
        return _fitting_array(rng, depth)
    schema, value = fitting(rng, depth + 1)
    other = random_schema(rng, 3)
    wrap: list[Callable[[], Any]] = [
        lambda: {"anyOf": rng.sample([schema, other, {"type": "null"}], 3)},
        lambda: {"allOf": [schema, {"not": {"const": "never so"}}]},
        lambda: {"oneOf": [schema, {"const": ["no such value"]}]},
        lambda: {"if": schema, "then": True, "else": False},
        lambda: {"not": {"not": schema}},
        lambda: {"const": value},
        lambda: {"enum": [1.5, value, None]},
    ]
    return rng.choice(wrap)(), value


def _fitting_scalar(rng: random.Random) -> tuple[Any, Any]:
    text = rng.choice(_TEXTS)
    choices: list[tuple[Any, Any]] = [
        (True, rng.choice([None, True, text, 3])),
        ({"type": "string"}, text),
        ({"type": ["string", "null"], "maxLength": len(text)}, text),
        ({"enum": [*rng.sample(_TEXTS, 3), text, 1]}, text),
        ({"const": text}, text),
        ({"type": "string", "minLength": len(text)}, text),
        ({"type": "string", "pattern": "^[a-f]{2,5}$"}, rng.choice(["ab", "fade", "abcde"])),
        ({"format": "date"}, "2024-02-29"),
        ({"format": "date-time"}, "2024-02-29T10:00:00Z"),
        ({"type": "boolean"}, rng.random() < 0.5),
        ({"type": ["null", "integer"]}, None),
    ]
    return rng.choice(choices)


def _fitting_number(rng: random.Random) -> tuple[Any, Any]:
    number = rng.choice(
        [
            *_BIG,
            10**310,
            rng.randint(10**99, 10 ** rng.choice([100, 330])),
            0,
            -1,
            2.5,
            7,
            rng.randint(-1000, 1000),
            rng.randint(-(2**70), 2**70),
        ]
    )
    other = rng.choice(_BIG)
    low, high = sorted([number, other])
    choices: list[Any] = [
        {"type": "number"},
        {"minimum": low, "maximum": high},
        {"const": number},
        {"enum": [other, number, "a"]},
        {"multipleOf": rng.choice([1, 2, 3, 0.1, 0.5, 1e-7, 2**53])},
        {"exclusiveMinimum": other},
        {"type": "integer"},
    ]
    return rng.choice(choices), number  # the last three may refuse it; the authority tells


def _fitting_object(rng: random.Random, depth: int) -> tuple[Any, Any]:
    properties: dict[str, Any] = {}
    value: dict[str, Any] = {}
    for name in rng.sample(_NAMES, rng.randint(0, 4)):
        properties[name], value[name] = fitting(rng, depth + 1)
    present = list(value)
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    more: dict[str, Any] = {
        "required": present[: rng.randint(1, 4)] if present else None,
        "additionalProperties": False,
        "minProperties": len(value),
        "maxProperties": len(value),
        "unevaluatedProperties": False,
        "patternProperties": {"^[ax]": True},
        "dependentRequired": {present[0]: present[-1:]} if present else None,
        "dependencies": {present[0]: [*present[-1:], *rng.choice([[], ["zz"]])]} if present else None,
        "propertyNames": {"maxLength": 3},
        "default": {},
    }
    schema |= {word: said for word, said in more.items() if rng.random() < 0.25 and said is not None}
    for name in present:
        if name not in schema.get("required", []) and rng.random() < 0.2:
            del value[name]
    return schema, value


def _fitting_array(rng: random.Random, depth: int) -> tuple[Any, Any]:
    items, one = fitting(rng, depth + 1)
    count = rng.choice([0, 1, 1, 2, 3])
    schema: dict[str, Any] = {"type": "array", "items": items}
    if rng.random() < 0.3:
        schema = {"prefixItems": [items, items], "items": rng.choice([items, False])}
    more = {"uniqueItems": True, "minItems": count, "maxItems": count, "contains": items, "unevaluatedItems": False}
    schema |= {word: said for word, said in more.items() if rng.random() < 0.2}
    return schema, [one] * count


def _looping(rng: random.Random, schema: Any) -> Any:
    """The schema with a reference that leads back: to the root, to a part, or to itself without anything between."""
    ways: list[Any] = [
        {"$ref": "#/$defs/one", "$defs": {"one": {"anyOf": [{"$ref": "#/$defs/one"}, schema]}}},
        {"$ref": "#/$defs/one", "$defs": {"one": {"anyOf": [schema, {"$ref": "#/$defs/one"}]}}},
        {"$ref": "#/$defs/one", "$defs": {"one": {"allOf": [{"$ref": "#/$defs/two"}]}, "two": {"$ref": "#/$defs/one"}}},
        {"$defs": {"one": schema}, "$ref": "#/$defs/one"},
        {"anyOf": [schema, {"type": "array", "items": {"$ref": "#"}}]},
        {"anyOf": [schema, {"additionalProperties": {"$ref": "#"}, "type": "object"}]},
        {"not": {"$ref": "#/$defs/one"}, "$defs": {"one": {"not": {"anyOf": [schema, {"$ref": "#/$defs/one"}]}}}},
    ]
    return rng.choice(ways)


def schemas(rng: random.Random) -> tuple[Any, Any]:
    """A schema, and a value that it was made for."""
    if rng.random() < 0.3:
        return random_schema(rng), fitting(rng)[1]
    schema, value = fitting(rng)
    if rng.random() < 0.1:
        return True, value
    if rng.random() < 0.3:
        inside, other = fitting(rng)
        schema, value = (
            {"type": "object", "properties": {"items": {"items": schema}, "b": inside}},
            {
                "items": [value] * rng.randint(0, 3),
                "b": other,
            },
        )
    elif rng.random() < 0.2:
        schema, value = {"type": "array", "items": schema}, [value] * rng.randint(0, 4)
    if rng.random() < 0.15:
        schema = _looping(rng, schema)
    elif isinstance(schema, dict) and rng.random() < 0.2:
        schema = {"$schema": rng.choice(_DRAFTS), **schema}
    return schema, value


def text_of(rng: random.Random, value: Any) -> bytes:
    """A valid document, a damaged or cut one, any bytes, or a row of tokens."""
    kind = rng.random()
    if kind < 0.05:
        return rng.randbytes(rng.randint(0, 40))
    if kind < 0.15:
        return "".join(rng.choices(json_like(), k=rng.randint(0, 30))).encode("utf-8", "replace")
    if kind < 0.19:
        tokens = rng.choices([*_LONG_TOKENS, *json_like()], k=rng.randint(3, 14))
        return (rng.choice(_OPENINGS) + "".join(tokens)).encode("utf-8", "replace")
    text = json.dumps(value, ensure_ascii=rng.random() < 0.3, indent=rng.choice([None, None, 1]))
    data = text.encode("utf-8", "replace")
    if rng.random() < 0.02:  # long numbers, of which some have an exponent, and some do not fit a double
        digits = str(rng.randint(1, 10 ** rng.choice([20, 310, 450]))).encode()
        data = re.sub(rb"[0-9]+", digits + rng.choice([b"", b".5", b"e9", b"e-3", b"e-400", b"e400"]), data, count=1)
    if kind < 0.4:
        return data
    if kind < 0.55:
        return data[: rng.randint(0, len(data))]
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(data))
        junk = rng.choice(json_like()).encode("utf-8", "replace") if rng.random() < 0.85 else rng.randbytes(1)
        data = data[:start] + junk + data[start + rng.choice([0, 0, 1, 1, 2, 5]) :]
    return data[: rng.randint(0, len(data))] if rng.random() < 0.15 else data


def options_of(rng: random.Random, schema: Schema) -> dict[str, Any]:
    """Options that the schema can be judged with."""
    recovery = rng.choice(["halt", "skip", "patch", "patch", "patch"])
    options: dict[str, Any] = {"recovery": recovery, "max_held_bytes": rng.choice([65536, 65536, 200, 20, 1])}
    if recovery == "patch":
        options["skip"] = rng.random() < 0.4
        options["max_patches"] = rng.choice([10_000, 10_000, 3, 0])
        options["accept_truncated"] = rng.random() < 0.3
        options["lossy"] = ("clamp", "round", "cut", "amount", "empty_object") if rng.random() < 0.2 else ()
    if rng.random() < 0.1:
        return {**options, "framing": "ndjson", "release": rng.choice(["prefix", "document"])}
    elements = rng.choice([None, None, "", "/items"])
    try:
        schema.gate(elements=elements)
    except Misuse:
        elements = None
    release = rng.choice(["prefix", "prefix", "document", "element" if elements is not None else "prefix"])
    return {**options, "elements": elements, "release": release}


def batch(seed: int) -> Iterator[tuple[Schema, Case]]:
    """The cases of one seed, with their schema, if it can be compiled."""
    rng = random.Random(seed)
    source, value = schemas(rng)
    has_limits = rng.random() < 0.15
    limits = random_limits(rng) if has_limits else Limits()
    try:
        schema = lockgate.compile(source, limits=limits)
    except SchemaError:
        return
    for _ in range(BATCH):
        options = options_of(rng, schema)
        text = text_of(rng, value if rng.random() < 0.8 else fitting(rng)[1])
        if "framing" in options:
            text = rng.choice([b"\n", b"\r\n", b"\n\n"]).join([text] * rng.randint(1, 3)) + rng.choice([b"", b"\n"])
        cuts = tuple(sorted(rng.randint(0, len(text)) for _ in range(rng.randint(1, 6))))
        is_plain = not has_limits and "framing" not in options
        yield schema, Case(source, text, options, cuts, rng.random() < 0.8, is_plain)


# -- what holds ------------------------------------------------------------------------------------------------------


def run(schema: Schema, pieces: Iterable[bytes], options: dict[str, Any], *, clean: bool) -> Run:
    """Feed and close, and check on the way what holds for every gate."""
    gate = schema.gate(**options)
    released = bytearray()
    events: list[Event] = []
    lengths: list[int] = []
    for piece in [*pieces, None]:
        was_over = gate.state == "halted"
        said = gate.feed(piece) if piece is not None else gate.close(clean=clean)
        assert not (was_over and said), "a halted gate says nothing more"
        for event in said:
            if isinstance(event, Released):
                assert event.data, "nothing is released as nothing"
                assert event.at == len(released), "what is released follows what was released"
                event.data.decode()
                released += event.data
                continue
            if isinstance(event, Element):
                assert event.end <= len(released), "an element is handed out before its bytes"
                assert event.data in (bytes(released[event.start : event.end]), b""), "an element is not its bytes"
            events.append(event)
        assert gate.released_bytes == len(released), "released_bytes"
        lengths.append(len(released))
        if gate.state == "open":
            _check_held(gate, options)
    assert gate.state != "open", "the text is closed"
    if (
        options["release"] != "prefix" and "framing" not in options
    ):  # a line that cannot be held is released as it comes
        spans = [(event.start, event.end) for event in events if isinstance(event, Element)]
        assert not any(start < length < end for start, end in spans for length in lengths), (
            "half an element is released"
        )
    return Run(bytes(released), tuple(events), gate.state)


def _check_held(gate: Gate, options: dict[str, Any]) -> None:
    if options["release"] != "prefix":
        return
    if options["recovery"] == "halt":
        assert gate.held_bytes <= _MAX_UNFINISHED, "more is held than an unfinished escape"
        return
    strategies = 1 + options.get("skip", False)
    assert gate.held_bytes <= strategies * max(options["max_held_bytes"], 128) + 12, "too much is held"


def check(schema: Schema, case: Case) -> Run:
    """What holds for any text, any options, any cuts."""
    text = case.text
    whole = run(schema, [text], case.options, clean=case.clean)
    for name, pieces in (("some cuts", cut(text, case.cuts)), ("every byte", every_byte(text))):
        other = run(schema, pieces, case.options, clean=case.clean)
        assert other == whole, f"{name} changed something:\n  {whole}\n  {other}"
    _check_state(case, whole)
    _check_complete(case, whole)
    if "framing" not in case.options:
        _check_nothing_lost(case, whole)
        _check_live(schema, case, whole)
    if case.is_plain and case.clean:
        _check_valid(case, whole)
    return whole


def _check_state(case: Case, found: Run) -> None:
    ended = [event for event in found.events if isinstance(event, Completed)]
    assert bool(ended) == (found.state == "complete"), "Completed says what the state says"
    assert case.clean or found.state != "complete", "what broke off is complete"
    if found.state == "complete" and not case.options.get("accept_truncated"):
        rules = [event.rule for event in found.events if isinstance(event, Patched)]
        assert "truncated" not in rules, "complete, and the text ended early"
    if found.state != "complete":
        assert any(isinstance(event, Violated) for event in found.events), "not complete, and nobody knows why"
    if "framing" in case.options:
        return
    for event in found.events:
        if isinstance(event, Violated) and event.code == "invalid_utf8":
            assert event.upstream_at == _first_that_is_no_character(case.text), f"not where the bad byte is: {event}"


def _first_that_is_no_character(text: bytes) -> int:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.start
    return -1


def _validator(case: Case) -> Any:
    return jsonschema_rs.validator_for(case.source, offline=True, validate_formats=True)


def _check_complete(case: Case, found: Run) -> None:
    """Nothing is complete that the authority refuses."""
    if found.state != "complete":
        return
    is_lines = "framing" in case.options
    documents = [line for line in found.released.split(b"\n") if line.strip()] if is_lines else [found.released]
    validator = _validator(case)
    assert documents, "complete, and there is nothing"
    for document in documents:
        assert validator.is_valid(json.loads(document)), "complete, and the authority refuses it"


def _check_valid(case: Case, found: Run) -> None:
    """What is valid comes out as it is, whatever the options."""
    try:
        value = json.loads(case.text.decode(), object_pairs_hook=_once, parse_constant=_refuse, parse_float=_in_range)
    except (ValueError, RecursionError):
        return
    if not case.text.strip() or not _is_plain(value) or not _validator(case).is_valid(value):
        return
    others = [event for event in found.events if not isinstance(event, Element | Completed)]
    assert (found.state, found.released, others) == ("complete", case.text, []), f"valid, and not complete: {found}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _refuse(_name: str) -> Any:
    raise ValueError


def _in_range(text: str) -> float:
    """Neither too large for a double nor too small."""
    number = float(text)
    if number in (math.inf, -math.inf) or (not number and any(digit in "123456789" for digit in text.split("e")[0])):
        raise ValueError
    return number


def _is_plain(value: Any) -> bool:
    """Whether there is nothing in it that the authority takes and a gate does not."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()  # no lone surrogates
    except UnicodeEncodeError:
        return False
    return True


def _check_nothing_lost(case: Case, found: Run) -> None:
    """The released text is what came, but for what is told of; only what no text can end with is left behind."""
    skips = [event for event in found.events if isinstance(event, Skipped)]
    if skips:
        _check_skipped(case, found, skips)
        return
    rebuilt, at = bytearray(), 0
    for event in found.events:
        if isinstance(event, Patched):
            assert event.upstream_at >= at, f"behind the change before: {event}"
            rebuilt += case.text[at : event.upstream_at]
            assert event.at == len(rebuilt), f"at is the byte of the released text: {event}"
            at = event.upstream_at + len(event.removed)
            assert case.text[event.upstream_at : at] == event.removed, f"removed is what upstream sent: {event}"
            rebuilt += event.inserted
    text = bytes(rebuilt + case.text[at:])
    assert text.startswith(found.released), "what is released is what came"
    if found.state == "complete":
        assert text == found.released, "complete, and something is missing"
    elif found.state == "incomplete" and case.options["release"] == "prefix":
        lost = len(text) - len(found.released)
        assert lost <= _MAX_UNFINISHED, f"{lost} bytes are lost: {text[len(found.released) :]!r}"


def _check_skipped(case: Case, found: Run, skips: list[Skipped]) -> None:
    """Where something was left out: about as much is missing as was left out."""
    if found.state == "halted" or case.options["release"] != "prefix":
        return
    gone = sum(event.upstream_end - event.upstream_at + 64 for event in skips)
    gone += sum(len(event.removed) for event in found.events if isinstance(event, Patched))
    missing = _signs(case.text) - _signs(found.released)
    assert missing <= gone + _MAX_UNFINISHED, "more is lost than was left out"


def _signs(text: bytes) -> int:
    """Bytes that are no white space: what stands around a value goes with it, however much it is."""
    return len(text.translate(None, b" \t\n\r"))


def _check_live(schema: Schema, case: Case, found: Run) -> None:
    """What is released can still become valid."""
    gate = schema.gate(elements=case.options["elements"])
    gate.feed(found.released)
    assert gate.state == "open", "what was released can no longer become valid"
    options = case.options
    is_closed = options["recovery"] == "patch" and options["max_held_bytes"] > 1000 and options["max_patches"] > 1000
    if case.source is True and is_closed and found.state == "incomplete" and found.released.strip():
        json.loads(found.released)


def run_batch(seed: int, states: Counter[str]) -> None:
    """Check the cases of one seed.

    Raises:
        AssertionError: with the seed, and the case in full.
    """
    for number, (schema, case) in enumerate(batch(seed)):
        try:
            states[check(schema, case).state] += 1
        except Exception as error:
            raise AssertionError(
                f"python -m tests.gate.fuzz {seed}: text {number}: {type(error).__name__}: {error}\n{case}"
            ) from error


def _main() -> None:
    """Run the batches of some seeds, and go on behind each failure."""
    first = int(sys.argv[1])
    last = int(sys.argv[2]) if len(sys.argv) > 2 else first
    states: Counter[str] = Counter()
    for seed in range(first, last + 1):
        for number, (schema, case) in enumerate(batch(seed)):
            try:
                states[check(schema, case).state] += 1
            except Exception as error:  # any kind is a finding here
                states["failed"] += 1
                print(f"seed {seed}, text {number}: {type(error).__name__}: {error}\n  {case}\n")
    print(dict(states))


if __name__ == "__main__":
    _main()

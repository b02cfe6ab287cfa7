"""Strategies are tried in order, on one text: the next one where one gives up."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest

import lockgate
from lockgate import Event, Misuse, Patched, Released, Schema, Skipped, Violated
from lockgate.gate.recovery.patch import PatchStrategy
from lockgate.gate.recovery.patch_rules import PATCH_RULES
from lockgate.gate.recovery.recovering import RecoveringGate
from lockgate.gate.recovery.skip import SkipStrategy
from lockgate.gate.recovery.strategy import StrategyMaker
from tests.gate.recovery.made import made
from tests.gate.recovery.texts import Trial, check

SCHEMA = lockgate.compile(
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "array"}},
        "required": ["a"],
        "additionalProperties": False,
    }
)


def patch(rules: Any = PATCH_RULES) -> StrategyMaker:
    return lambda work, closers: PatchStrategy(work, closers, rules, max_patches=10_000)


def gate_of(schema: Schema, *strategies: StrategyMaker, **options: Any) -> RecoveringGate:
    return RecoveringGate(schema._graph, schema._authority, schema.limits, strategies=strategies, **options)


def run(gate: RecoveringGate, pieces: list[bytes]) -> tuple[bytes, list[Event], str]:
    events = [event for piece in pieces for event in gate.feed(piece)] + gate.close()
    text = b"".join(event.data for event in events if isinstance(event, Released))
    return text, [event for event in events if not isinstance(event, Released)], gate.state


def test_the_second_acts_where_the_first_gives_up() -> None:
    """No rule makes a string of an object; the member may be missing, so it goes. The comma before is mended."""
    text = b'{"a":1,,"b":{"x":"]"},"c":[]}'
    for size in (1, 3, 100):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        released, events, state = run(gate_of(SCHEMA, patch(), SkipStrategy), pieces)
        assert (released, state) == (b'{"a":1,"c":[]}', "complete")
        assert [type(event) for event in events[:-1]] == [Violated, Patched, Violated, Skipped]
        (skipped,) = (event for event in events if isinstance(event, Skipped))
        assert (skipped.path, text[skipped.upstream_at : skipped.upstream_end]) == ("/b", b'"b":{"x":"]"}')
    assert run(gate_of(SCHEMA, patch()), [text])[2] == "halted"


def test_where_nothing_helps_everything_before_the_violation_is_released() -> None:
    released, events, state = run(gate_of(SCHEMA, patch(), SkipStrategy), [b'{"b":"x","a":{}}'])
    assert (released, state) == (b'{"b":"x","a":', "halted")
    assert [event.action for event in events if isinstance(event, Violated)] == ["halt"]


def test_without_rules_the_first_changes_nothing() -> None:
    """What the second makes of a text is then what it makes of it alone."""
    rng = random.Random(4)
    states: Counter[str] = Counter()
    for schema, trial in made(150, 17):
        options = {name: trial.options[name] for name in ("elements", "release")}
        try:
            schema.gate("skip", **options)
            trial.text.decode()  # what is no text ends it, and the first strategy waits to see more of the text
        except (Misuse, UnicodeDecodeError):
            continue
        cuts = sorted(rng.randrange(len(trial.text) + 1) for _ in range(4))
        pieces = [trial.text[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
        alone = run(gate_of(schema, SkipStrategy, **options), pieces)
        assert run(gate_of(schema, patch(()), SkipStrategy, **options), pieces) == alone, trial
        states[alone[2]] += 1
    assert min(states["complete"], states["halted"], states["incomplete"]) > 3


def test_any_text_any_cuts_with_both() -> None:
    """Same bytes, events and state; what was released stays live."""
    rng = random.Random(5)
    for schema, trial in made(150, 18):
        if trial.options.get("framing") is not None:
            continue
        options = {name: trial.options[name] for name in ("elements", "release")}
        makers = patch(), SkipStrategy
        whole = run(gate_of(schema, *makers, **options), [trial.text])
        cuts = sorted(rng.randrange(len(trial.text) + 1) for _ in range(4))
        pieces = [trial.text[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
        assert run(gate_of(schema, *makers, **options), pieces) == whole, trial
        single = [trial.text[at : at + 1] for at in range(len(trial.text))]
        assert run(gate_of(schema, *makers, **options), single) == whole, trial
        gate = schema.gate(elements=trial.options["elements"])
        gate.feed(whole[0])
        assert gate.state == "open", "what was released can no longer become valid"


def test_a_change_inside_a_value_that_is_left_out_never_came_to_be() -> None:
    """The violation that it got past is not told of, either; and what was left out is what upstream sent."""
    inner = {"type": "object", "properties": {"x": {"items": {"type": "integer"}}, "y": {"type": "integer"}}}
    schema = lockgate.compile({"properties": {"a": {"type": "integer"}, "b": {**inner, "required": ["x", "y"]}}})
    for before, after in ((b'{"a": "1", ', b"}"), (b"{", b', "a": "1"}'), (b'{"a": "1" ', b"}")):
        left_out = b'"b": {\'x\': [1 2,], "y": {"z": {}}}'
        text = before + left_out + after
        for size in (1, 3, 100):
            pieces = [text[at : at + size] for at in range(0, len(text), size)]
            gate = schema.gate("patch", skip=True)
            events = [event for piece in pieces for event in gate.feed(piece)] + gate.close()
            released = b"".join(event.data for event in events if isinstance(event, Released))
            assert (json.loads(released), gate.state) == ({"a": 1}, "complete")
            (patched,) = (event for event in events if isinstance(event, Patched))
            assert (patched.rule, patched.removed) == ("scalar_in_string", b'"1"')
            (skipped,) = (event for event in events if isinstance(event, Skipped))
            assert text[skipped.upstream_at : skipped.upstream_end] == left_out
            assert [event.action for event in events if isinstance(event, Violated)].count("patch") == 1


def test_skip_behind_patch_is_an_option() -> None:
    text = b'{"a":1,"b":{"x":1}}'
    gate = SCHEMA.gate("patch", skip=True)
    gate.feed(text)
    gate.close()
    assert gate.state == "complete"
    lines = SCHEMA.gate("patch", skip=True, framing="ndjson")
    events = [*lines.feed(b'{\'a\':1}\n{"a":{}}\n{"a":"3"}\n'), *lines.close()]
    assert [event.value() for event in events if isinstance(event, lockgate.Element)] == [{"a": 1}, {"a": 3}]
    assert [type(event) for event in events if isinstance(event, Skipped | Violated)].count(Skipped) == 1
    with pytest.raises(Misuse, match="skip"):
        SCHEMA.gate("halt", skip=True)


@pytest.mark.parametrize(("text", "state"), [("[5,5,7]", "halted"), ("[5,6,7]", "complete"), ("[5,5 ,7]", "halted")])
def test_a_number_before_what_is_left_out_counts(text: str, state: str) -> None:
    """Patch looked at it for nothing, and the comma that had ended it: it is an element all the same."""
    schema = {"prefixItems": [True, True], "items": False, "uniqueItems": True}
    options = {"recovery": "patch", "skip": True, "elements": "", "release": "prefix", "max_held_bytes": 200}
    assert check(Trial(schema, text.encode(), options), random.Random(5)).state == state

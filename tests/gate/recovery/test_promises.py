"""The promises, with recovery: any text, any cuts, every mode."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

import lockgate
from lockgate import Completed, Misuse, Patched, Released, SchemaError, Skipped, Violated
from lockgate.gate.events import Recovery
from lockgate.gate.recovery.recovering import RecoveringGate
from tests.conftest import Corpus
from tests.gate.recovery import faults, texts
from tests.gate.recovery.made import made


def _run(folder: Path, count: int, seed: int) -> Counter[str]:
    states: Counter[str] = Counter()
    rng = random.Random(seed)
    for trial in texts.trials(faults.wild(folder), count, seed):
        try:
            states[texts.check(trial, rng).state] += 1
        except SchemaError:
            states["schema"] += 1
        except AssertionError as error:
            raise AssertionError(f"{error}: {trial.options} {trial.text[:300]!r}") from error
    return states


def test_any_text_any_cuts_every_mode(corpus: Corpus) -> None:
    """Same bytes, events and state; released text stays live; complete is valid by the authority."""
    states = _run(corpus.folder / "suites" / "jsonschemabench", 120, seed=20)
    assert min(states["complete"], states["halted"], states["incomplete"]) > 5


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", range(5))
def test_ten_thousand_texts(shared_data: Path, seed: int) -> None:
    print(_run(shared_data / "suites" / "jsonschemabench", 2000, seed))


def _run_made(count: int, seed: int) -> Counter[str]:
    states: Counter[str] = Counter()
    rng = random.Random(seed)
    for schema, trial in made(count, seed):
        try:
            states[texts.check_with(schema, trial, rng).state] += 1
        except AssertionError as error:
            raise AssertionError(f"{error}: {trial}") from error
    return states


def test_any_keywords_any_limits_any_bytes() -> None:
    states = _run_made(100, seed=13)
    assert min(states["complete"], states["halted"], states["incomplete"]) > 3


def _run_with_skip(folder: Path, count: int, seed: int) -> Counter[str]:
    """The same with skip behind patch, for texts and schemas of both kinds."""
    states: Counter[str] = Counter()
    rng = random.Random(seed)
    wild = ((None, trial) for trial in texts.trials(faults.wild(folder), count, seed))
    for schema, trial in itertools.chain(wild, made(count, seed)):
        if trial.options["recovery"] != "patch" or "framing" in trial.options:
            continue
        with_skip = trial._replace(options={**trial.options, "skip": True})
        try:
            if schema is None:
                found = texts.check(with_skip, rng)
            else:
                found = texts.check_with(schema, with_skip, rng)
        except SchemaError:
            continue
        except AssertionError as error:
            raise AssertionError(f"{error}: {with_skip}") from error
        states[found.state] += 1
        states["skipped"] += any(isinstance(event, Skipped) for event in found.events)
    return states


def test_patch_then_skip(corpus: Corpus) -> None:
    """Nothing is told of a change inside what was left out; the rest is what patch promises."""
    states = _run_with_skip(corpus.folder / "suites" / "jsonschemabench", 150, seed=8)
    assert min(states["complete"], states["halted"], states["skipped"]) > 10


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", range(100, 105))
def test_ten_thousand_made_schemas(seed: int) -> None:
    print(_run_made(2000, seed))


@pytest.mark.parametrize("recovery", ["patch", "skip"])
def test_a_valid_document_comes_out_as_it_is(corpus: Corpus, recovery: str) -> None:
    """Byte for byte, with no event but Completed."""
    for one in faults.wild(corpus.folder / "suites" / "jsonschemabench")[::9]:
        for text in (json.dumps(one.value), json.dumps(one.value, indent=1, ensure_ascii=False)):
            options = {"recovery": recovery, "release": "prefix", "max_held_bytes": 65536}
            pieces = [text.encode()[at : at + 7] for at in range(0, len(text.encode()), 7)]
            found = texts.run(lockgate.compile(one.schema), pieces, options)
            assert (found.released, found.events) == (text.encode(), (Completed(len(text.encode())),))


@pytest.mark.parametrize(
    "text",
    [
        '{"meta": {"i1,}Truenul "12345678-1234-1234-9876-123456789012", "a": 1}}',
        '[{"a name of some length": 00us": "pong", "b": "pong"}]',
        '{"start_ti”: "2024-01-01 20:00:00", "title": "New Year"}',
        '{"a member that has a name": "some\ttext\n", "b": "x"}',
        '{"a member that has a name": "red(", "b": "x"}',
    ],
)
def test_what_is_given_up_does_not_depend_on_the_cuts(text: str) -> None:
    """A value whose name and first digits were released, since no more may be held, is not changed any more."""
    schema = lockgate.compile({"properties": {"a member that has a name": {"enum": ["red", "some\ttext\n"]}}})
    options = {"recovery": "patch", "release": "prefix", "max_held_bytes": 20}
    whole = texts.run(schema, [text.encode()], options)
    assert texts.run(schema, _byte_by_byte(text.encode()), options) == whole


def test_faults_in_escapes_at_any_cut() -> None:
    """Where the string began is known exactly, in whatever part of an escape the fault stands."""
    whole = ["\\n", '\\"', "\\u0041", "\\ud83d\\ude00", "é", "😀", "x"]
    broken = [
        "\\q",
        "\\u12",
        "\\u12z",
        "\\ud800",
        "\\ud800x",
        "\\ud800\\",
        "\\ud800\\n",
        "\\ud800\\u00",
        "\\ud800\\u0041",
    ]
    broken += ["\\udc00", "\t", "\\u0042", "B", "\\ud83d\\ude01"]
    rng = random.Random(1)
    for each in (True, {"pattern": "^[^B\U0001f601]*$"}, {"enum": ["x\nAé😀", "xq"]}):
        schema = lockgate.compile({"items": each})
        for _ in range(120):
            inner = "".join(rng.choices(whole, k=rng.randint(0, 4))) + rng.choice(broken) + rng.choice(whole)
            text = f'["{inner}"]'.encode()
            options = {"recovery": "patch", "release": "prefix", "max_held_bytes": 65536}
            found = texts.run(schema, [text], options)
            assert texts.run(schema, _byte_by_byte(text), options) == found
            assert texts.run(schema, [text[at : at + 3] for at in range(0, len(text), 3)], options) == found


def _byte_by_byte(text: bytes) -> Iterator[bytes]:
    return (text[at : at + 1] for at in range(len(text)))


@pytest.mark.parametrize("recovery", ["patch", "skip"])
def test_a_gate_is_rebuilt_from_what_it_released(corpus: Corpus, recovery: Recovery) -> None:
    """Cut anywhere, also inside a character: the same bytes are released, nothing is held, and the text goes on."""
    for one in faults.wild(corpus.folder / "suites" / "jsonschemabench")[::20]:
        text = json.dumps(one.value, ensure_ascii=False).encode()
        middle = len(text) // 2
        schema = lockgate.compile(one.schema)
        gate = schema.gate(recovery)
        gate.feed(text[:middle])
        released = text[: gate.released_bytes]
        rebuilt = cast(RecoveringGate, schema.gate(recovery))
        events = [event for piece in _byte_by_byte(released) for event in rebuilt.restore(piece)]
        assert b"".join(event.data for event in events if isinstance(event, Released)) == released
        assert rebuilt.held_bytes == 0
        rest = [*rebuilt.feed(text[len(released) :]), *rebuilt.close()]
        assert b"".join(event.data for event in rest if isinstance(event, Released)) == text[len(released) :]
        assert rebuilt.state == "complete"


@pytest.mark.parametrize(
    ("released", "rest", "wanted"),
    [
        (b'{"a":1}', b"Done.", b""),
        (b'{"a":1', b' "b":2}', b', "b":2}'),
        (b'{"a":{}', b"}", b"}"),
        (b"{", b"'b':2,}", b'"b":2}'),
        (b'{"a":"x', b'y"z"}', b'y\\"z"}'),
    ],
)
def test_a_rebuilt_gate_still_mends(released: bytes, rest: bytes, wanted: bytes) -> None:
    """Also what stands right behind the text that it was rebuilt from."""
    gate = cast(RecoveringGate, lockgate.compile(True).gate("patch"))
    gate.restore(released)
    events = [*gate.feed(rest), *gate.close()]
    assert b"".join(event.data for event in events if isinstance(event, Released)) == wanted
    assert gate.state == "complete"


@pytest.mark.parametrize("recovery", ["patch", "skip"])
def test_what_waits_is_decided_and_what_is_open_stays_open(recovery: Recovery) -> None:
    schema = lockgate.compile({"type": "object", "required": ["a"], "additionalProperties": {"type": "integer"}})
    for text, state in ((b'{"b":1}', "halted"), (b'{"a":1, "b":2', "open"), (b'{"a":1} ', "open")):
        gate = cast(RecoveringGate, schema.gate(recovery))
        gate.feed(text)
        gate.decide()
        assert gate.state == state
    gate.close()
    assert gate.state == "complete"


def test_what_no_gate_released_is_not_restored() -> None:
    for text in (b'{"a":]', b'["\xff"]'):
        gate = cast(RecoveringGate, lockgate.compile(True).gate("patch"))
        with pytest.raises(Misuse, match="restore takes text that a gate has released"):
            gate.restore(text)


def test_a_change_is_reported_when_its_text_is_released() -> None:
    """Also where the text behind it came without a violation, while the change was still held."""
    gate = lockgate.compile(True).gate("patch")
    events = [event for piece in _byte_by_byte(b'{"a":1,,"' + b"n" * 60 + b'":"x') for event in gate.feed(piece)]
    kinds = [type(event) for event in events if not isinstance(event, Released)]
    assert kinds == [Violated, Patched]
    assert events.index(next(event for event in events if isinstance(event, Patched))) < len(events) - 1


def test_patched_tells_every_change() -> None:
    """The changes, applied to what upstream sent, give what was released."""
    text = b"Here:\n{'name': 'Ann', \"age\": \"12\", tags: [\"a\" 'b',], note: None,}\ndone"
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}}
    found = lockgate.repair(text, schema)
    rebuilt, at = bytearray(), 0
    for patch in found.patches:
        rebuilt += text[at : patch.upstream_at]
        assert patch.at == len(rebuilt), "at is the byte of the released text"
        assert text[patch.upstream_at : patch.upstream_at + len(patch.removed)] == patch.removed
        rebuilt += patch.inserted
        at = patch.upstream_at + len(patch.removed)
    assert (rebuilt + text[at:]).decode() == found.text
    assert json.loads(found.text) == {"name": "Ann", "age": 12, "tags": ["a", "b"], "note": None}
    assert [error.action for error in found.errors] == ["patch"] * len(found.errors)

"""Any text, any schema, any options, any cuts: no exception, nothing that depends on cuts, nothing false, nothing lost.

``make fuzz`` is the long form. A failure names its seed, and ``python -m tests.gate.fuzz SEED`` runs it again.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

import pytest

import lockgate
from lockgate import Completed, Element, Patched, Released, Skipped, Violated
from tests.gate.fuzz import BATCH, run_batch

#: Texts of the long form, and its first seed. Nothing is run twice by other seeds.
_TEXTS = int(os.environ.get("FUZZ_TEXTS", "1000000"))
_FIRST_SEED = int(os.environ.get("FUZZ_SEED", "1000000"))
_SHARDS = 200


def test_any_text_any_options_any_cuts() -> None:
    states: Counter[str] = Counter()
    for seed in range(100):
        run_batch(seed, states)
    assert min(states["complete"], states["halted"], states["incomplete"]) > 200, states


@pytest.mark.fuzz
@pytest.mark.parametrize("shard", range(_SHARDS))
def test_a_million_texts(shard: int) -> None:
    """Each shard has its own seeds, so they may run side by side."""
    states: Counter[str] = Counter()
    batches = -(-_TEXTS // (BATCH * _SHARDS))
    for seed in range(_FIRST_SEED + shard * batches, _FIRST_SEED + (shard + 1) * batches):
        run_batch(seed, states)
    print(f"shard {shard}: {dict(states)}")


# -- what it found ---------------------------------------------------------------------------------------------------


def _said(text: bytes, schema: Any = True, *, clean: bool = True, **options: Any) -> tuple[bytes, list[Any], str]:
    gate = lockgate.compile(schema).gate(**options)
    events = [*gate.feed(text), *gate.close(clean=clean)]
    released = b"".join(event.data for event in events if isinstance(event, Released))
    return released, [event for event in events if not isinstance(event, Released)], gate.state


@pytest.mark.parametrize("clean", [True, False], ids=["ended", "broke off"])
def test_what_is_held_is_released_when_upstream_breaks_off(clean: bool) -> None:
    """Skip holds optional members, and patch what it may still change; none of it is wrong."""
    text = b'{"note": {"text": "' + b"x" * 4200 + b'", "n": [1, 2'
    assert _said(text, recovery="skip", clean=clean)[0] == text
    released, events, state = _said(text, recovery="patch", clean=clean)
    assert (released, state) == (text + b"]}}", "incomplete")
    assert [event.rule for event in events if isinstance(event, Patched)] == ["truncated"] * 3


@pytest.mark.parametrize("recovery", ["patch", "skip"])
def test_a_last_line_that_is_cut_is_not_complete(recovery: Any) -> None:
    text = b'{"n": 1}\n{"n": [2'
    released, events, state = _said(text, recovery=recovery, framing="ndjson")
    assert state == "incomplete"
    assert released == text + (b"]}" if recovery == "patch" else b"")
    assert [event.path for event in events if isinstance(event, Element)] == ["/0"]
    assert [event.code for event in events if isinstance(event, Violated)] == ["truncated"]
    assert not any(isinstance(event, Completed) for event in events)


@pytest.mark.parametrize("recovery", ["halt", "patch", "skip"])
def test_no_element_is_handed_out_before_its_bytes(recovery: Any) -> None:
    gate = lockgate.compile(True).gate(recovery, elements="", release="document")
    assert gate.feed(b'[1, "a", ') == []
    released, ends = 0, []
    for event in [*gate.feed(b"2]"), *gate.close()]:
        if isinstance(event, Released):
            released += len(event.data)
        elif isinstance(event, Element):
            assert event.end <= released
            ends.append(event.end)
    assert (released, ends) == (11, [2, 7, 10])


def test_a_number_that_ends_before_another_character_is_released() -> None:
    """However the text is cut, also inside that character."""
    text = "12”".encode()
    whole = _said(text, release="document")
    gate = lockgate.compile(True).gate(release="document")
    events = [event for at in range(len(text)) for event in gate.feed(text[at : at + 1])]
    assert [event.data for event in events if isinstance(event, Released)] == [whole[0]] == [b"12"]


@pytest.mark.parametrize(
    ("schema", "text", "options"),
    [
        pytest.param({"type": "integer"}, b"1" + b"0" * 400 + b"e-1", {}, id="infinite before its exponent"),
        pytest.param({"enum": [10**310, 1.5]}, b"1" + b"0" * 310 + b".5", {}, id="larger than a double"),
        pytest.param(
            {"type": "boolean"},
            b"8" * 310 + b"x",
            {"recovery": "patch", "lossy": ["amount"]},
            id="no amount",
        ),
    ],
)
def test_long_numbers_raise_nothing_and_end(schema: Any, text: bytes, options: dict[str, Any]) -> None:
    assert _said(text, schema, **options)[2] in ("halted", "complete")


@pytest.mark.parametrize("text", [b"1" + b"0" * 450 + b"e-400", b"0." + b"0" * 400 + b"1e400"])
def test_only_the_whole_number_must_fit_a_double(text: bytes) -> None:
    assert _said(text) == (text, [Completed(len(text))], "complete")


def test_a_string_of_which_nothing_fits_raises_nothing() -> None:
    """The limit is reached before its first character."""
    limits = lockgate.Limits(max_string_bytes=1)
    schema = lockgate.compile({"properties": {"a": {"type": "string", "maxLength": 3}}}, limits=limits)
    gate = schema.gate("patch")
    (*_, event) = gate.feed('{"a": "é'.encode())
    assert isinstance(event, Violated)
    assert event.code == "string_limit"


@pytest.mark.parametrize("recovery", ["halt", "patch", "skip"])
def test_white_space_before_a_document_that_never_came_is_released(recovery: Any) -> None:
    released, events, state = _said(b" \n ", recovery=recovery, clean=False)
    assert (released, state) == (b" \n ", "incomplete")
    assert [event.code for event in events] == ["truncated"]


def test_what_was_removed_before_a_document_that_never_came_is_told() -> None:
    text = b' \n/* [{"a": 1'
    released, events, state = _said(text, recovery="patch", clean=False)
    assert (released, state) == (b" \n", "incomplete")
    assert [(event.at, event.removed) for event in events if isinstance(event, Patched)] == [(2, text[2:])]


@pytest.mark.parametrize("release", ["prefix", "element"])
@pytest.mark.parametrize("text", [b'["a"],', b'["a"]]', b'[{"n": "b"}, "a"],'])
def test_no_element_is_in_hand_where_the_document_is_open_again(text: bytes, release: Any) -> None:
    """Its closing bracket was one too many; the string before it had ended, and is not held for its quote any more."""
    released, events, state = _said(text, recovery="patch", elements="", release=release, accept_truncated=True)
    assert (released, state) == (text[:-1], "complete")
    assert [event.end for event in events if isinstance(event, Element)][-1] == len(released) - 1


@pytest.mark.parametrize("text", [b"-", b" -", b"[-", b'{"a": -', b"[1, -"])
def test_a_sign_without_digits_is_left_out_where_the_text_ends(text: bytes) -> None:
    released, events, state = _said(text, recovery="patch")
    assert state == "incomplete"
    assert not released.strip() or json.loads(released) in ([], {}, [1])
    assert all(event.rule == "truncated" for event in events if isinstance(event, Patched))


def test_what_is_being_left_out_is_told_of_where_the_text_can_no_longer_be_read() -> None:
    """And the events before it fit what was sent: the mark in front of the value stands where it stood."""
    text = b'{\n \xef\xbb\xbf"x": {"y": 1, "z": 2, \xb3'
    schema = {"additionalProperties": {"type": "array", "items": {"type": "string"}}}
    _, events, state = _said(text, schema, recovery="patch", skip=True, max_held_bytes=20)
    assert state == "halted"
    assert [(event.path, event.upstream_end) for event in events if isinstance(event, Skipped)] == [("/x", 27)]
    assert (events[-1].code, events[-1].upstream_at) == ("invalid_utf8", text.index(b"\xb3"))


@pytest.mark.parametrize("text", [b"\xb3", b"Here it is: " * 20 + b"\xb3", b"[1, /* two \xb3 */ 2]", b'{"a": \'b\xb3'])
def test_a_byte_that_is_no_character_is_told_where_it_is(text: bytes) -> None:
    """Also behind what a rule has taken, and not released."""
    (*_, last) = _said(text, {"type": ["object", "array"]}, recovery="patch")[1]
    assert (last.code, last.upstream_at) == ("invalid_utf8", text.index(b"\xb3"))


@pytest.mark.parametrize("text", [b'"\\', b'"\\u1', b'"\\ud83d', b'"\\ud83d\\', b'"\\ud83d\\u', b'"\\ud83d\\ud'])
def test_half_an_escape_at_the_end_is_cut_where_it_begins(text: bytes) -> None:
    """And the string is judged again from its beginning, not from another byte."""
    for before in (b"", b"abc", b"\\n"):
        half = text[:1] + before + text[1:]
        assert _said(half, {"maxLength": 4}, recovery="patch")[0] == b'"' + before + b'"'
        assert _said(half, {"maxLength": 4}, recovery="patch", max_held_bytes=1)[2] in ("halted", "incomplete")


@pytest.mark.parametrize("text", [b'"line\\nnline"', b'"line\\nli\', e"', b'"line\nnline"'])
def test_a_string_longer_than_the_limit_is_judged_again_from_its_beginning(text: bytes) -> None:
    limits = lockgate.Limits(max_string_bytes=10)
    schema = lockgate.compile({"const": "line\nline"}, limits=limits)
    gate = schema.gate("patch", skip=True)
    gate.feed(text)
    gate.close()
    assert gate.state in ("halted", "complete")


@pytest.mark.parametrize("release", ["prefix", "element"])
def test_an_element_that_is_left_out_is_not_in_hand(release: Any) -> None:
    """Though its closing quote was in doubt: the array ends behind it, and all of it is released."""
    schema = {"type": "array", "items": {"type": "string", "pattern": "^[a-c]+$"}}
    options = {"recovery": "patch", "skip": True, "elements": "", "release": release, "accept_truncated": True}
    released, _, state = _said(b'""a":1024-02-29rueT10:\t00:00Z"', schema, **options)
    assert (released, state) == (b"[]", "complete")


def _however_cut(text: bytes, schema: Any = True, **options: Any) -> tuple[bytes, list[Any], str]:
    """What is said of a text; of all of it at once the same as of each byte alone."""
    whole = _said(text, schema, **options)
    gate = lockgate.compile(schema).gate(**options)
    events = [event for at in range(len(text)) for event in gate.feed(text[at : at + 1])]
    events += gate.close()
    released = b"".join(event.data for event in events if isinstance(event, Released))
    assert (released, [one for one in events if not isinstance(one, Released)], gate.state) == whole
    return whole


@pytest.mark.parametrize("number", [b"9" * 124, b"9" * 124 + b"None", b"-1." + b"0" * 90, b"1e" + b"7" * 90])
def test_a_long_number_in_prose_is_told_by_what_can_be_seen_of_it(number: bytes) -> None:
    _however_cut(
        b"it is text " + number + b" and then 12 of them" + b" or so" * 20, {"type": "number"}, recovery="patch"
    )


def test_the_name_of_the_member_in_hand_follows_no_string_in_it() -> None:
    """In other quotes, where a quote may be missing: however far the text was read when that is asked."""
    text = '{"id":“ {\n "n": 1,\n "id": 2\n },\n "x": 3}'.encode() + b" " * 100
    _however_cut(text, {"properties": {"id": True, "x": True, "y": True}}, recovery="patch")


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        pytest.param(b'{"a": \'', b'\'"a name of some length": 1}', id="a name in other quotes"),
        pytest.param(b"{'", b"'   -1}", id="a number behind a name"),
        pytest.param(b"{'", b"'   true}", id="a literal behind a name"),
        pytest.param(b"[", b' no quotes"= 1]', id="a colon of two bytes"),
        pytest.param(b'{"a": \'', b"'," + b" " * 120 + b'"b": 1}', id="white space behind a comma"),
        pytest.param(b'{"a": \'', b"', /*" + b"c" * 120 + b'*/ "b": 1}', id="a comment behind a comma"),
        pytest.param(b'{"a": [\'', b"'}" + b"\n " * 70 + b"]}", id="brackets far apart"),
        pytest.param(b'{"a": x', b"," + b" " * 24 + b'"' + b"n" * 60 + b'"       : 1}', id="a long name behind words"),
        pytest.param(b'{"a": x', b"\\n" + b"\\n  " * 40 + b"}", id="line ends that are written out"),
    ],
)
def test_what_follows_a_token_is_seen_as_far_however_the_text_is_cut(before: bytes, behind: bytes) -> None:
    for length in (0, 1500):  # then the token is being rewritten already
        _however_cut(before + b"x" * length + behind + b" " * 200, recovery="patch")


@pytest.mark.parametrize("held", [20, 65536])
@pytest.mark.parametrize(
    "text", [b'["""it is text and more""", "b"]', b'["a", "b" and more text", "d"]', b'["" b and more" c"]']
)
def test_an_element_is_released_as_one_though_its_end_was_not_the_one_that_was_meant(text: bytes, held: int) -> None:
    gate = lockgate.compile(True).gate("patch", elements="", release="element", max_held_bytes=held)
    lengths: list[int] = []
    events: list[Any] = []
    for at in range(len(text)):
        events += gate.feed(text[at : at + 1])
        lengths.append(gate.released_bytes)
    spans = [(event.start, event.end) for event in [*events, *gate.close()] if isinstance(event, Element)]
    assert spans
    assert not any(start < length < end for start, end in spans for length in lengths)


def test_what_is_noted_at_a_byte_is_told_before_the_change_that_stands_there() -> None:
    """White space of another script stands behind the bracket that is put in, and its change is told behind it, too."""
    text = '{"a": 1}{{\u00a0'.encode()
    options: dict[str, Any] = {"recovery": "patch", "accept_truncated": True}
    released, events, state = _said(text, {"type": "array", "items": {"type": "object"}}, **options)
    assert (released, state) == (b'[{"a": 1},{}] ', "complete")
    assert [event.at for event in events if isinstance(event, Patched)] == sorted(
        event.at for event in events if isinstance(event, Patched)
    )
    assert [event.rule for event in events if isinstance(event, Patched)][-2:] == ["wrap_element", "sign"]


@pytest.mark.parametrize(
    "text", [b'[{"a": no quotes"', b'[{"a": no quotes', b"[{\"a\": 'other quotes'", b"[{'other quotes'"]
)
def test_what_waits_to_see_more_waits_for_little(text: bytes) -> None:
    """However much white space follows, and before whatever comes behind that."""
    for count in (60, 64, 5000):
        gate = lockgate.compile(True).gate("patch", max_held_bytes=20)
        for byte in text + b" " * count + b"," + b"9" * 200:
            gate.feed(bytes([byte]))
            assert gate.held_bytes <= 140


@pytest.mark.parametrize("white", [47, 48, 49, 100])
@pytest.mark.parametrize(
    ("schema", "text"),
    [
        pytest.param({"type": "object"}, b'[{"a": %s}%s]', id="a bracket that is left out"),
        pytest.param({"type": "array", "items": {"type": "object"}}, b'{"a": %s}%s{"a": 2}', id="another document"),
        pytest.param({"type": "array", "items": {"type": "object"}}, b'{"a": %s},%s{"a": 2}', id="behind a comma"),
    ],
)
def test_a_bracket_is_due_by_what_is_seen_however_the_text_is_cut(schema: Any, text: bytes, white: int) -> None:
    _however_cut(text % (b'"long"' + b" " * 90, b" " * white), schema, recovery="patch")
    _however_cut(text % (b'"' + b"x" * 1500 + b'"', b" " * white), schema, recovery="patch")


def test_what_is_in_hand_is_decided_before_bytes_that_are_no_text() -> None:
    """However much of it came before they did."""
    text = b'{"items": [\n  1e+16,\n  1e+16,\n  1e+1nul\n ],\n "b": 9007199254\xff740992}'
    schema = lockgate.compile({"properties": {"items": {"items": {"const": 1e16}}}})
    options: dict[str, Any] = {"elements": "/items", "release": "element", "max_held_bytes": 200, "skip": True}
    found = set()
    for at in range(len(text)):
        gate = schema.gate("patch", **options)
        events = [*gate.feed(text[:at]), *gate.feed(text[at:])]
        released = b"".join(event.data for event in events if isinstance(event, Released))
        found.add((released, str([one for one in events if not isinstance(one, Released)]), gate.state))
    assert len(found) == 1, found


def test_the_comma_before_an_element_is_released_with_it_however_the_text_is_cut() -> None:
    """Also where little may be held, and its last quote is in doubt."""
    schema = {"properties": {"items": True, "b": True}}
    options: dict[str, Any] = {"elements": "/items", "release": "element", "max_held_bytes": 1}
    for behind in (b'"a":165427606539],1 "b": [-1, -1, -1]}', b'"a" and more" c"]}', b'"a"]}'):
        _however_cut(b'{"items": [-111437355' + behind, schema, recovery="patch", **options)


def test_no_more_is_held_with_what_a_rewriter_looks_at_ahead() -> None:
    """What follows a violation waits to be seen, and some of it is in a rewriter's hands."""
    gate = lockgate.compile({"items": {"enum": [-1, "a"]}}).gate("patch", elements="", max_held_bytes=200)
    text = rb"[, \u12\ ".rstrip() + b"9" * 142 + "<think>“\\u12<think>".encode() + b"x" * 40 + b"null"
    for at in range(len(text)):
        gate.feed(text[at : at + 1])
        assert gate.held_bytes <= 200 + 12


@pytest.mark.parametrize("letters", [40, 47, 48, 49, 60])
def test_a_word_that_is_cut_may_come_in_pieces(letters: int) -> None:
    """How far a word without quotes is written depends on how much comes at once; what rules may do does not."""
    text = b"[[9" + b"a" * letters + b"]9\n]"
    schema = {"items": {"items": {"type": "string", "maxLength": 2}}}
    compiled = lockgate.compile(schema)

    def said(cuts: list[int]) -> tuple[list[Any], str]:
        gate = compiled.gate("patch", lossy=("cut",))
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        events = [event for piece in pieces for event in gate.feed(piece)] + list(gate.close())
        return [event for event in events if not isinstance(event, Released)], gate.state

    whole = said([])
    assert all(said([cut]) == whole for cut in range(1, len(text)))
    assert said(list(range(1, len(text)))) == whole

"""Going on after a broken stream: every way of asking, every manner."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from lockgate.errors import BadRequest
from lockgate.sim.continuation import Kind, Manner, PrefillRefused, start_of_rest
from lockgate.sim.damage import first_difference
from lockgate.sim.generation import compose
from lockgate.sim.prose import FreeText
from tests.sim.asks import FORMAT, SCHEMA, USER, asked, document, script

MODELS = ["sim/products", "sim/glossary", "sim/schema", "sim/text"]
WAYS = ["prefill", "tail"]


def messages(way: str, so_far: str) -> list[dict[str, Any]]:
    """The messages that ask for the rest of a text."""
    talk: list[dict[str, Any]] = [USER, {"role": "assistant", "content": so_far}]
    if way == "tail":
        words = f"It ends with <tail>{so_far[-40:]}</tail>. Continue with the very next character."
        talk.append({"role": "user", "content": words})
    return talk


def rest(way: str, so_far: str, model: str = "sim/products", **sim: Any) -> str:
    return script(model, *messages(way, so_far), **sim).text


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", WAYS)
def test_every_beginning_and_its_rest_make_the_document(way: str, model: str) -> None:
    whole = document(model, size_bytes=1_000)
    for end in range(len(whole) + 1):
        assert whole[:end] + rest(way, whole[:end], model, size_bytes=1_000) == whole


def test_the_ways_of_asking_are_told_apart() -> None:
    def kind(*talk: dict[str, Any], **more: Any) -> Kind:
        return asked("sim/products", *talk, more=more).conversation.kind

    text = {"role": "assistant", "content": '{"a'}
    parts = {"role": "assistant", "content": [{"type": "text", "text": '{"a'}], "prefix": True}
    tail = {"role": "user", "content": '<tail>{"a</tail>'}
    missing = {"role": "user", "content": "Only <missing>b</missing>"}
    assert kind(USER) is Kind.FIRST
    assert kind(USER, text, USER) is Kind.FIRST
    assert kind(tail) is Kind.FIRST
    assert kind(USER, text) is Kind.PREFILL
    assert kind(USER, parts) is Kind.PREFILL
    assert asked("sim/products", USER, parts).conversation.so_far == '{"a'
    assert kind(USER, text, continue_final_message=True, add_generation_prompt=False) is Kind.PREFILL
    assert kind(USER, text, tail) is Kind.TAIL
    assert kind(USER, text, missing) is Kind.FIRST
    assert kind(USER, text, missing, response_format=FORMAT) is Kind.RESIDUAL
    assert kind(missing, response_format=FORMAT) is Kind.RESIDUAL
    odd = {"role": "user", "content": 'Go on after <tail>"the <missing> piece</tail>'}
    assert kind(USER, text, odd, response_format=FORMAT) is Kind.TAIL
    with pytest.raises(BadRequest, match="continue_final_message needs"):
        kind(USER, continue_final_message=True)


def test_the_tail_may_hold_anything() -> None:
    talk = [USER, {"role": "assistant", "content": "a</tail>b<tail>c"}]
    talk.append({"role": "user", "content": "<tail></tail>b<tail>c</tail> go on"})
    assert asked("sim/text", *talk).conversation.tail == "</tail>b<tail>c"


@pytest.mark.parametrize("way", WAYS)
def test_a_text_that_was_changed_on_the_way_is_continued_at_its_end(way: str) -> None:
    whole = document()
    for end in range(200, len(whole), 37):
        changed = whole[:50] + "CHANGED" + whole[60:end]
        assert rest(way, changed) == whole[end:]


def test_a_text_that_is_not_its_own_is_answered_from_the_start() -> None:
    assert rest("prefill", "Once upon a time there was a ferry.") == document()


def test_the_nearest_of_several_places_is_taken() -> None:
    text = "x" * 5 + "0123456789" + "y" * 50 + "0123456789" + "z" * 50
    assert start_of_rest(text, "?" * 5 + "0123456789") == 15
    assert start_of_rest(text, "?" * 55 + "0123456789") == 75
    assert start_of_rest(text, "", "") == 0


@pytest.mark.parametrize("model", ["sim/products", "sim/text", "sim/schema"])
def test_what_is_missing_is_written_for_its_own_schema(model: str) -> None:
    missing = {"type": "object", "properties": {"price": {"type": "number"}}, "required": ["price"]}
    talk = [USER, {"role": "assistant", "content": "{"}, {"role": "user", "content": "Write <missing>price</missing>"}]
    for shape in ({"type": "json_schema", "json_schema": {"name": "m", "schema": missing}}, {"schema": missing}):
        for seed in range(20):
            text = script(model, *talk, more={"response_format": shape}, seed=seed).text
            assert jsonschema_rs.is_valid(missing, json.loads(text))


def test_the_same_request_again_gives_the_same_document() -> None:
    ask = asked()
    assert compose(ask, 1).text == compose(ask, 2).text == compose(ask, 7).text


# -- faults and attempts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", ["cut", "wrong_type", "missing_comma", "second_document", "length"])
def test_faults_strike_in_what_is_still_to_come(way: str, fault: str) -> None:
    whole = document()
    for end in range(0, len(whole) - 400, 171):
        text = rest(way, whole[:end], faults=[fault])
        assert first_difference(text, whole[end:]) > 100
        assert text != whole[end:]


def test_a_place_counts_from_where_the_answer_begins() -> None:
    whole = document("sim/log-lines")
    assert rest("prefill", whole[:500], "sim/log-lines", fault="cut", at_bytes=300) == whole[500:800]


def test_faults_end_with_their_attempts() -> None:
    ask = asked(fault="cut", fault_attempts=2, key="a")
    whole = document()
    assert [compose(ask, attempt).text == whole for attempt in (1, 2, 3)] == [False, False, True]


def test_the_key_is_the_callers_or_the_same_for_all_that_ask_for_one_answer() -> None:
    first = asked()
    keys = {first.key}
    for way in WAYS:
        keys.add(asked("sim/products", *messages(way, '{"a')).key)
    missing = [*messages("prefill", "{"), {"role": "user", "content": "<missing>"}]
    keys.add(asked("sim/products", *missing, more={"response_format": FORMAT}).key)
    assert keys == {first.key}
    assert asked("sim/products", {"role": "user", "content": "other"}).key != first.key
    assert asked(key="mine").key == asked("sim/poll", key="mine").key != first.key


# -- manners -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", WAYS)
def test_echo_repeats_the_end_before_it_goes_on(way: str, model: str) -> None:
    whole = document(model, size_bytes=1_000)
    for end in range(1, len(whole)):
        text = rest(way, whole[:end], model, manners=["echo"], size_bytes=1_000)
        echoed = text[: len(text) - len(whole[end:])]
        assert 1 <= len(echoed) <= 60
        assert whole[:end].endswith(echoed)
        assert text.endswith(whole[end:])


@pytest.mark.parametrize("way", WAYS)
def test_restart_begins_again(way: str) -> None:
    whole = document(size_bytes=1_000)
    for end in range(len(whole) + 1):
        assert rest(way, whole[:end], manners=["restart"], size_bytes=1_000) == whole


@pytest.mark.parametrize("way", WAYS)
def test_preface_talks_first(way: str) -> None:
    whole = document(size_bytes=1_000)
    fences = 0
    for end in range(len(whole) - 20):
        text = rest(way, whole[:end], manners=["preface"], size_bytes=1_000)
        before, found, after = text.partition(whole[end:])
        assert found
        assert before.strip()
        assert ("```" in before) == ("```" in after)
        fences += "```" in before
    assert 0 < fences < len(whole) - 20


@pytest.mark.parametrize("way", WAYS)
def test_whitespace_changes_white_space_alone(way: str) -> None:
    whole = document("sim/invoice", size_bytes=1_000)
    for end in range(len(whole) + 1):
        text = rest(way, whole[:end], "sim/invoice", manners=["whitespace"], size_bytes=1_000)
        assert text != whole[end:]
        assert text.lstrip() == whole[end:].lstrip()


def test_other_is_another_document_from_the_second_attempt_on() -> None:
    ask = asked(manners=["other"])
    texts = [compose(ask, attempt).text for attempt in (1, 2, 3)]
    assert texts[0] == document()
    assert len(set(texts)) == 3
    assert rest("prefill", texts[0][:99], manners=["other"]) == texts[0][99:]


def test_prefill_can_be_refused_or_ignored() -> None:
    with pytest.raises(PrefillRefused, match="must end with a user message"):
        rest("prefill", "{", manners=["refuse_prefill"])
    whole = document()
    assert rest("tail", whole[:50], manners=["refuse_prefill", "ignore_prefill"]) == whole[50:]
    text = rest("prefill", whole[:50], manners=["ignore_prefill"])
    assert text == FreeText().document(1, 400)


@pytest.mark.parametrize("manner", list(Manner))
def test_manners_do_not_touch_first_requests(manner: str) -> None:
    assert script(manners=[manner]).text == document()


def test_manners_of_a_residual_answer_leave_its_document_whole() -> None:
    talk = [USER, {"role": "user", "content": "<missing>"}]
    for seed in range(30):
        text = script("sim/poll", *talk, more={"response_format": FORMAT}, manners=[*Manner], seed=seed).text
        inner = text[text.index("{") : text.rindex("}") + 1]
        assert jsonschema_rs.is_valid(SCHEMA, json.loads(inner))
        assert inner != text


def test_unknown_manners_are_named() -> None:
    with pytest.raises(BadRequest, match=r"sim\.manners must be a list of echo, restart, .*ignore_prefill"):
        asked(manners=["rude"])

"""The table of finish reasons: each dialect's words, and that no other word proves an end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.protocol.finish import _TABLE, Finish, _folded, fold_finish, proves_end, worst_finish


@pytest.mark.parametrize(
    ("words", "finish"),
    [
        pytest.param("stop Stop STOP end_turn stop_sequence eos eos_token COMPLETE eosFound", Finish.STOP, id="stop"),
        pytest.param("tool_calls tool-calls function_call tool_use TOOL_CALL", Finish.TOOL_CALLS, id="calls"),
        pytest.param("length LENGTH MAX_TOKENS model_length max-tokens maxTokens limit", Finish.LENGTH, id="length"),
        pytest.param(
            "content_filter SAFETY sensitive refusal ERROR_TOXIC BLOCKLIST SPII", Finish.FILTERED, id="filter"
        ),
        pytest.param("abort cancelled canceled USER_CANCEL load", Finish.CANCELLED, id="cancelled"),
        pytest.param("error network_error MALFORMED_FUNCTION_CALL OTHER", Finish.ERROR, id="error"),
        pytest.param("null NULL not_finished FINISH_REASON_UNSPECIFIED", Finish.NONE, id="no word"),
        pytest.param("novel stopp sto FINISH_REASON_ REASON 17", Finish.UNKNOWN, id="unknown"),
    ],
)
def test_words(words: str, finish: Finish) -> None:
    assert {word: fold_finish(word) for word in words.split()} == dict.fromkeys(words.split(), finish)


@pytest.mark.parametrize("prefix", ["FINISH_REASON_", "FinishReason.", "STOP_REASON_", "REASON_", "finish_reason: "])
@pytest.mark.parametrize("word", ["stop", "MAX_TOKENS", "safety", "tool-calls"])
def test_prefixes_change_nothing(prefix: str, word: str) -> None:
    assert fold_finish(prefix + word) is fold_finish(word)


def test_no_word_is_no_word() -> None:
    assert fold_finish(None) is fold_finish("") is Finish.NONE


@given(st.text(max_size=200))
def test_only_words_of_the_table_say_something(word: str) -> None:
    """Whatever comes, it is folded without an error, and what is not in the table proves nothing."""
    found = fold_finish(word)
    folded = _folded(word)
    if word and not any(folded.endswith(known) for known in _TABLE):
        assert found is Finish.UNKNOWN
        assert not proves_end(found, has_call=True)


def test_the_worst_of_several_stays_in_any_order() -> None:
    words = [Finish.STOP, Finish.LENGTH, Finish.NONE]
    assert worst_finish(words) is worst_finish(reversed(words)) is Finish.LENGTH
    assert worst_finish([Finish.STOP, Finish.UNKNOWN]) is Finish.UNKNOWN
    assert worst_finish([]) is Finish.NONE


def test_what_proves_an_end() -> None:
    """Only stop, and tool_calls where there is a call."""
    assert [one for one in Finish if proves_end(one, has_call=True)] == [Finish.STOP, Finish.TOOL_CALLS]
    assert [one for one in Finish if proves_end(one, has_call=False)] == [Finish.STOP]

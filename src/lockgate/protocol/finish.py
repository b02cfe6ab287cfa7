"""Finish reasons: the words that providers end an answer with, in one table.

A word proves an end only if this table says so. Words are compared without case, hyphens and underscores, and with the
prefixes that some dialects put before them (``FINISH_REASON_``, ``FinishReason.``). A word that is not here is
``unknown`` and proves nothing: a provider's new word for "cut off" must not pass for a whole answer.

Sources: the API references and type definitions of the providers named beside each row, September 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Finish(StrEnum):
    """What a finish reason says, as far as it matters here."""

    NONE = "none"  # no word came yet
    STOP = "stop"  # the model was done
    TOOL_CALLS = "tool_calls"  # the model called a tool; proves an end only where a call came
    UNKNOWN = "unknown"  # a word that no row has: proves nothing
    LENGTH = "length"  # a limit ended the text
    CANCELLED = "cancelled"  # the provider, or somebody at it, broke the answer off
    FILTERED = "content_filter"  # a filter, or the model itself, refused
    ERROR = "error"  # something went wrong at the provider


# From good to bad: of several words the worst stays, since a later chunk that brings the usage often says "stop" again.
_SEVERITY: Final = (
    Finish.NONE,
    Finish.STOP,
    Finish.TOOL_CALLS,
    Finish.UNKNOWN,
    Finish.LENGTH,
    Finish.CANCELLED,
    Finish.FILTERED,
    Finish.ERROR,
)

# One row for each class, as text so that it reads like the providers' own lists.
_WORDS: Final[dict[Finish, str]] = {
    # "null" as a word: DashScope's native protocol, on every chunk but the last.
    Finish.NONE: "null none not_finished in_progress unspecified",
    Finish.STOP: """
        stop stopped done complete completed finished final success
        end_turn stop_sequence
        eos eos_token eos_found eog eot end_of_text endoftext end_of_turn
        stop_token stop_string stop_string_found stop_word word
        normal natural end
        alternative_status_final
    """,  # OpenAI and most; Anthropic; Together, TGI, LM Studio; vLLM, SGLang, llama.cpp; Baidu; Yandex
    Finish.TOOL_CALLS: """
        tool_calls tool_call tool_use tools function_call function_calls
        alternative_status_tool_calls
    """,  # OpenAI, Mistral; Cohere; Anthropic, Bedrock; OpenAI before 2024; Yandex
    Finish.LENGTH: """
        length max_tokens max_output_tokens max_completion_tokens max_length max_len max_new_tokens token_limit
        limit model_length model_context_window_exceeded context_length context_length_exceeded
        context_length_reached context_window_exceeded max_context max_predicted_tokens_reached
        error_limit time_limit incomplete truncated pause_turn compaction
        repetition too_many_tool_calls alternative_status_truncated_final alternative_status_partial
    """,  # OpenAI; Anthropic, Gemini, Cohere; Responses; watsonx, llama.cpp; Mistral; Z.ai; LM Studio; vLLM; Yandex
    Finish.FILTERED: """
        content_filter content_filtered content_filtering filtered filter content_policy content_policy_violation
        safety recitation blocklist blacklist prohibited_content spii image_safety image_prohibited_content
        image_recitation model_armor sensitive refusal refused guardrail guardrails guardrail_intervened
        error_toxic moderation flagged blocked alternative_status_content_filter
    """,  # OpenAI, Azure; Bedrock; Gemini and Vertex; Z.ai; Anthropic; Cohere; GigaChat; Yandex
    Finish.CANCELLED: """
        cancelled canceled cancel abort aborted user_cancel user_stopped interrupted preempted
        load unload model_unloaded
    """,  # watsonx, Responses; vLLM, SGLang; Cohere; LM Studio; Ollama
    Finish.ERROR: """
        error failed failure network_error insufficient_system_resource timeout internal_error server_error
        malformed_function_call malformed_response malformed_model_output malformed_tool_use
        unexpected_tool_call missing_thought_signature language other no_image image_other engine_error
        overloaded
    """,  # OpenRouter, Mistral; Z.ai; DeepSeek; Cohere; Gemini and Vertex; Bedrock
}


#: Every word by its class, as providers spell it.
WORDS: Final[Mapping[Finish, tuple[str, ...]]] = MappingProxyType(
    {finish: tuple(words.split()) for finish, words in _WORDS.items()}
)


def _folded(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())


_TABLE: Final[dict[str, Finish]] = {_folded(word): finish for finish, words in WORDS.items() for word in words}
_PREFIX: Final = re.compile(r"^(?:finish|stop|done)?reason")
# Words come from outside: only so much of one is looked at.
_MAX_WORD_CHARS: Final = 100


def fold_finish(word: str | None) -> Finish:
    """The class of one word as it stands on the wire; ``None`` and an empty word are no word."""
    if not word:
        return Finish.NONE
    if (found := _TABLE.get(word)) is not None:
        return found
    folded = _folded(word[:_MAX_WORD_CHARS])
    return _TABLE.get(folded) or _TABLE.get(_PREFIX.sub("", folded)) or Finish.UNKNOWN


def worst_finish(words: Iterable[Finish]) -> Finish:
    """What several finish reasons of one choice, or of several choices, come to."""
    return max(words, key=_SEVERITY.index, default=Finish.NONE)


def proves_end(finish: Finish, *, has_call: bool) -> bool:
    """Whether a choice that ended so is known to be whole.

    Args:
        has_call: Whether the choice has a tool call.
    """
    return finish is Finish.STOP or (finish is Finish.TOOL_CALLS and has_call)

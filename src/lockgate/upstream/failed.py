"""Makes a ``Failed`` of an error in whichever of its shapes: what it says, whether to try again, what to do next.

A provider's own word goes before the status (a 429 for spent credit is final), and what it asks to wait is obeyed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lockgate.upstream.base import Failed
from lockgate.upstream.error_shapes import fold, is_moderation, kinds_of, may_retry, sentence_of, status_of
from lockgate.upstream.redaction import plain_message
from lockgate.upstream.waits import told, until_reset_s, wait_s

_MAX_KIND_CHARS: Final = 60
#: So much of a sentence is searched; a message has less.
_MAX_SENTENCE_CHARS: Final = 4000
#: So that what to do next is never cut off.
_MAX_ADVISED_CHARS: Final = 350
_RATE_LIMITED: Final = 429
_RETRY_STATUSES: Final = frozenset({408, 409, 425, 429, 498})


def _words(text: str) -> frozenset[str]:
    return frozenset(map(fold, text.split()))


#: The account has nothing left: waiting does not help, whatever the status says.
_QUOTA: Final = _words("""
    insufficient_quota insufficient_balance insufficient_credits insufficient_funds payment_required billing_error
    billing_hard_limit_reached billing_not_active credit_balance_exhausted exceeded_current_quota_error arrearage
    account_deactivated access_terminated
""")
_RETRY: Final = _words("""
    timeout provider_unavailable provider_overloaded rate_limit_exceeded rate_limit_error rate_limit overloaded_error
    overloaded server_overloaded service_unavailable throttling throttling_exception throttling.ratequota
    throttling.allocationquota too_many_requests resource_exhausted unavailable engine_overloaded_error
    rate_limit_reached_error model_not_ready internal_server_error server_error unavailable_error
""")
_FINAL: Final = _words("""
    authentication authentication_error invalid_api_key invalidapikey unauthorized unauthenticated
    incorrect_api_key_error content_policy_violation context_length_exceeded invalid_prompt invalid_request
    invalid_request_error invalid_argument invalid_parameter invalidparameter max_tokens_exceeded not_found
    not_found_error notfounderror model_not_found payload_too_large permission_denied permission_error forbidden
    access_denied precondition_failed failed_precondition refusal string_too_long token_limit_exceeded unprocessable
    unprocessable_entity bad_request badrequest badrequesterror validation_error validationexception
    accessdeniedexception resourcenotfoundexception tool_use_failed exceed_context_size_error
""")
_KEY: Final = _words("invalid_api_key authentication authentication_error unauthorized unauthenticated")
#: The HTTP status that a word stands for, where an error in the middle of an answer names none.
_STATUS_OF: Final = {
    fold(word): status
    for status, words in {
        400: """
            invalid_request invalid_request_error invalid_argument invalid_parameter invalidparameter invalid_prompt
            bad_request badrequest badrequesterror validation_error validationexception context_length_exceeded
            exceed_context_size_error max_tokens_exceeded token_limit_exceeded string_too_long tool_use_failed
        """,
        401: """
            invalid_api_key invalidapikey incorrect_api_key_error authentication authentication_error unauthorized
            unauthenticated
        """,
        402: "payment_required billing_error insufficient_quota insufficient_balance insufficient_credits",
        403: "permission_denied permission_error forbidden access_denied accessdeniedexception",
        404: "not_found not_found_error notfounderror model_not_found resourcenotfoundexception",
        413: "payload_too_large request_too_large",
        422: "unprocessable unprocessable_entity",
        429: """
            rate_limit_exceeded rate_limit_error rate_limit rate_limit_reached_error too_many_requests throttling
            throttling_exception throttling.ratequota throttling.allocationquota resource_exhausted
        """,
    }.items()
    for word in words.split()
}
# Words of providers that mean what another word means; what follows from a failure goes by these few.
_SYNONYMS: Final = {
    fold(word): meaning
    for meaning, words in {
        "content_policy_violation": """
            content_filter content_policy responsible_ai_policy_violation data_inspection_failed sensitive
            sensitive_content content_moderation moderation_error safety prohibited_content
        """,
        "context_length_exceeded": """
            exceed_context_size_error context_window_exceeded context_length_error string_above_max_length
            model_context_window_exceeded max_context_length_exceeded
        """,
        "model_not_found": "model_not_exist model_not_available unknown_model invalid_model no_such_model",
    }.items()
    for word in words.split()
}
# Only where neither a word nor a status says more.
_QUOTA_SENTENCE: Final = re.compile(
    r"insufficient[ _](?:quota|balance|credits?|funds)|(?:credit|account) balance|out of credits?"
    r"|(?:billing|spending|spend) (?:hard )?limit"
    r"|balance .{0,30}(?:spent|exhausted|too low|insufficient)|check your plan and billing|payment required|arrear"
    r"|余额不足|欠费",
    re.IGNORECASE,
)
_FINAL_SENTENCE: Final = re.compile(
    r"\b(?:invalid|incorrect|unknown|missing|wrong|expired)\b.{0,20}\b(?:key|token|credentials?)\b|unauthori[sz]ed"
    r"|\bforbidden\b|permission denied|\b(?:not|no) (?:such )?(?:found|exist|supported|allowed)|does not exist"
    r"|over the window|context (?:length|window|size)|too (?:long|large|many tokens)|maximum (?:context|length)",
    re.IGNORECASE,
)


def failure(
    code: str,
    error: object,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    secrets: Iterable[str] = (),
    advice: str = "",
) -> Failed:
    """Make a ``Failed`` of an error object, a text, or anything else that came as an error.

    Args:
        code: Code of ``lockgate.errors``.
        status: HTTP status of the answer; without it, the error may name one, by its number or its word.
        headers: Of the answer, with names in lower case.
        secrets: Texts to take out of the message.
        advice: What to do next, where the caller knows better than the words of the error.
    """
    is_answer = status is not None
    headers = headers or {}
    status = status_of(error) if status is None else status
    sentence = sentence_of(error)[:_MAX_SENTENCE_CHARS]
    kinds = kinds_of(error)
    words = {fold(kind) for kind in kinds}
    asked_s = wait_s(headers, error, sentence)
    if asked_s is None and status == _RATE_LIMITED:
        asked_s = until_reset_s(headers, error, time.time())
    # Gemini's rate limit also says to check the plan, but it gives a time to wait.
    is_spent = bool(words & _QUOTA) or (asked_s is None and _QUOTA_SENTENCE.search(sentence) is not None)
    is_recoverable = not is_spent and _is_recoverable(
        status, words, sentence, _asked_again(headers, error), is_waited=asked_s is not None
    )
    if asked_s and is_recoverable and told(asked_s) not in sentence:
        advice = f"it asks to wait {told(asked_s)}"
    elif is_spent:
        advice = "check the credit of the account"
    advice = advice or _advice(status, words, sentence)
    text = sentence or (f"error {kinds[0]}" if kinds else "")
    if is_answer:
        text = f"HTTP {status}: {text}" if text else f"HTTP {status}"
    text = plain_message(text or "an error without a message", secrets)
    if advice:
        text = plain_message(f"{text[:_MAX_ADVISED_CHARS]} ({advice})")
    return Failed(
        code,
        text,
        status=status if status is not None else _status_in(kinds),
        recoverable=is_recoverable,
        retry_after_s=asked_s,
        kind=_kind(error, kinds),
    )


def _status_in(kinds: Iterable[str]) -> int | None:
    return next((_STATUS_OF[fold(one)] for one in kinds if fold(one) in _STATUS_OF), None)


def _kind(error: object, kinds: Sequence[str]) -> str | None:
    """The most exact word that the error has for itself, or the common one for the same."""
    if is_moderation(error):
        return "content_policy_violation"
    meaning = next((_SYNONYMS[fold(one)] for one in kinds if fold(one) in _SYNONYMS), None)
    return meaning or (kinds[0][:_MAX_KIND_CHARS] if kinds else None)


def _asked_again(headers: Mapping[str, str], error: object) -> bool | None:
    said = {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())
    return may_retry(error) if said is None else said


def _is_recoverable(
    status: int | None, words: set[str], sentence: str, retryable: bool | None, *, is_waited: bool
) -> bool:
    """Whether trying again can help: what the provider says, else its words, else the status.

    Every 5xx status may pass with time: proxies have their own (524, 529), and new ones come without notice. If nothing
    says so, the answer is yes, because the request was good enough to be started.
    """
    if retryable is not None:
        return retryable
    if words & _RETRY:
        return True
    if status is not None:
        return status in _RETRY_STATUSES or (status >= 500 and status != 501)
    if words & _FINAL or words & _SYNONYMS.keys():
        return False
    return is_waited or not _FINAL_SENTENCE.search(sentence)


def _advice(status: int | None, words: set[str], sentence: str) -> str:
    """What to do next, if anything can be done about it."""
    if status == 402:
        return "check the credit of the account"
    if status == 401 or words & _KEY:
        return "check the key: upstream.api_key"
    if status == 403:
        return "check what the key may do: upstream.api_key"
    if status == 404 and ("model" in sentence.lower() or "modelnotfound" in words):
        return "check the name of the model"
    if status in (404, 405):
        return "check upstream.base_url"
    return ""

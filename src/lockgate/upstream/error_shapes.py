"""Errors in every coat: whether a JSON value is one, and what it says.

Providers, proxies and web frameworks send errors in dozens of shapes, as the body of an answer or in the middle of a
stream. :func:`error_in` distinguishes an error from a chunk, :func:`sentence_of` finds the sentence for people in it,
and the other functions find its facts. Names of members are compared without case, hyphens and underscores.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

_MAX_DEPTH: Final = 4
_MAX_NAMES: Final = 64  # of one object, so that a mad one costs little
_MAX_NAME_CHARS: Final = 60
# Chunks have the same few names again and again; those that an upstream makes up must not fill the memory.
_MAX_FOLDED: Final = 4096
_ODD: Final = re.compile("[^a-z0-9]")

# Members that hold the sentence, the best first.
_SENTENCES: Final = (
    *("message", "errormessage", "errormsg", "errmsg", "msg", "detail", "details", "errordescription", "statusmsg"),
    *(
        "description",
        "faultstring",
        "resultmsg",
        "resultmessage",
        "retmsg",
        "error",
        "errors",
        "err",
        "reason",
        "title",
        "text",
        "fault",
        "exception",
        "body",
    ),
)
# Members that an error has, and an answer has not: alone they say that it is one.
_ERROR_SENTENCES: Final = frozenset(
    {"message", "errormessage", "errormsg", "errmsg", "msg", "detail", "errordescription", "faultstring", "fault"}
    | {"resultmsg", "resultmessage", "retmsg"}
    | {"exception", "err", "title", "reason"}
)
_ERROR_CODES: Final = frozenset({"errorcode", "errcode", "errorcodes", "errorno", "errno"})
_STATUSES: Final = ("code", "httpstatus", "httpstatuscode", "statuscode", "status", "errorcode", "httpcode")
_KINDS: Final = ("errortype", "code", "type", "status", "reason", "errorcode", "name", "id")
# Objects that carry the success or failure of the call beside or around the answer (MiniMax, iFlytek).
_ENVELOPES: Final = ("baseresp", "header", "statusinfo")
_WRAPPERS: Final = ("response", "data", "result", "output", "body", "payload")
_GOOD_CODES: Final = frozenset({"", "0", "200", "ok", "success", "successful", "none", "null", "20000", "10000"})
_BAD_STATES: Final = frozenset({"error", "failed", "failure", "fail", "exception"})
_NO_ERRORS: Final = frozenset({"", "0", "none", "null", "false", "ok", "success"})


def fold(name: str) -> str:
    """A name or a word without case, hyphens and underscores."""
    return _folded(name[:_MAX_NAME_CHARS])


@lru_cache(maxsize=_MAX_FOLDED)
def _folded(name: str) -> str:
    return _ODD.sub("", name.lower())


def named(value: object) -> dict[str, Any]:
    """The members of an object by folded name; the first of equals. Anything else has none."""
    found: dict[str, Any] = {}
    if isinstance(value, dict):
        for name, member in list(value.items())[:_MAX_NAMES]:
            found.setdefault(fold(name), member)
    return found


def says(value: object, depth: int = _MAX_DEPTH) -> bool:
    """Whether anything is said in a value: not null, false, nothing, or made of such alone."""
    if isinstance(value, dict):
        return any(says(one, depth - 1) for one in value.values()) if depth else bool(value)
    if isinstance(value, list):
        return any(says(one, depth - 1) for one in value) if depth else bool(value)
    if isinstance(value, str):
        return value.strip().lower() not in _NO_ERRORS
    return bool(value)


def error_in(value: object, depth: int = _MAX_DEPTH) -> object | None:
    """The error that a JSON value is, or holds; None if it is none.

    An object with choices is a chunk, and only what is plainly an error makes it one.
    """
    if isinstance(value, list):
        entries = (error_in(one, depth - 1) for one in value[:3]) if depth else iter(())
        return next((one for one in entries if one is not None), None)
    members = named(value)
    if not members:
        return None
    if (found := _plain_error(value, members)) is not None:
        return found
    if members.get("choices"):
        return None
    return _bare_error(value, members) or _wrapped_error(members, depth)


def _plain_error(value: object, members: dict[str, Any]) -> object | None:
    """Shapes that are errors whatever else the object has."""
    for name in ("error", "errors"):
        if says(member := members.get(name)):
            # {"error": "Not Found", "message": "no such path", "status": 404} says more as a whole.
            is_all = isinstance(member, dict | list) or not any(members.get(one) for one in _SENTENCES[:8])
            return member if is_all else value
    for name in _ENVELOPES:
        envelope = named(members.get(name))
        codes = [envelope[one] for one in ("statuscode", "code") if one in envelope]
        if codes and not _is_good(codes[0]):
            return members[name]  # type: ignore[no-any-return]
    if any(not _is_good(members[one]) for one in _ERROR_CODES if one in members):
        return value
    if _word(members.get("object")) == "error":
        return value
    return None


def _bare_error(value: object, members: dict[str, Any]) -> object | None:
    """Shapes that are errors because they are no answer."""
    kind = _word(members.get("type"))
    is_marked = (
        kind in _BAD_STATES
        or kind.endswith(("error", "exception"))
        or _word(members.get("status")) in _BAD_STATES
        or members.get("success") is False
    )
    if is_marked:
        return value
    has_sentence = any(isinstance(members.get(one), str | list) and says(members[one]) for one in _ERROR_SENTENCES)
    if "code" in members:
        is_error = not _is_good(members["code"]) and any(says(members.get(one)) for one in _SENTENCES)
        return value if is_error else None
    return value if has_sentence or any(says(members.get(one)) for one in ("fault", "detail")) else None


def _wrapped_error(members: dict[str, Any], depth: int) -> object | None:
    if not depth:
        return None
    for name, member in members.items():
        # Bedrock: {"throttlingException": {"message": "…"}}
        if name.endswith(("exception", "error")) and says(member):
            return member  # type: ignore[no-any-return]
        if name in _WRAPPERS and isinstance(member, dict) and (found := error_in(member, depth - 1)) is not None:
            is_error = named(member).keys() & {"error", "errors"} or "code" in named(member)
            if is_error:
                return found
    return None


def _is_good(code: object) -> bool:
    """Whether a code of success: 0, 200, "ok"."""
    if isinstance(code, str):
        return code.strip().lower() in _GOOD_CODES
    return code is None or code is False or code in (0, 200, 20000, 10000)


def _word(value: object) -> str:
    return fold(value) if isinstance(value, str) else ""


# -- what an error says ----------------------------------------------------------------------------------------------


def sentence_of(error: object) -> str:
    """The sentence for people, wherever it is; empty if there is none."""
    text = _sentence(error, _MAX_DEPTH)
    metadata = named(named(error).get("metadata"))
    # OpenRouter says only "Provider returned error" and hides the reason in the metadata.
    reasons = [
        reason for reason in (_sentence(metadata.get(one), _MAX_DEPTH) for one in ("providername", "raw")) if reason
    ]
    return f"{text} ({': '.join(reasons)})" if reasons else text


def _sentence(value: object, depth: int) -> str:
    if isinstance(value, str):
        # ``raw`` and messages of gateways are often JSON in a string.
        if depth and value.lstrip()[:1] in ("{", "["):
            try:
                return _sentence(json.loads(value), depth - 1) or value
            except (ValueError, RecursionError):
                return value  # it only looked like JSON
        return value.strip()
    if isinstance(value, list) and depth:
        return "; ".join(filter(None, (_entry(one, depth - 1) for one in value[:3])))
    if isinstance(value, dict) and depth:
        members = named(value)
        return next(filter(None, (_sentence(members.get(name), depth - 1) for name in _SENTENCES)), "")
    return ""


def _entry(value: object, depth: int) -> str:
    """One of several errors, with the place that FastAPI and pydantic give in ``loc``."""
    text = _sentence(value, depth)
    place = named(value).get("loc")
    if text and isinstance(place, list):
        parts = [str(one)[:_MAX_NAME_CHARS] for one in place[:8] if isinstance(one, str | int) and one != "body"]
        return f"{'.'.join(parts)}: {text}" if parts else text
    return text


def status_of(error: object) -> int | None:
    """The HTTP status that an error names, as a number or digits."""
    members = named(error)
    for name in _STATUSES:
        value = members.get(name)
        if isinstance(value, str) and len(value) == 3 and value.isdecimal():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
            return value
    return None


def kinds_of(error: object) -> list[str]:
    """The error's own words for its kind, the most exact first."""
    return [one for one in _kinds(named(error)) if isinstance(one, str) and one.strip() and not one.isdecimal()]


def _kinds(members: dict[str, Any]) -> Iterator[object]:
    yield named(members.get("metadata")).get("errortype")
    yield from (members.get(name) for name in _KINDS)
    yield from (named(one).get("reason") for one in _entries(members.get("details")))
    yield members.get("type")


def _entries(value: object) -> Iterable[object]:
    return value[:5] if isinstance(value, list) else ()


def is_moderation(error: object) -> bool:
    """Whether it is OpenRouter's moderation or guardrail, which say it by these members alone."""
    metadata = named(named(error).get("metadata"))
    return "flaggedinput" in metadata or "patterns" in metadata


def may_retry(error: object) -> bool | None:
    """What the error itself says about trying again; None if nothing."""
    members = named(error)
    for place in (members, named(members.get("availability")), _availability(members)):
        if isinstance(found := place.get("retryable"), bool):
            return found
    return None


def _availability(members: dict[str, Any]) -> dict[str, Any]:
    return named(named(members.get("metadata")).get("availability"))


_TAG: Final = re.compile(r"<[^>]{0,200}>")
_MAX_PAGE_CHARS: Final = 4000
_TITLE: Final = re.compile(r"<(title|h1)[^>]{0,200}>(.{1,300}?)</", re.IGNORECASE | re.DOTALL)


def error_of_text(text: str) -> object:
    """The error in the body of an HTTP error: JSON of any shape, an event stream, or a sentence. Empty if a web page.

    A body that is not JSON is a sentence; of a web page the status says more than its text.
    """
    bare = text.strip().removeprefix("\ufeff")
    for _ in range(2):
        try:
            body = json.loads(bare)
        except (ValueError, RecursionError):
            data = [line.partition(":")[2] for line in bare.split("\n") if line.startswith(("data:", "error:"))]
            bare = data[0].strip() if data else bare
            continue
        found = error_in(body)
        return body if found is None else found
    return "" if bare.startswith("<") else bare


def title_of_page(text: str) -> str:
    """What a web page calls itself; empty if nothing."""
    found = _TITLE.search(text[:_MAX_PAGE_CHARS])
    return " ".join(_TAG.sub(" ", found[2]).split()) if found else ""

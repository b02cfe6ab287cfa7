"""What upstream says, made fit for readers and logs: one printable line, bounded, without secrets.

Providers echo keys, tokens, passwords and account ids in their errors, proxies name hosts that are nobody's business. A
pattern takes the secret itself and leaves the words around it, which say what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

#: Longest message.
MAX_MESSAGE_CHARS: Final = 500
_REMOVED: Final = "[removed]"
#: A secret shorter than this is a word like "any" or "test", as local servers get it for a key.
_MIN_SECRET_CHARS: Final = 6

_CHAR: Final = r"[A-Za-z0-9_./+=*~-]"
# What these patterns find is a secret by its form alone.
_BY_FORM: Final = re.compile(
    r"\beyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?"  # JSON web token (RFC 7519)
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"  # AWS
    r"|\bAIza[\w-]{20,}|\bya29\.[\w.-]+"  # Google
    r"|\b(?:user|org|proj|team|acct)[-_][A-Za-z0-9]{12,}"
    r"|(?<=://)[^\s/@]+(?=@)"  # credentials in a URL
    r"|(?<![\w.:/])[\w.+-]+:[^\s:@/]{3,}(?=@[\w-])"
    r"|(?<=user_id)[\"']?\s*[:=]\s*[^\s,}]+"
)
_PREFIXED: Final = re.compile(
    rf"\b(?:sk|pk|rk|gsk|xai|csk|pplx|hf|nvapi|tgp|fw|r8|glpat|gh[pousr]|github_pat|xox[abprs]|dapi|sess|lsv2)"
    rf"[-_]{_CHAR}{{8,}}"
)
_QUERY: Final = re.compile(r"(?i:([?&](?:[\w-]*key|[\w-]*token|sig|signature|code|secret|password)=))[^\s&\"'<>]+")
# After these words comes a secret, if it looks like one: "API key: missing" has none.
_SCHEME: Final = re.compile(rf"(?i:\b(bearer|basic|digest|apikey)\s+)({_CHAR}{{8,}})")
_NAMED: Final = re.compile(
    r"(?i:((?:\b|[_-]|\b(?:access|account|api|client|private|session|shared|subscription))"
    r"(?:key|token|secret|credentials?|signature|authorization|auth|session|sid)(?:[_ -]?id)?\b[\"']?"
    r"(?:\s+(?:provided|given|is|was|of|value))*)"
    rf"(\s*[:=(]\s*[\"'`]?|\s+[\"'`]?))({_CHAR}{{8,}})"
)
# No name of a model or of a limit: those have hyphens.
_UNSPOKEN: Final = re.compile(r"[A-Za-z0-9_+/=*]{16,}\.?|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\.?")
_PASSWORD: Final = re.compile(r"(?i:(\b\w*(?:password|passwd|passphrase|pwd)[\"']?\s*[:=]\s*[\"']?))([^\s\"',;}]{4,})")
# Hosts inside a network of the provider's, or of ours.
_ADDRESS: Final = re.compile(
    r"(?<![\w.])(?:127|10)(?:\.\d{1,3}){3}(?::\d+)?(?![\w.]*\d)"
    r"|(?<![\w.])(?:192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2}(?::\d+)?"
    r"|\blocalhost:\d+|\[?::1\](?::\d+)?"
    r"|(?<![\w.-])(?:[\w-]{1,63}\.){1,8}(?:svc|cluster|internal|lan)(?:\.(?:cluster|local))*(?::\d+)?\b"
)


def plain_message(text: str, secrets: Iterable[str] = ()) -> str:
    """One printable line of bounded length without secrets, account ids and inner addresses.

    Args:
        secrets: What must not appear, whatever it looks like: the keys in use.
    """
    for secret in secrets:
        if len(secret) >= _MIN_SECRET_CHARS:
            text = text.replace(secret, _REMOVED).replace(quote(secret, safe=""), _REMOVED)
    # Cut before the search, which costs more, but late enough that no half of a key is left at the end.
    text = _without_secrets(text[: 8 * MAX_MESSAGE_CHARS])
    text = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return text if len(text) <= MAX_MESSAGE_CHARS else f"{text[: MAX_MESSAGE_CHARS - 1]}…"


def _without_secrets(text: str) -> str:
    text = _BY_FORM.sub(_REMOVED, text)
    text = _QUERY.sub(rf"\1{_REMOVED}", text)
    text = _PREFIXED.sub(lambda found: _REMOVED if _is_random(found.group()) else found.group(), text)
    text = _SCHEME.sub(_scheme, text)
    text = _NAMED.sub(_named, text)
    text = _PASSWORD.sub(rf"\1{_REMOVED}", text)
    return _ADDRESS.sub("[address]", text)


def _scheme(found: re.Match[str]) -> str:
    return f"{found[1]} {_REMOVED}" if _is_random(found[2]) else found.group()


def _named(found: re.Match[str]) -> str:
    is_said = found[2].strip() != ""  # by ":" or "="; after a mere space comes a sentence more often than a key
    is_secret = _is_random(found[3]) and (is_said or _UNSPOKEN.fullmatch(found[3]) is not None)
    return f"{found[1]}{found[2]}{_REMOVED}" if is_secret else found.group()


def _is_random(token: str) -> bool:
    """Whether it looks like a secret, rather than like a word or a number."""
    if token.strip(".").replace(",", "").isdigit():
        return len(token) >= 12
    has_digit = any(one.isdigit() for one in token)
    is_mixed = token[1:].lower() != token[1:] and token.upper() != token
    return "*" in token or has_digit or is_mixed or token.endswith("=") or len(token) >= 32

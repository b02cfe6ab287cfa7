"""Words of messages: values, kinds and formats as sentences for people and models name them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from lockgate.gate.grammar import ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE

#: Values or names that a sentence lists, and characters of each.
LISTED: Final = 6
SHOWN: Final = 60

_KINDS: Final = (
    (NULL, "null"),
    (TRUE | FALSE, "a boolean"),
    (NUMBER, "a number"),
    (STRING, "a string"),
    (ARRAY, "an array"),
    (OBJECT, "an object"),
)
_FOUND: Final = {NULL: "null", FALSE: "false", TRUE: "true"}
#: What a format looks like.
_FORMS: Final = {
    "date": "a date (YYYY-MM-DD)",
    "time": "a time with its offset (HH:MM:SSZ)",
    "date-time": "a date-time with its offset (YYYY-MM-DDTHH:MM:SSZ)",
    "duration": "a duration (like P3DT4H)",
    "uuid": "a uuid (like 123e4567-e89b-12d3-a456-426614174000)",
    "ipv4": "an ipv4 address (like 192.0.2.1)",
    "ipv6": "an ipv6 address (like 2001:db8::1)",
    "email": "an email address (like name@example.com)",
    "idn-email": "an idn-email address (like name@example.com)",
    "hostname": "a hostname (like example.com)",
    "idn-hostname": "an idn-hostname (like example.com)",
    "uri": "a uri (like https://example.com/a)",
    "iri": "an iri (like https://example.com/a)",
    "uri-reference": "a uri-reference (like https://example.com/a or /a)",
    "iri-reference": "an iri-reference (like https://example.com/a or /a)",
    "uri-template": "a uri-template (like /a/{id})",
    "json-pointer": "a json-pointer (like /a/0)",
    "relative-json-pointer": "a relative-json-pointer (like 1/a)",
    "regex": "a regex (ECMA-262)",
}


def listed(words: Iterable[str], last: str = "or") -> str:
    """Some words in a row: ``a, b or c``; of many only the first ones, and how many there are."""
    words = list(words)
    if len(words) > LISTED:
        return f"{', '.join(words[:LISTED])}, … ({len(words)} in all)"
    return f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def shown(value: Any) -> str:
    """A value of the schema or the text, as JSON."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def begun(text: str) -> str:
    """A string that has only begun."""
    return f"{json.dumps(text[:SHOWN], ensure_ascii=False)[:-1]}…"


def kind_words(kinds: int) -> str:
    """Kinds of values: ``a string or null``."""
    return listed([word for kind, word in _KINDS if kinds & kind])


def found_kind(kind: int) -> str:
    """The kind of the value that came."""
    return f"not {_FOUND.get(kind) or kind_words(kind)}"


def listed_values(values: Iterable[Any]) -> str:
    """Values of the schema in a row; only those that are listed are written down."""
    values = list(values)
    left_out = [""] * (len(values) - LISTED)  # they only count
    return listed([*map(shown, values[:LISTED]), *left_out])


def with_article(type_name: str) -> str:
    """A type of JSON Schema: ``an integer``."""
    return type_name if type_name == "null" else f"an {type_name}" if type_name[0] in "aio" else f"a {type_name}"


def format_words(name: str) -> str:
    """A format, with its form where it is a known one."""
    return _FORMS.get(name) or f"of the format {name[:60]}"

"""Texts that are no JSON any more, made by seed: damage of a known kind, whose place in the document is known."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from tests.gate.recovery.faults import Wild

Place = tuple[Any, ...]


class Token(NamedTuple):
    """A piece of a JSON text: a sign, a ``name``, a ``text`` (a string value), a ``scalar``, or ``white``."""

    text: str
    kind: str
    path: Place = ()


class Damaged(NamedTuple):
    """A text with one or two faults.

    Attributes:
        kinds: Of the damage.
        places: Paths of the strings that may read otherwise; all else must stay.
    """

    kinds: tuple[str, ...]
    schema: Any
    text: bytes
    value: Any
    places: tuple[Place, ...]


def tokens(value: Any, gap: str, path: Place = (), depth: int = 0) -> Iterator[Token]:
    """A value as the tokens of its text.

    Args:
        gap: ``""`` for none; ``" "`` between tokens; a line break with an indent.
    """
    if isinstance(value, dict | list):
        is_object = isinstance(value, dict)
        yield Token("{" if is_object else "[", "open", path)
        inner = gap + "  " * (depth + 1) if "\n" in gap else ""
        for index, key in enumerate(value if is_object else range(len(value))):
            if index:
                yield Token(",", "comma", path)
            yield Token(inner or (gap if index else ""), "white", path)
            if is_object:
                yield Token(_dump(key), "name", (*path, key))
                yield Token(":", "colon", (*path, key))
                yield Token(" " if gap else "", "white", path)
            yield from tokens(value[key], gap, (*path, key), depth + 1)
        yield Token(gap + "  " * depth if "\n" in gap and value else "", "white", path)
        yield Token("}" if is_object else "]", "close", path)
    else:
        yield Token(_dump(value), "text" if isinstance(value, str) else "scalar", path)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


Made = tuple[list[Token], tuple[Place, ...]]


def _pick(made: list[Token], rng: random.Random, kind: str, wanted: Callable[[Token], bool] = bool) -> int:
    found = [at for at, one in enumerate(made) if one.kind == kind and wanted(one)]
    return rng.choice(found) if found else -1


def _swap(made: list[Token], at: int, text: str) -> list[Token]:
    return [*made[:at], made[at]._replace(text=text), *made[at + 1 :]]


def _is_plain(one: Token) -> bool:
    return (
        len(one.text) > 4
        and one.text[0] == '"' == one.text[-1]
        and one.text[-2] != " "
        and not set("\\\"'`") & set(one.text[1:-1])
    )


def _other_quotes(made: list[Token], rng: random.Random) -> Made | None:
    left, right = rng.choice(("''", "``", "“”", "‘’", "„“"))
    if rng.random() < 0.5:
        if not all(_is_plain(one) or one.text in ('""',) for one in made if one.kind in ("name", "text")):
            return None
        return [
            one._replace(text=left + one.text[1:-1] + right) if one.kind in ("name", "text") else one for one in made
        ], ()
    at = _pick(made, rng, rng.choice(("name", "text")), _is_plain)
    return None if at < 0 else (_swap(made, at, left + made[at].text[1:-1] + right), ())


def _no_quotes(made: list[Token], rng: random.Random) -> Made | None:
    at = _pick(made, rng, rng.choice(("name", "text")), lambda one: _is_plain(one) and _is_word(one.text[1:-1]))
    return None if at < 0 else (_swap(made, at, made[at].text[1:-1]), ())


def _is_word(text: str) -> bool:
    """Whether a text without its quotes could be nothing else."""
    return text.isalnum() and text[0].isalpha() and text.casefold() not in ("true", "false", "null", "none", "nan")


def _half_quotes(made: list[Token], rng: random.Random) -> Made | None:
    at = _pick(made, rng, rng.choice(("name", "text")), _is_plain)
    if at < 0:
        return None
    text = made[at].text
    return _swap(made, at, rng.choice((text[1:], text[:-1]))), (made[at].path,) if made[at].kind == "text" else ()


def _inner_quotes(made: list[Token], rng: random.Random) -> Made | None:
    at = _pick(made, rng, "text", _is_plain)
    if at < 0:
        return None
    text = made[at].text[1:-1]
    start = rng.randrange(len(text))
    inner = rng.choice((
        f'{text[:start]}"{text[start:]}', f'{text[:start]}"word"{text[start:]}', f'{text} said "yes", "no", then left',
        f'load("{text}", "x") and more', f'<a href="{text}" class="b">link</a>', f'{text}: {{"a": "b"}} it was',
    ))  # fmt: skip
    return _swap(made, at, f'"{inner}"'), (made[at].path,)


def _raw_breaks(made: list[Token], rng: random.Random) -> Made | None:
    at = _pick(made, rng, "text", _is_plain)
    if at < 0:
        return None
    text, start = made[at].text, rng.randrange(1, len(made[at].text))
    return _swap(made, at, text[:start] + rng.choice(("\n", "\t", "\r\n", "\\d", "\\'")) + text[start:]), (
        made[at].path,
    )


def _comma(made: list[Token], rng: random.Random) -> Made | None:
    way = rng.choice(("gone", "twice", "last", "semicolon", "wide"))
    if way == "last":
        at = _pick(made, rng, "close")
        if at < 2 or made[at - 2].kind == "open" or made[at - 1].kind == "open":
            return None
        return [*made[:at], Token(",", "comma"), *made[at:]], ()
    at = _pick(made, rng, "comma")
    if at < 0 or (way == "gone" and not made[at + 1].text):
        return None
    return _swap(made, at, {"gone": "", "twice": ",,", "semicolon": ";", "wide": "，"}[way]), ()


def _colon(made: list[Token], rng: random.Random) -> Made | None:
    at = _pick(made, rng, "colon")
    if at < 0:
        return None
    return _swap(made, at, rng.choice(("=", " =>", "：", " "))), ()


def _bracket(made: list[Token], rng: random.Random) -> Made | None:
    at = _pick(made, rng, "close")
    if at < 0:
        return None
    text = made[at].text
    way = rng.choice(("gone", "twice", "wrong", "other first", "doubled"))
    if way == "doubled":
        if text != "}":
            return None
        start = max(i for i in range(at) if made[i].kind == "open" and made[i].path == made[at].path)
        return _swap(_swap(made, at, "}}"), start, "{{"), ()
    return _swap(made, at, {"gone": "", "twice": text * 2, "wrong": "]" if text == "}" else "}",
                            "other first": "}]" if text == "]" else "]}"}[way]), ()  # fmt: skip


def _literal(made: list[Token], rng: random.Random) -> Made | None:
    at = _pick(made, rng, "scalar", lambda one: one.text in ("true", "false", "null"))
    if at < 0:
        return None
    text = made[at].text
    return _swap(made, at, {"true": "True", "false": "False", "null": "None"}[text]), ()


def _between(made: list[Token], rng: random.Random) -> Made | None:
    at = _pick(made, rng, "white")
    if at < 0:
        return None
    extra = rng.choice(("/* a note */", "// a note\n", "\u00a0", "\u3000", "\\n", "# a note\n", "\ufeff"))
    return [*made[:at], Token(extra, "extra"), *made[at:]], ()


def _around(made: list[Token], rng: random.Random) -> Made | None:
    before, after = rng.choice((
        ("```json\n", "\n```"), ("Here it is:\n", ""), ("", "\nDone."), ("<think>{x} or [y]?</think>\n", ""),
        ("<tool_call>", "</tool_call>"), ("", "\n\nNote: see {above}."), ("\ufeff", ""), ("", "}"), ("", ","),
        ("Sure! ```\n", "\n```\nAnything else?"),
    ))  # fmt: skip
    return [Token(before, "extra"), *made, Token(after, "extra")], ()


def _another(made: list[Token], rng: random.Random) -> Made | None:
    """A second document behind the first: the same, or one with other text."""
    text = "".join(one.text for one in made)
    at = _pick(made, rng, "scalar")
    other = text if rng.random() < 0.3 or at < 0 else "".join(one.text for one in _swap(made, at, "12345"))
    return [*made, Token(rng.choice(("", "\n", ", ")) + other, "extra")], ()


MAKERS: Final[dict[str, Callable[[list[Token], random.Random], Made | None]]] = {
    "other quotes": _other_quotes,
    "no quotes": _no_quotes,
    "half quotes": _half_quotes,
    "inner quotes": _inner_quotes,
    "raw breaks": _raw_breaks,
    "comma": _comma,
    "colon": _colon,
    "bracket": _bracket,
    "literal": _literal,
    "between": _between,
    "around": _around,
    "another": _another,
}


def damaged(pool: list[Wild], count: int, seed: int, *, most: int = 2, max_bytes: int = 4000) -> Iterator[Damaged]:
    """So many texts that are no JSON, with one fault each, or up to ``most``."""
    rng = random.Random(seed)
    kinds = list(MAKERS)
    while count:
        one = rng.choice(pool)
        made = list(tokens(one.value, rng.choice(("", " ", "\n"))))
        if not isinstance(one.value, dict | list) or sum(len(token.text) for token in made) > max_bytes:
            continue
        done: list[str] = []
        places: list[Place] = []
        for _ in range(rng.randint(1, most)):
            kind = rng.choice(kinds)
            found = MAKERS[kind](made, rng)
            if found is not None:
                made = found[0]
                places += found[1]
                done.append(kind)
        text = "".join(token.text for token in made)
        if not done or _is_json(text):
            continue
        count -= 1
        yield Damaged(tuple(done), one.schema, text.encode(), one.value, tuple(places))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def is_same_elsewhere(one: Damaged, found: Any) -> bool:
    """Whether a value is the original one but for the strings that were damaged."""
    return _same(one.value, found, (), one.places)


def _same(wanted: Any, found: Any, path: Place, places: tuple[Place, ...]) -> bool:
    if path in places:
        return isinstance(found, str)
    if isinstance(wanted, dict) and isinstance(found, dict):
        return list(wanted) == list(found) and all(_same(wanted[k], found[k], (*path, k), places) for k in wanted)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(
            _same(one, other, (*path, at), places) for at, (one, other) in enumerate(zip(wanted, found, strict=True))
        )
    return type(wanted) is type(found) and wanted == found

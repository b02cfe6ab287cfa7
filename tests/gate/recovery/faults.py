"""Documents of the wild with one fault each, made by seed: what models do wrong, in a stated mix."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs

#: Kind of fault -> share in percent.
MIX = {
    "scalar_type": 20,
    "unknown_member": 10,
    "enum_case": 10,
    "single_quotes": 10,
    "comma": 10,
    "fence": 10,
    "prose": 10,
    "missing_default": 10,
    "inner_quote": 10,
}


class Faulty(NamedTuple):
    kind: str
    schema: Any
    text: bytes  # with the fault
    original: bytes
    fault_at: int  # first byte of the first character that differs


class Wild(NamedTuple):
    schema: Any
    value: Any


def wild(folder: Path) -> list[Wild]:
    """Every valid instance of the suite, with its schema."""
    found = []
    for line in (folder / "cases.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        found += [Wild(case["schema"], test["data"]) for test in case["tests"] if test["valid"]]
    return found


def faulty(folder: Path, count: int, seed: int) -> Iterator[Faulty]:
    """So many documents with a fault, in the mix."""
    rng = random.Random(seed)
    pool = wild(folder)
    kinds = [kind for kind, percent in MIX.items() for _ in range(max(1, count * percent // 100))][:count]
    for kind in kinds:
        for _ in range(2000):
            one = rng.choice(pool)
            made = MAKERS[kind](one, rng)
            if made is not None:
                yield made
                break
        else:
            raise AssertionError(f"no document takes a fault of kind {kind}")


def _dump(value: Any, rng: random.Random) -> str:
    style: dict[str, Any] = rng.choice([{"separators": (",", ":")}, {}, {"indent": 2}])
    return json.dumps(value, ensure_ascii=False, **style)


def _made(kind: str, schema: Any, text: str, original: str) -> Faulty | None:
    if text == original:
        return None
    same = next(
        (i for i, (x, y) in enumerate(zip(text, original, strict=False)) if x != y), min(len(text), len(original))
    )
    return Faulty(kind, schema, text.encode(), original.encode(), len(text[:same].encode()))


Path_ = tuple[Any, ...]


def walk(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every value in a value, with its path."""
    yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from walk(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walk(inner, (*path, index))


def _put(value: Any, path: Path_, new: Any) -> Any:
    if not path:
        return new
    twin = copy.deepcopy(value)
    inner = twin
    for token in path[:-1]:
        inner = inner[token]
    inner[path[-1]] = new
    return twin


def drop(value: Any, path: Path_) -> Any:
    """The value without what stands at this path."""
    twin = copy.deepcopy(value)
    inner = twin
    for token in path[:-1]:
        inner = inner[token]
    del inner[path[-1]]
    return twin


def _is_number_text(value: Any) -> bool:
    return isinstance(value, str) and value.isdecimal() and value.isascii() and str(int(value)) == value


def _scalar_type(one: Wild, rng: random.Random) -> Faulty | None:
    scalars = [
        (path, value)
        for path, value in walk(one.value)
        if path and not isinstance(value, bool)
        and (isinstance(value, int | float) or _is_number_text(value))
    ]  # fmt: skip
    if not scalars:
        return None
    path, value = rng.choice(scalars)
    new: Any = json.dumps(value) if not isinstance(value, str) else int(value)
    style = rng.getrandbits(32)
    return _made(
        "scalar_type",
        one.schema,
        _dump(_put(one.value, path, new), random.Random(style)),
        _dump(one.value, random.Random(style)),
    )


def _unknown_member(one: Wild, rng: random.Random) -> Faulty | None:
    objects = [(path, value) for path, value in walk(one.value) if isinstance(value, dict)]
    if not objects:
        return None
    path, value = rng.choice(objects)
    extra = rng.choice([1, "a note", None, True, {"inner": [1, 2]}, ["x", "y"]])
    members = list(value.items())
    members.insert(rng.randint(0, len(members)), (rng.choice(["xyzzy_note", "confidence__", "_comment_x"]), extra))
    style = rng.getrandbits(32)
    return _made(
        "unknown_member",
        one.schema,
        _dump(_put(one.value, path, dict(members)), random.Random(style)),
        _dump(one.value, random.Random(style)),
    )


def _enums(schema: Any) -> set[str]:
    found: set[str] = set()
    stack = [schema]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            if isinstance(one.get("enum"), list):
                found |= {word for word in one["enum"] if isinstance(word, str)}
            stack += one.values()
        elif isinstance(one, list):
            stack += one
    return found


def _enum_case(one: Wild, rng: random.Random) -> Faulty | None:
    words = _enums(one.schema)
    places = [(path, value) for path, value in walk(one.value) if isinstance(value, str) and value in words and path]
    if not places:
        return None
    path, value = rng.choice(places)
    new = rng.choice([value.upper(), value.lower(), value.capitalize(), value.swapcase()])
    style = rng.getrandbits(32)
    return _made(
        "enum_case",
        one.schema,
        _dump(_put(one.value, path, new), random.Random(style)),
        _dump(one.value, random.Random(style)),
    )


def _strings(text: str) -> list[tuple[int, int]]:
    """Where the strings and names of a JSON text stand, quotes included."""
    found = []
    at = 0
    while (start := text.find('"', at)) >= 0:
        end = start + 1
        while text[end] != '"':
            end += 2 if text[end] == "\\" else 1
        found.append((start, end + 1))
        at = end + 1
    return found


def _single_quotes(one: Wild, rng: random.Random) -> Faulty | None:
    original = _dump(one.value, rng)
    spans = _strings(original)
    if not spans or any("'" in original[a:b] or "\\" in original[a:b] for a, b in spans):
        return None
    chosen = spans if rng.random() < 0.5 else [rng.choice(spans)]
    text = list(original)
    for start, end in chosen:
        text[start] = text[end - 1] = "'"
    return _made("single_quotes", one.schema, "".join(text), original)


def _comma(one: Wild, rng: random.Random) -> Faulty | None:
    original = _dump(one.value, rng)
    spans = _strings(original)
    inside = {at for start, end in spans for at in range(start, end)}
    if rng.random() < 0.5:
        closers = [
            at for at, char in enumerate(original)
            if char in "}]" and at not in inside and original[:at].rstrip()[-1:] not in "{["
        ]  # fmt: skip
        if not closers:
            return None
        at = rng.choice(closers)
        at = len(original[:at].rstrip())
        return _made("comma", one.schema, original[:at] + "," + original[at:], original)
    commas = [at for at, char in enumerate(original) if char == "," and at not in inside]
    # Without white space two numbers would be one: nobody could tell.
    commas = [at for at in commas if original[at + 1 : at + 2].isspace() or original[at + 1 : at + 2] in '"{[']
    if not commas:
        return None
    at = rng.choice(commas)
    return _made("comma", one.schema, original[:at] + original[at + 1 :], original)


def _fence(one: Wild, rng: random.Random) -> Faulty | None:
    original = _dump(one.value, rng)
    word = rng.choice(["json", "", "JSON"])
    return _made("fence", one.schema, f"```{word}\n{original}\n```", original)


def _prose(one: Wild, rng: random.Random) -> Faulty | None:
    original = _dump(one.value, rng)
    if rng.random() < 0.5:
        before = rng.choice(["Here is the JSON you asked for:\n\n", "Sure! ", "The result (as requested) is: "])
        return _made("prose", one.schema, before + original, original)
    after = rng.choice(
        ["\n\nLet me know if you need anything else!", " Done.", "\nNote: all values are estimates {see above}."]
    )
    return _made("prose", one.schema, original + after, original)


def _missing_default(one: Wild, rng: random.Random) -> Faulty | None:
    schema = one.schema
    if (
        not isinstance(schema, dict)
        or not isinstance(one.value, dict)
        or not isinstance(schema.get("properties"), dict)
    ):
        return None
    names = [
        name
        for name in schema.get("required", [])
        if name in one.value and isinstance(schema["properties"].get(name), dict)
    ]
    if not names:
        return None
    name = rng.choice(names)
    with_default = copy.deepcopy(schema)
    with_default["properties"][name]["default"] = one.value[name]
    rest = {key: value for key, value in one.value.items() if key != name}
    style = rng.getrandbits(32)
    original = {**rest, name: one.value[name]}
    return _made(
        "missing_default", with_default, _dump(rest, random.Random(style)), _dump(original, random.Random(style))
    )


def _inner_quote(one: Wild, rng: random.Random) -> Faulty | None:
    places = [
        (path, value)
        for path, value in walk(one.value)
        if path and isinstance(value, str) and value.count(" ") >= 2 and '"' not in value and "\\" not in value
    ]
    if not places:
        return None
    path, value = rng.choice(places)
    words = value.split(" ")
    at = rng.randrange(1, len(words) - 1)
    quoted = " ".join([*words[:at], f'"{words[at]}"', *words[at + 1 :]])
    if not jsonschema_rs.validator_for(one.schema, offline=True, validate_formats=True).is_valid(
        _put(one.value, path, quoted)
    ):
        return None
    original = _dump(_put(one.value, path, quoted), rng)
    return _made("inner_quote", one.schema, original.replace(f'\\"{words[at]}\\"', f'"{words[at]}"', 1), original)


MAKERS: dict[str, Callable[[Wild, random.Random], Faulty | None]] = {
    "scalar_type": _scalar_type,
    "unknown_member": _unknown_member,
    "enum_case": _enum_case,
    "single_quotes": _single_quotes,
    "comma": _comma,
    "fence": _fence,
    "prose": _prose,
    "missing_default": _missing_default,
    "inner_quote": _inner_quote,
}


def distance(a: bytes, b: bytes) -> int:
    """Bytes between the first and the last difference, in the longer of two texts."""
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    a, b = a[start:], b[start:]
    end = next((i for i, (x, y) in enumerate(zip(a[::-1], b[::-1], strict=False)) if x != y), min(len(a), len(b)))
    return max(len(a), len(b)) - end

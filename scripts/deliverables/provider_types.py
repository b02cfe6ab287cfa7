"""docs/reference/provider.interface.ts: what a provider is, in TypeScript, from ``lockgate.upstream.base``."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import AsyncIterator, Iterator, Mapping
from enum import EnumType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from lockgate.protocol.lifecycle import Ended
from lockgate.upstream import base
from lockgate.upstream.base import Generation, Provider, UpstreamEvent

_PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", bytes: "Uint8Array", Any: "unknown"}
_ENTRY = re.compile(r"^    (\w+): (.+(?:\n {8,}.+)*)", re.MULTILINE)


def text() -> str:
    events = get_args(UpstreamEvent)
    return "\n".join(
        [
            "/**",
            " * What a provider is: one dialect of an upstream API, turned into events. Written by `make docs` from",
            " * `lockgate.upstream.base`, which is the contract; [provider.md](provider.md) explains it.",
            " *",
            " * In Python an event is an instance of its class; here `event` names the class. Text is UTF-8.",
            " */",
            "",
            *(line for event in events for line in _event(event)),
            f"export type UpstreamEvent = {' | '.join(event.__name__ for event in events)};",
            "",
            *_doc(inspect.getdoc(Ended) or "", ""),
            f"export type Ended = {' | '.join(_quoted(member.value) for member in Ended)};",
            "",
            *_generation(),
            "",
            *_provider(),
            "",
        ]
    )


def _event(kind: type[msgspec.Struct]) -> Iterator[str]:
    docstring = inspect.getdoc(kind) or ""
    said = dict(_ENTRY.findall(docstring))
    yield from _doc(docstring.partition("\n\nAttributes:")[0], "")
    yield f"export interface {kind.__name__} {{"
    yield f"  event: {_quoted(kind.__name__)};"
    for field in msgspec.structs.fields(kind):
        if field.name in said:
            yield from _doc(said[field.name], "  ")
        is_optional = field.default is not msgspec.NODEFAULT
        yield f"  {field.name}{'?' if is_optional else ''}: {_type(field.type)};"
    yield "}"
    yield ""


def _generation() -> Iterator[str]:
    yield from _doc(inspect.getdoc(Generation) or "", "")
    yield "export interface Generation extends AsyncIterable<UpstreamEvent[]> {"
    yield "  /** Leave it: the upstream connection is closed at once, in any state. */"
    yield "  [Symbol.asyncDispose](): Promise<void>;"
    yield from _doc(inspect.getdoc(Generation.abort) or "", "  ")
    yield "  abort(): void;"
    yield "}"


def _provider() -> Iterator[str]:
    yield from _doc(inspect.getdoc(Provider) or "", "")
    yield "export interface Provider {"
    comments = dict(_attribute_comments())
    for name, kind in get_type_hints(Provider).items():
        yield f"  /** {comments[name]} */"
        yield f"  readonly {name}: {_type(kind)};"
    for name in ("serving", "open", "close"):
        method = getattr(Provider, name)
        yield from _doc(inspect.getdoc(method) or "", "  ")
        hints = get_type_hints(method, vars(base))
        result = _type(hints.pop("return", type(None)))
        if inspect.iscoroutinefunction(method):
            result = f"Promise<{'void' if result == 'null' else result}>"
        parameters = inspect.signature(method).parameters
        args = ", ".join(
            f"{key}{'?' if parameters[key].default is not inspect.Parameter.empty else ''}: {_type(kind)}"
            for key, kind in hints.items()
        )
        yield f"  {name}({args}): {result};"
    yield "}"


def _attribute_comments() -> Iterator[tuple[str, str]]:
    """The ``#:`` comment above each attribute of the protocol."""
    for comment, name in re.findall(r"#: (.+)\n    (\w+):", inspect.getsource(Provider)):
        yield name, comment.replace("``", "`")


def _type(kind: Any) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind is type(None):
        return "null"
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " | ".join(map(_type, args))
    if origin in (dict, Mapping):
        return f"Record<string, {_type(args[1])}>"
    if origin in (list, AsyncIterator):
        return f"{_type(args[0])}[]"
    if isinstance(kind, EnumType | type):
        return kind.__name__
    raise TypeError(f"provider.interface.ts has no word for {kind!r}: say in {__file__} what it is in TypeScript")


def _doc(docstring: str, indent: str) -> Iterator[str]:
    words = docstring.replace("``", "`").replace("Args:\n", "").replace("Raises:\n", "Raises ")
    told = [" ".join(paragraph.split()) for paragraph in words.split("\n\n")]
    if len(told) == 1:
        yield f"{indent}/** {told[0]} */"
        return
    yield f"{indent}/**"
    for number, paragraph in enumerate(told):
        if number:
            yield f"{indent} *"
        yield f"{indent} * {paragraph}"
    yield f"{indent} */"


def _quoted(word: str) -> str:
    return f'"{word}"'

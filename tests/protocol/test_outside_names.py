"""Names from outside are short and can be printed, wherever they come in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect as types
from starlette.datastructures import Headers

from lockgate.delivery.read_query import read_query
from lockgate.errors import BadRequest
from lockgate.gateway.headers import idempotency_key, name_in, producer_of
from lockgate.protocol import header_names as names
from lockgate.protocol.outside_names import MAX_NAME_BYTES, check_name, is_name
from lockgate.streams.options import CreateStream, FunctionTool, StreamOptions, read_request
from lockgate.upstream.calls import ToolCalls
from lockgate.upstream.chunks import Fragment

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
GOOD = st.text(min_size=1, max_size=64).filter(str.isprintable) | st.just("x" * 256) | st.just("é" * 128)
BAD = (
    st.integers(257, 5000).map("x".__mul__)
    | st.integers(129, 256).map("é".__mul__)
    | st.tuples(
        st.text(max_size=9), st.sampled_from("\n\r\x00\x1b\x7f\x85\u2028\u202e\u200b"), st.text(max_size=9)
    ).map("".join)
)


@given(GOOD)
def test_what_can_be_printed_and_is_short_is_a_name(text: str) -> None:
    assert is_name(text)
    assert check_name(text, "x") == text


@given(BAD | st.just(""))
def test_what_is_not_is_refused_in_plain_words(text: str) -> None:
    assert not is_name(text)
    with pytest.raises(BadRequest) as refused:
        check_name(text, "model")
    assert str(refused.value).startswith(f"model: must have 1 to {MAX_NAME_BYTES} bytes")
    assert str(refused.value).isascii()
    assert str(refused.value).isprintable()


def in_body(name: str, *, at: str) -> None:
    places: dict[str, dict[str, Any]] = {
        "model": {"model": name},
        "models": {"models": ["m", name]},
        "format": {"response_format": {"type": name}},
        "tool": {"tools": [{"type": "function", "function": {"name": name}}]},
    }
    read_request(json.dumps({**CHAT, **places[at]}).encode())


def in_header(name: str, header: str, read: Callable[[Headers], object]) -> None:
    """As a server hands it over: bytes as Latin-1; it lets no line end through."""
    more = {names.PRODUCER_EPOCH: "0", names.PRODUCER_SEQ: "0"} if header == names.PRODUCER_ID else {}
    raw = {**more, header: name.encode().decode("latin-1")}
    read(Headers(raw=[(key.lower().encode(), value.encode("latin-1")) for key, value in raw.items()]))


PLACES = [
    *(pytest.param(lambda name, at=at: in_body(name, at=at), id=at) for at in ("model", "models", "format", "tool")),
    pytest.param(lambda name: read_query([("channel", name)], {}), id="channel"),
    pytest.param(lambda name: read_query([("cursor", name)], {}), id="cursor"),
    pytest.param(lambda name: in_header(name, names.PRODUCER_ID, producer_of), id="producer"),
    pytest.param(lambda name: in_header(name, names.IDEMPOTENCY_KEY, idempotency_key), id="key"),
    pytest.param(
        lambda name: in_header(name, names.STREAM_SEQ, lambda given: name_in(given, names.STREAM_SEQ)), id="seq"
    ),
]


@pytest.mark.parametrize("take", PLACES)
@given(name=BAD)
def test_a_request_with_another_name_is_refused(take: Callable[[str], object], name: str) -> None:
    with pytest.raises(BadRequest):
        take(name)


def texts_in(kind: types.Type, path: str, meta: types.Metadata | None = None) -> Iterator[tuple[str, Any]]:
    """Every text that a request may choose freely: where it is, and what bounds it."""
    match kind:
        case types.Metadata():
            inner = kind.type
            if isinstance(inner, types.Metadata | types.StrType):
                bounds = {**(kind.extra_json_schema or {}), **_bounds(inner)}
                yield from ((where, {**bounds, **more}) for where, more in texts_in(inner, path, kind))
            else:
                yield from texts_in(inner, path)
        case types.StrType():
            yield path, _bounds(kind)
        case types.StructType():
            for field in kind.fields:
                yield from texts_in(field.type, f"{path}.{field.encode_name}")
        case types.UnionType():
            for one in kind.types:
                yield from texts_in(one, path)
        case types.ListType() | types.VarTupleType():
            yield from texts_in(kind.item_type, f"{path}[]")


def _bounds(kind: types.Type) -> dict[str, Any]:
    return {"maxLength": kind.max_length} if isinstance(kind, types.StrType) and kind.max_length is not None else {}


def test_no_text_of_a_request_is_without_a_bound() -> None:
    """A new option that is a free text fails here until it says how long it may be."""
    kinds: list[type[msgspec.Struct]] = [CreateStream, StreamOptions, FunctionTool]
    found = dict(pair for kind in kinds for pair in texts_in(types.type_info(kind), kind.__name__))
    assert {"CreateStream.model", "FunctionTool.function.name", "StreamOptions.elements"} <= set(found)
    assert {path for path, bounds in found.items() if not bounds.keys() & {"maxLength", "enum"}} == set()


# -- what a provider sends ------------------------------------------------------------------------------------------


@given(st.lists(st.text(min_size=1, max_size=120), min_size=1, max_size=5), st.booleans())
def test_the_name_of_a_call_is_bounded_however_it_is_cut(pieces: list[str], is_declared: bool) -> None:
    calls, refusal = ToolCalls("", frozenset(["f"]) if is_declared else frozenset()), ""
    for piece in pieces:
        try:
            call, _ = calls.take(Fragment(0, "id", piece))
        except ValueError as error:
            refusal = str(error)
            break
        assert len(call.name.encode(errors="replace")) <= MAX_NAME_BYTES
    assert refusal in ("", f"a tool call has a name of more than {MAX_NAME_BYTES} bytes")


def test_a_name_or_an_id_that_is_too_long_is_a_fault() -> None:
    """A signature in an id is whole: the next request must send it back."""
    signature = f"call_1__thought__{'A' * 8000}"
    call, _ = ToolCalls("", frozenset()).take(Fragment(0, signature, "f"))
    assert call.call_id == signature
    for fragment in (Fragment(0, "c", "f" * 257), Fragment(0, "c" * 16_385, "f")):
        with pytest.raises(ValueError, match="a tool call has"):
            ToolCalls("", frozenset()).take(fragment)

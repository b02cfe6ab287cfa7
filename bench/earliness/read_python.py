"""One contender of ``bench/earliness.py`` reads one stream, in a process and an environment of its own.

``python read_python.py CONTENDER`` takes ``{"schema": …, "warm_up": […], "deltas": […]}`` from standard input and
prints what the contender did. Clients get a real answer of an OpenAI-compatible API through a transport that hands out
one event when it is asked for the next, so what was handed over is known to the delta.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.metadata import version
from typing import Any, Literal, NotRequired


class Refused(Exception):
    """What a contender says that raises nothing by itself."""


class Source:
    """Hands out a text, and counts what is handed over and what is shown of it."""

    def __init__(self, schema: Any, deltas: list[str]) -> None:
        self.schema = schema
        self._deltas = deltas
        self.handed_bytes = self.shown_bytes = 0

    def deltas(self) -> Iterator[str]:
        for delta in self._deltas:
            self.handed_bytes += len(delta)
            yield delta

    def show_text(self, text: str | None) -> None:
        self.shown_bytes += len(text or "")

    def show_value(self, value: Any) -> None:
        """A value counts as the text that it would be, without the brackets and quotes that are open in it."""
        text = json.dumps(value, separators=(",", ":"))
        self.shown_bytes = max(self.shown_bytes, len(text.rstrip('"]}')))

    async def events(self) -> AsyncIterator[bytes]:
        for delta in self.deltas():
            yield _event({"index": 0, "delta": {"role": "assistant", "content": delta}, "finish_reason": None})
        yield _event({"index": 0, "delta": {}, "finish_reason": "stop"})
        yield b"data: [DONE]\n\n"

    @property
    def response_format(self) -> dict[str, Any]:
        return {"type": "json_schema", "json_schema": {"name": "doc", "strict": True, "schema": self.schema}}


def _event(choice: dict[str, Any]) -> bytes:
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _http_client(source: Source) -> Any:
    import httpx2
    import openai

    class Body(httpx2.AsyncByteStream):
        def __init__(self) -> None:
            self._events = source.events()  # one pass: what asks again for an answer that was read gets nothing

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._events

    class Transport(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: Any) -> Any:
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(), request=request)

    return openai.DefaultAsyncHttpxClient(transport=Transport())


def _openai_client(source: Source) -> Any:
    import openai

    return openai.AsyncOpenAI(base_url="http://localhost/v1", api_key="any", http_client=_http_client(source))


GO: Any = [{"role": "user", "content": "go"}]


def _models(*bases: type) -> Any:
    """The schema as pydantic models."""
    from pydantic import BaseModel, ConfigDict, create_model

    class Closed(*bases, BaseModel):  # type: ignore[misc]
        model_config = ConfigDict(extra="forbid")

    element = create_model(
        *("Element",),
        __base__=Closed,
        id=(int, ...),
        name=(str, ...),
        price=(float, ...),
        tag=(Literal["red", "green", "blue"], ...),
    )
    return create_model(
        *("Document",),
        __base__=Closed,
        status=(Literal["ready", "draft"], ...),
        items=(list[element], ...),  # type: ignore[valid-type]
        total=(int, ...),
    )


# -- contenders --------------------------------------------------------------------------------------------------------


async def lockgate_gate(source: Source) -> None:
    import lockgate

    gate = lockgate.compile(source.schema).gate()
    events: list[Any] = []
    for delta in source.deltas():
        events = gate.feed(delta.encode())
        source.shown_bytes += sum(len(one.data) for one in events if isinstance(one, lockgate.Released))
        if gate.state == "halted":
            break
    events += gate.close()
    source.shown_bytes += sum(len(one.data) for one in events[1:] if isinstance(one, lockgate.Released))
    if gate.state != "complete":
        raise Refused(gate.state)


async def lockgate_wrap(source: Source) -> None:
    import lockgate

    client = lockgate.wrap(_openai_client(source))
    options = {"stream": True, "response_format": source.response_format}
    async for chunk in await client.chat.completions.create(model="m", messages=GO, **options):
        source.show_text(chunk.choices[0].delta.content)


async def openai_loads(source: Source) -> None:
    text = ""
    options = {"stream": True, "response_format": source.response_format}
    async for chunk in await _openai_client(source).chat.completions.create(model="m", messages=GO, **options):
        text += chunk.choices[0].delta.content or ""
        source.show_text(chunk.choices[0].delta.content)
    json.loads(text)


async def openai_parse(source: Source) -> None:
    client = _openai_client(source)
    async with client.chat.completions.stream(model="m", messages=GO, response_format=_models()) as stream:
        async for event in stream:
            if event.type == "content.delta":
                source.show_text(event.delta)
        assert (await stream.get_final_completion()).choices[0].message.parsed is not None


async def pydantic_ai(source: Source) -> None:
    import pydantic_ai
    from pydantic import ConfigDict
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

    # Typed dictionaries, and what comes late not required, as its documentation advises for streams: of an unfinished
    # model nothing would be shown.
    fields = {"id": int, "name": str, "price": float, "tag": Literal["red", "green", "blue"]}
    element: Any = TypedDict("element", fields)  # type: ignore[misc]
    element.__pydantic_config__ = ConfigDict(extra="forbid")
    top = {"status": Literal["ready", "draft"], "items": NotRequired[list[element]], "total": NotRequired[int]}
    document: Any = TypedDict("document", top)  # type: ignore[misc]
    document.__pydantic_config__ = ConfigDict(extra="forbid")
    chat = OpenAIChatModel("m", provider=OpenAIProvider(openai_client=_openai_client(source)))
    agent = pydantic_ai.Agent(chat, output_type=pydantic_ai.NativeOutput(document), retries=0)
    async with agent.run_stream("go") as result:
        async for value in result.stream_output(debounce_by=None):
            source.show_value(value)
        await result.get_output()


async def instructor(source: Source) -> None:
    import instructor as library
    from instructor.v2.dsl.partial import PartialLiteralMixin

    client: Any = library.from_openai(_openai_client(source), mode=library.Mode.JSON_SCHEMA)
    # The mix-in is what it asks for where a literal is not finished yet.
    stream = client.create_partial(model="m", messages=GO, response_model=_models(PartialLiteralMixin), max_retries=0)
    async for value in stream:
        source.show_value(value.model_dump(exclude_none=True))


async def langchain(source: Source) -> None:
    from langchain_core.output_parsers import JsonOutputParser
    from langchain_openai import ChatOpenAI

    options: dict[str, Any] = {"base_url": "http://localhost/v1", "api_key": "any", "max_retries": 0}
    chat = ChatOpenAI(model="m", http_async_client=_http_client(source), **options)
    chain = chat.bind(response_format=source.response_format) | JsonOutputParser()
    async for value in chain.astream("go"):
        source.show_value(value)


async def xgrammar(source: Source) -> None:
    import xgrammar as library

    words = [bytes([byte]) for byte in range(256)] + [b"</s>"]
    info = library.TokenizerInfo(words, stop_token_ids=[256])
    grammar = library.GrammarCompiler(info).compile_json_schema(json.dumps(source.schema))
    matcher = library.GrammarMatcher(grammar, terminate_without_stop_token=True)
    for delta in source.deltas():
        if not matcher.accept_string(delta):
            raise Refused("accept_string is False")
        source.show_text(delta)
    if not matcher.is_terminated():
        raise Refused("is_terminated is False")


async def llguidance(source: Source) -> None:
    import llguidance as library

    grammar = library.LLMatcher.grammar_from_json_schema(source.schema)
    matcher = library.LLMatcher(library.LLTokenizer("byte"), grammar)
    for delta in source.deltas():
        taken = matcher.try_consume_tokens(list(delta.encode()))
        source.show_text(delta[:taken])
        if taken < len(delta):
            raise Refused("a token is refused")
    if not matcher.is_accepting():
        raise Refused("is_accepting is False")


#: By name, what reads the stream and the packages whose versions are told.
CONTENDERS: dict[str, tuple[Callable[[Source], Awaitable[None]], list[str]]] = {
    "lockgate, gate": (lockgate_gate, ["lockgate"]),
    "lockgate, wrap": (lockgate_wrap, ["lockgate", "openai"]),
    "openai, json.loads": (openai_loads, ["openai"]),
    "openai, stream()": (openai_parse, ["openai"]),
    "pydantic-ai": (pydantic_ai, ["pydantic-ai-slim"]),
    "instructor": (instructor, ["instructor"]),
    "LangChain": (langchain, ["langchain-core", "langchain-openai"]),
    "xgrammar": (xgrammar, ["xgrammar"]),
    "llguidance": (llguidance, ["llguidance"]),
}


def read(contender: str, schema: Any, deltas: list[str]) -> dict[str, Any]:
    """What the contender did with one stream."""
    source, said = Source(schema, deltas), None
    start_s = time.process_time()
    try:
        asyncio.run(CONTENDERS[contender][0](source))  # type: ignore[arg-type]
    except ImportError:
        raise
    except Exception as error:  # whatever it says, however it says it
        said = f"{type(error).__name__}: {error}"[:200]
    cpu_ms = (time.process_time() - start_s) * 1000
    return {"said": said, "handed": source.handed_bytes, "shown": source.shown_bytes, "cpu_ms": round(cpu_ms, 2)}


def main() -> None:
    task, name = json.load(sys.stdin), sys.argv[1]
    warm = read(name, task["schema"], task["warm_up"])
    assert warm["said"] is None, f"{name} refuses the warm-up: {warm['said']}"
    found = read(name, task["schema"], task["deltas"])
    print(json.dumps({**found, "versions": {one: version(one) for one in CONTENDERS[name][1]}}))


if __name__ == "__main__":
    main()

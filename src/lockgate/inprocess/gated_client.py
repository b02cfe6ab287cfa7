"""``wrap``: an openai client whose chat completions go through gates.

openai is not imported: a client is what has ``copy`` and ``post``, a stream what can be iterated and closed, a chunk
what has ``to_dict`` and ``model_construct``. All ways to a chat completion (``create``, ``parse``, ``stream``, with or
without raw responses) lead through ``post``, with the body as it goes out, and give what came to the ``post_parser`` of
the options. So one place sees every answer. It is in a copy of the client that shares its connections.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, TypeVar, Unpack

from lockgate.errors import Misuse
from lockgate.inprocess.answer_plan import AnswerPlan, plan_of
from lockgate.inprocess.closing import aclose, close
from lockgate.inprocess.handling import Handling, JudgeOptions
from lockgate.inprocess.judged_answer import JudgedAnswer
from lockgate.inprocess.placing import Json
from lockgate.inprocess.turns import Steps, at_once, in_turns
from lockgate.inprocess.value_types import reader_of
from lockgate.protocol.lifecycle import Ended

Client = TypeVar("Client")


def wrap(client: Client, **options: Unpack[JudgeOptions]) -> Client:
    """A copy of an openai client that judges every chat completion while it comes.

    ``chat.completions.create`` (streamed or not), ``parse`` and ``stream`` give what they always give: chunks, events
    and completions of the client's own types, with the text that was released. The content of each choice is judged by
    ``response_format`` (``json_schema``, ``json_object``, or a model of pydantic), the arguments of each call by the
    parameters of its tool. At a violation that nothing gets past, the connection is closed and ``ViolationError`` is
    raised; where an answer ends and nothing proves that it is whole, ``IncompleteError``, or what the client itself
    raised. ``length``, a filter and a refusal end as they do without lockgate. Finish reasons come when the stream has
    ended. A loop over a stream that is left closes its connection.

    A stream has one more method: ``elements(model)`` iterates over the items of the array that ``elements`` points to,
    each as soon as it is whole, as instances of the model. Raw responses are judged by their ``parse()``; their bytes
    are what upstream sent. What stands beside the text (reasoning, log probabilities) is passed on as it is. Everything
    else of the client is untouched, and so is the client that is given.

    Args:
        client: A client of openai 1.40 or newer, synchronous or asynchronous, or of a package made like it.
        options: Of ``Schema.gate``: ``recovery``, ``elements``, ``release``, ``skip``, ``lossy``,
            ``max_patches``, ``max_held_bytes``, ``accept_truncated``. Of ``compile``: ``formats``, ``dialect``,
            ``limits``. And ``on_violation``: a function that is called with the channel and the ``Violated`` event of
            each violation, also where recovery got past it.

    Raises:
        Misuse: not such a client, or options that exclude each other.
    """
    if not (callable(getattr(client, "copy", None)) and callable(getattr(client, "post", None))):
        raise Misuse(f"wrap takes a client like openai.OpenAI(), with copy() and post(), not {type(client).__name__}")
    handling = Handling(options)
    if handling.is_lines:
        raise Misuse("framing='ndjson' is not for chat completions: response_format asks for one document")
    gated: Client = _gated_copy(client, handling)
    return gated


def _gated_copy(client: Any, handling: Handling, *args: Any, **changes: Any) -> Any:
    gated = client.copy(*args, **changes)
    post, original_copy = gated.post, partial(_gated_copy, client, handling)
    gated.post = (_agated_post if inspect.iscoroutinefunction(post) else _gated_post)(post, handling)
    gated.copy = gated.with_options = original_copy  # a copy of it is no way around the gates
    return gated


def _gated_post(post: Callable[..., Any], handling: Handling) -> Callable[..., Any]:
    def gated(path: str, **request: Any) -> Any:
        judge = _AnswerJudge.of(path, request, handling)
        found = post(path, **request)
        return found if judge is None else judge.check(found)

    return gated


def _agated_post(post: Callable[..., Any], handling: Handling) -> Callable[..., Any]:
    async def gated(path: str, **request: Any) -> Any:
        judge = _AnswerJudge.of(path, request, handling, can_wait=True)
        found = await post(path, **request)
        return found if judge is None else await judge.finish(found)

    return gated


class _AnswerJudge:
    """Judges what one request brings; stands where the client lets its answers be parsed."""

    def __init__(
        self, plan: AnswerPlan, handling: Handling, parser: Callable[[Any], Any] | None, *, can_wait: bool
    ) -> None:
        self._plan = plan
        self._handling = handling
        self._parser = parser
        self._can_wait = can_wait  # while the request is on its way, a whole answer may be judged after it
        self._is_waiting = False
        self._has_judged = False

    @classmethod
    def of(
        cls, path: str, request: dict[str, Any], handling: Handling, *, can_wait: bool = False
    ) -> _AnswerJudge | None:
        """The judge of a request, which is told of it; None for what is no chat completion."""
        if not path.rstrip("/").endswith("/chat/completions"):
            return None
        body, options = request.get("body"), request.get("options") or {}
        if not isinstance(body, dict):
            raise Misuse(
                "wrap judges by what a request asks for; give the client its arguments, and not a body in bytes"
            )
        plan = plan_of(body | (options.get("extra_json") or {}), handling)
        parser = options.get("post_parser")
        judge = cls(plan, handling, parser if callable(parser) else None, can_wait=can_wait)
        request["options"] = options | {"post_parser": judge}
        return judge

    def __call__(self, found: Any) -> Any:
        """What came, judged, and as the request's own parser wants it."""
        self._has_judged = True
        if hasattr(found, "choices") and self._can_wait:
            self._is_waiting = True
            return found
        answer = JudgedAnswer(self._plan, self._handling)
        if hasattr(found, "choices"):
            judged = at_once(_whole(found, answer))
        elif hasattr(found, "__anext__"):
            judged = GatedAsyncStream(found, answer)
        elif hasattr(found, "__next__"):
            judged = GatedStream(found, answer)
        else:
            raise Misuse(f"{type(found).__name__} is neither a chat completion nor a stream of its chunks")
        return judged if self._parser is None else self._parser(judged)

    def check(self, found: Any) -> Any:
        """What the client returns: a raw response is judged when it is parsed, anything else must be judged."""
        if not self._has_judged and not hasattr(found, "http_response"):
            raise Misuse("the client gave out an answer that is not judged; wrap needs openai 1.40 or newer")
        self._can_wait = False
        return found

    async def finish(self, found: Any) -> Any:
        """The same, where a whole answer was left to be judged now, with the turns of others between its steps."""
        self.check(found)
        if not self._is_waiting:
            return found
        judged = await in_turns(_whole(found, JudgedAnswer(self._plan, self._handling)))
        if self._parser is not None:
            judged = self._parser(judged)
        if judged is not found and hasattr(found, "_request_id"):
            judged._request_id = found._request_id  # the client puts it on what it has parsed
        return judged


def _whole(found: Any, answer: JudgedAnswer) -> Steps[Any]:
    given = found.to_dict(mode="json")
    judged = yield from answer.whole(given)
    if answer.failure is not None:
        raise answer.failure
    return found if judged is given else type(found).model_construct(**judged)


class _GatedBase:
    """What both kinds of streams are: the client's own, with other chunks."""

    def __init__(self, source: Any, answer: JudgedAnswer) -> None:
        self._source = source
        self._answer = answer
        self._kind: Any = None  # type of the chunks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._source)  # those who ask with isinstance get the answer that they know

    def _parts(self, chunk: Any) -> Steps[list[Any]]:
        """What a chunk brings, as chunks of its type; one that is as it came is that chunk itself."""
        given: Json = chunk.to_dict(mode="json")
        self._kind = type(chunk)
        parts = yield from self._answer.take(given)
        return [chunk if part is given else self._kind.model_construct(**part) for part in parts]

    def _end(self, broken: Exception | None) -> Steps[list[Any]]:
        parts = yield from self._answer.end(None if broken is None else Ended.BROKEN)
        return [self._kind.model_construct(**part) for part in parts]


class GatedStream(_GatedBase):
    """Judged chunks of one streamed answer."""

    def __init__(self, source: Any, answer: JudgedAnswer) -> None:
        super().__init__(source, answer)
        self._chunks = self._gated()

    def _gated(self) -> Iterator[Any]:
        source, answer = self._source, self._answer
        broken: Exception | None = None
        try:
            while answer.failure is None and not answer.is_over:
                try:
                    chunk = next(source)
                except StopIteration:
                    break
                except Exception as error:  # whatever broke the answer off; raised below, unless it was over
                    broken = error
                    break
                parts = at_once(self._parts(chunk))
                if answer.failure is not None:
                    close(source)
                yield from parts
            yield from at_once(self._end(broken))
        finally:
            close(source)
        if answer.failure is not None:
            raise broken or answer.failure

    def __next__(self) -> Any:
        return next(self._chunks)

    def __iter__(self) -> Iterator[Any]:
        yield from self._chunks

    def elements(self, model: Any = None) -> Iterator[Any]:
        """The items of the array that ``elements`` points to, each as soon as it is whole.

        Args:
            model: Their type; None for plain Python values.
        """
        read, chunks = reader_of(model), iter(self)
        is_open = True
        failure: Exception | None = None
        while is_open:
            try:
                next(chunks)
            except StopIteration:
                is_open = False
            except Exception as error:  # raised below, after the elements that came before it
                failure, is_open = error, False
            yield from map(read, self._answer.elements())
        if failure is not None:
            raise failure

    def __enter__(self) -> GatedStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close(self._source)


class GatedAsyncStream(_GatedBase):
    """The same for an asynchronous client."""

    def __init__(self, source: Any, answer: JudgedAnswer) -> None:
        super().__init__(source, answer)
        self._chunks = self._gated()

    async def _gated(self) -> AsyncIterator[Any]:
        source, answer = self._source, self._answer
        broken: Exception | None = None
        try:
            while answer.failure is None and not answer.is_over:
                try:
                    chunk = await anext(source)
                except StopAsyncIteration:
                    break
                except Exception as error:  # whatever broke the answer off; raised below, unless it was over
                    broken = error
                    break
                parts = await in_turns(self._parts(chunk))
                if answer.failure is not None:
                    await aclose(source)
                for part in parts:
                    yield part
            for part in await in_turns(self._end(broken)):
                yield part
        finally:
            await aclose(source)
        if answer.failure is not None:
            raise broken or answer.failure

    async def __anext__(self) -> Any:
        return await anext(self._chunks)

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for chunk in self._chunks:
                yield chunk
        finally:
            await aclose(self._chunks)

    async def elements(self, model: Any = None) -> AsyncIterator[Any]:
        """The items of the array that ``elements`` points to, each as soon as it is whole.

        Args:
            model: Their type; None for plain Python values.
        """
        read = reader_of(model)
        is_open = True
        failure: Exception | None = None
        try:
            while is_open:
                try:
                    await anext(self._chunks)
                except StopAsyncIteration:
                    is_open = False
                except Exception as error:  # raised below, after the elements that came before it
                    failure, is_open = error, False
                for element in self._answer.elements():
                    yield read(element)
        finally:
            await aclose(self._chunks)
        if failure is not None:
            raise failure

    async def __aenter__(self) -> GatedAsyncStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await aclose(self._source)

"""The server: routes, and the task that sends one generation.

``async with serve(SimOptions(port=0)) as sim`` runs it inside a test or a demo; ``run`` is the command's way. A client
that leaves cancels the handler at once (aiohttp's ``handler_cancellation``), which ends the generation.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Final

import msgspec
from aiohttp import web

from lockgate.errors import BadRequest
from lockgate.sim.ask import Ask, UnknownModel, read_ask
from lockgate.sim.chunks import COMMENT, PROVIDER, Chunks, failure
from lockgate.sim.deltas import cut
from lockgate.sim.documents import CATALOGUE, MODELS
from lockgate.sim.faults import Ending, Script, write_script
from lockgate.sim.options import SimOptions
from lockgate.sim.pace import Now, Pace, Sleep
from lockgate.sim.record import Record, State

__all__ = ["Record", "SimOptions", "Simulator", "State", "make_app", "run", "serve"]

_PREFIXES: Final = ("/v1", "/api/v1")
_MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024
#: About the bytes of one write at full speed, or when several deltas are overdue.
_PIECE_BYTES: Final = 16 * 1024
#: Comments before the data, and again at the place of the fault; between deltas one per so many.
_STORM: Final = 300
_STORM_EVERY: Final = 4
_SHUTDOWN_S: Final = 5.0
# As recorded: no charset, any origin may read. The simulator holds nothing worth protecting.
_STREAM_HEADERS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
_PREFLIGHT_HEADERS: Final = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, HTTP-Referer, X-Title",
}


@dataclass(frozen=True, slots=True)
class _Generation:
    """All that one request needs: what was asked, what is sent, how it looks on the wire, what is remembered of it."""

    ask: Ask
    script: Script
    deltas: list[str]
    chunks: Chunks
    record: Record

    def opening(self) -> bytes:
        """What is sent at once: a comment, as OpenRouter does, or a storm of them."""
        return COMMENT * (1 if self.script.storm_at is None else _STORM) + self.chunks.opening()

    def events(self) -> Iterator[tuple[bytes, int]]:
        """Each delta as it goes on the wire, made when it is taken, and the bytes of text in it."""
        at, storm_at = 0, self.script.storm_at
        for index, text in enumerate(self.deltas):
            n_bytes = len(text.encode())
            event = self.chunks.delta(text)
            if storm_at is not None:
                comments = _STORM if at <= storm_at < at + n_bytes else int(index % _STORM_EVERY == 0)
                event = COMMENT * comments + event
            at += n_bytes
            yield event, n_bytes


class Simulator:
    """A simulated upstream.

    Args:
        options: Where it listens, and what requests get that do not choose.
        now: Monotonic clock, in seconds.
        sleep: Waits for so many seconds.

    Attributes:
        requests: The recent requests, oldest first.
        url: Where it is, without a path; empty until it listens.
    """

    def __init__(self, options: SimOptions, *, now: Now = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self.requests: deque[Record] = deque(maxlen=options.kept_requests)
        self.url = ""
        self._options = options
        self._now = now
        self._sleep = sleep
        self._numbers = count(1)
        self._open: set[asyncio.Task[Any]] = set()
        self._is_stopping = False

    @property
    def base_url(self) -> str:
        """What OpenAI clients and ``upstream.base_url`` want: everything before ``/chat/completions``."""
        return self.url + _PREFIXES[0]

    def app(self) -> web.Application:
        """The application, for any aiohttp runner. The runner must be made with ``handler_cancellation=True``."""
        app = web.Application(middlewares=[_tell_errors], client_max_size=_MAX_REQUEST_BYTES)
        app.router.add_get("/healthz", self._health)
        for prefix in _PREFIXES:
            app.router.add_post(f"{prefix}/chat/completions", self._complete)
            app.router.add_options(f"{prefix}/chat/completions", self._preflight)
            app.router.add_get(f"{prefix}/models", self._models)
            app.router.add_get(f"{prefix}/sim/documents", self._documents)
            app.router.add_get(f"{prefix}/sim/requests", self._requests)
        app.on_response_prepare.append(_allow_any_origin)
        app.on_shutdown.append(self._stop)
        return app

    # -- what one can look at ------------------------------------------------------------------------------------

    async def _health(self, _: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def _preflight(self, _: web.Request) -> web.Response:
        return web.Response(status=204, headers=_PREFLIGHT_HEADERS)

    async def _models(self, _: web.Request) -> web.Response:
        models = [
            {
                "id": name,
                "object": "model",
                "name": f"{PROVIDER}: {entry.title}",
                "description": entry.description,
                "created": 0,
                "owned_by": "sim",
                "supported_parameters": ["response_format", "seed", "structured_outputs", "tool_choice", "tools"],
            }
            for name, entry in MODELS.items()
        ]
        return _json({"object": "list", "data": models})

    async def _documents(self, _: web.Request) -> web.Response:
        documents = [
            {
                "name": entry.name,
                "model": f"sim/{entry.name}",
                "title": entry.title,
                "description": entry.description,
                "default_bytes": entry.default_bytes,
                "schema": entry.schema,
            }
            for entry in CATALOGUE.values()
        ]
        return _json({"documents": documents})

    async def _requests(self, _: web.Request) -> web.Response:
        now_s = self._now()
        return _json({"requests": [record.told(now_s) for record in self.requests]})

    # -- one generation ------------------------------------------------------------------------------------------

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        ask = read_ask(await request.read(), self._options.choices())
        # A long document takes a while to make; other streams go on meanwhile.
        script, deltas = await asyncio.to_thread(_write, ask)
        generation = self._begin(ask, script, deltas)
        record = generation.record
        task = asyncio.current_task()
        assert task is not None  # a coroutine runs in a task
        self._open.add(task)
        try:
            return await (self._stream if ask.is_stream else self._answer)(request, generation)
        except asyncio.CancelledError:
            record.end(State.STOPPED if self._is_stopping else State.LEFT, self._now())
            raise
        except ConnectionError:
            record.end(State.LEFT, self._now())
            raise
        finally:
            self._open.discard(task)

    def _begin(self, ask: Ask, script: Script, deltas: list[str]) -> _Generation:
        stamp = time.monotonic_ns if ask.choices.stamp else None
        chunks = Chunks(ask.model, ask.choices.seed, prompt_tokens=ask.prompt_tokens, tool=ask.tool, stamp=stamp)
        record = Record(
            number=next(self._numbers),
            generation=chunks.id,
            model=ask.model,
            is_stream=ask.is_stream,
            fault=ask.choices.fault,
            total_bytes=len(script.text.encode()),
            total_deltas=len(deltas),
            started_s=self._now(),
        )
        self.requests.append(record)
        return _Generation(ask, script, deltas, chunks, record)

    async def _stream(self, request: web.Request, generation: _Generation) -> web.StreamResponse:
        chunks, record = generation.chunks, generation.record
        response = web.StreamResponse(headers=_STREAM_HEADERS | {"X-Generation-Id": chunks.id})
        await response.prepare(request)

        async def send(data: bytes) -> None:
            await response.write(data)
            record.wire_bytes += len(data)

        await send(generation.opening())
        await self._send_deltas(send, generation)
        match generation.script.ending:
            case Ending.DONE:
                await send(chunks.closing(record.total_deltas))
                record.end(State.COMPLETE, self._now())
            case Ending.ERROR:
                await send(chunks.error(_failed(record.sent_bytes)))
                record.end(State.ERROR, self._now())
            case Ending.STALL:
                await self._stall(request, record)
            case Ending.CUT:
                await self._break_off(request, record)
        return response

    async def _send_deltas(self, send: Callable[[bytes], Awaitable[None]], generation: _Generation) -> None:
        """Send each delta when it is due. What is overdue goes along in one write, so a late loop can catch up."""
        record, events = generation.record, generation.events()
        pace, group = self._pace(generation), generation.ask.choices.coalesce
        while record.sent_deltas < record.total_deltas:
            wanted = min(record.sent_deltas + group, record.total_deltas)
            await pace.wait(wanted - 1)
            due = min(pace.due() // group * group, record.total_deltas)
            piece = bytearray()
            for event, n_bytes in islice(events, max(due, wanted) - record.sent_deltas):
                piece += event
                record.sent_bytes += n_bytes
                record.sent_deltas += 1
                if len(piece) >= _PIECE_BYTES and record.sent_deltas % group == 0:
                    break
            await send(bytes(piece))

    async def _answer(self, request: web.Request, generation: _Generation) -> web.StreamResponse:
        """The whole answer at once, after the time that writing it takes. Faults strike before the first byte."""
        script, record = generation.script, generation.record
        await self._pace(generation).wait(record.total_deltas)
        response = _json(failure(_failed(record.total_bytes)), status=502)
        match script.ending:
            case Ending.DONE:
                body = generation.chunks.whole(script.text, record.total_deltas)
                response = web.Response(body=body, content_type="application/json")
                record.sent_bytes, record.sent_deltas = record.total_bytes, record.total_deltas
                record.wire_bytes = len(body)
                record.end(State.COMPLETE, self._now())
            case Ending.ERROR:
                record.end(State.ERROR, self._now())
            case Ending.STALL:
                await self._stall(request, record)
            case Ending.CUT:
                await self._break_off(request, record)
        response.headers["X-Generation-Id"] = generation.chunks.id
        return response

    def _pace(self, generation: _Generation) -> Pace:
        return Pace(generation.ask.choices.rate, now=self._now, sleep=self._sleep)

    async def _stall(self, request: web.Request, record: Record) -> None:
        """Send nothing until the client leaves, which cancels this, or until it has been long enough."""
        record.state = State.STALLING
        await self._sleep(self._options.stall_s)
        await self._break_off(request, record)

    async def _break_off(self, request: web.Request, record: Record) -> None:
        """Close the connection in the middle of the body. What was sent so far still reaches the client."""
        record.end(State.CUT, self._now())
        transport = request.transport
        if transport is None:
            return
        # Aborting throws away what is still in the buffer, so let it run empty first.
        transport.set_write_buffer_limits(0)
        await request.writer.drain()
        transport.abort()

    async def _stop(self, _: web.Application) -> None:
        """End what is still open, so that shutting down need not wait for the last delta."""
        self._is_stopping = True
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(list(self._open), timeout=_SHUTDOWN_S)


def _write(ask: Ask) -> tuple[Script, list[str]]:
    choices = ask.choices
    script = write_script(ask.entry, choices.seed, ask.size_bytes, choices.fault, choices.at_bytes)
    return script, cut(script.text, choices.seed)


def _failed(at: int) -> str:
    return f"The simulated provider failed after {at} bytes, as it was asked to"


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


async def _allow_any_origin(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Access-Control-Allow-Origin"] = "*"


@web.middleware
async def _tell_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Errors before the stream, in OpenRouter's shape."""
    try:
        return await handler(request)
    except UnknownModel as error:
        return _json(failure(str(error), 404, "not_found"), status=404)
    except BadRequest as error:
        return _json(failure(str(error), 400, "invalid_request"), status=400)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _json(failure(error.reason, error.status, "invalid_request"), status=error.status)


def make_app(options: SimOptions | None = None) -> web.Application:
    """The application alone, for callers with a runner of their own (with ``handler_cancellation=True``)."""
    return Simulator(options or SimOptions()).app()


@asynccontextmanager
async def serve(
    options: SimOptions | None = None, *, now: Now = time.monotonic, sleep: Sleep = asyncio.sleep
) -> AsyncIterator[Simulator]:
    """Run a simulator on a real socket for as long as the block lasts. Open generations are then broken off.

    Args:
        options: As for :class:`Simulator`; port 0 takes any free port.
        now: Monotonic clock, in seconds.
        sleep: Waits for so many seconds.

    Raises:
        OSError: the address is taken or cannot be listened on.
    """
    options = options or SimOptions()
    sim = Simulator(options, now=now, sleep=sleep)
    runner = web.AppRunner(sim.app(), access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, options.host, options.port).start()
        host, port = runner.addresses[0][:2]
        sim.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        yield sim
    finally:
        await runner.cleanup()


def run(options: SimOptions | None = None, *, ready: Callable[[Simulator], None] | None = None) -> None:
    """Run a simulator until SIGINT or SIGTERM.

    Args:
        options: As for :class:`Simulator`.
        ready: Called once it listens; None writes the address to standard output, as a line of its own.

    Raises:
        OSError: the address is taken or cannot be listened on.
    """
    asyncio.run(_until_stopped(options, ready))


async def _until_stopped(options: SimOptions | None, ready: Callable[[Simulator], None] | None) -> None:
    stopped = asyncio.Event()
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    except NotImplementedError:
        pass  # Windows: ctrl-C then comes as KeyboardInterrupt
    async with serve(options) as sim:
        (ready or _tell_address)(sim)
        await stopped.wait()


def _tell_address(sim: Simulator) -> None:
    sys.stdout.write(f"{sim.url}\n")
    sys.stdout.flush()

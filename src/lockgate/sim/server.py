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
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count, islice
from typing import Any, Final

import msgspec
from aiohttp import web

from lockgate.errors import BadRequest
from lockgate.sim.ask import Ask, UnknownModel, read_ask
from lockgate.sim.attempts import Attempts
from lockgate.sim.continuation import Kind, Manner
from lockgate.sim.documents import CATALOGUE, MODELS
from lockgate.sim.endings import End, http_error, last_events, whole_answer
from lockgate.sim.faults import ERRORS, PARAMETERS, Fault, takes_place
from lockgate.sim.generation import JUNK, Script, SimulatedAnswer, compose, deltas_of
from lockgate.sim.pace import Now, Pace, Sleep
from lockgate.sim.packing import PACKERS
from lockgate.sim.record import RequestRecord, RequestState
from lockgate.sim.sim_options import SimOptions
from lockgate.sim.wire_chunks import COMMENT, PROVIDER, Chunks, failure

__all__ = ["RequestRecord", "RequestState", "SimOptions", "Simulator", "make_app", "run", "serve"]

_PREFIXES: Final = ("/v1", "/api/v1")
_MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024
#: About how many bytes one write has at full speed, or when several deltas are overdue.
_PIECE_BYTES: Final = 16 * 1024
#: Seconds between two comments while an answer is slow to start.
_HEARTBEAT_S: Final = 1.0
_SHUTDOWN_S: Final = 5.0
# As recorded: no charset, and any origin may read. The simulator has nothing to protect.
_STREAM_HEADERS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
_PREFLIGHT_HEADERS: Final = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, HTTP-Referer, X-Title",
}


class Simulator:
    """A simulated upstream.

    Args:
        options: Where it listens, and the defaults of requests.
        now: Monotonic clock, in seconds.
        sleep: Waits for a number of seconds.

    Attributes:
        requests: The recent requests, oldest first.
        url: Where it is, without a path; empty until it listens.
    """

    def __init__(self, options: SimOptions, *, now: Now = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self.requests: deque[RequestRecord] = deque(maxlen=options.kept_requests)
        self.url = ""
        self._options = options
        self._now = now
        self._sleep = sleep
        self._numbers = count(1)
        self._attempts = Attempts()
        self._open: set[asyncio.Task[Any]] = set()
        self._is_stopping = False

    @property
    def base_url(self) -> str:
        """The base URL for OpenAI clients and ``upstream.base_url``: everything before ``/chat/completions``."""
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
            app.router.add_get(f"{prefix}/sim/faults", self._faults)
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

    async def _faults(self, _: web.Request) -> web.Response:
        faults = [
            {"name": fault, "parameters": [*PARAMETERS.get(fault, {}), *(["at_bytes"] if takes_place(fault) else [])]}
            for fault in Fault
        ]
        return _json({"faults": faults, "manners": list(Manner)})

    async def _requests(self, request: web.Request) -> web.Response:
        now_s, key = self._now(), request.query.get("key")
        return _json({"requests": [one.told(now_s) for one in self.requests if key is None or one.key == key]})

    # -- one generation ------------------------------------------------------------------------------------------

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        ask = read_ask(await request.read(), self._options.choices())
        attempt = self._attempts.next(ask.key)
        try:
            # A long document takes a while to make; other streams go on meanwhile.
            script, deltas = await asyncio.to_thread(_write, ask, attempt)
        except BadRequest:
            self._begin(ask, attempt, Script(""), []).record.end(RequestState.ERROR, self._now())
            raise
        generation = self._begin(ask, attempt, script, deltas)
        record = generation.record
        task = asyncio.current_task()
        assert task is not None  # a coroutine runs in a task
        self._open.add(task)
        try:
            return await self._serve(request, generation)
        except asyncio.CancelledError:
            record.end(RequestState.STOPPED if self._is_stopping else RequestState.LEFT, self._now())
            raise
        except ConnectionError:
            record.end(RequestState.LEFT, self._now())
            return web.Response()  # for nobody; an exception would be logged as a bug of ours
        finally:
            self._open.discard(task)

    def _begin(self, ask: Ask, attempt: int, script: Script, deltas: list[str]) -> SimulatedAnswer:
        stamp = time.monotonic_ns if ask.choices.stamp else None
        kind = ask.conversation.kind
        # Another request has another id, also when it continues the same answer.
        seed = ask.choices.seed if kind is Kind.FIRST else f"{ask.choices.seed}/{kind}/{attempt}"
        wire = script.wire
        chunks = Chunks(
            ask.model,
            seed,
            prompt_tokens=ask.prompt_tokens,
            tool=ask.tool,
            stamp=stamp,
            wrapping=wire.wrapping,
            pieces=wire.pieces,
        )
        record = RequestRecord(
            number=next(self._numbers),
            generation=chunks.id,
            model=ask.model,
            is_stream=ask.is_stream,
            fault=ask.choices.fault,
            total_bytes=len(script.text.encode()),
            total_deltas=len(deltas),
            started_s=self._now(),
            kind=kind,
            key=ask.choices.key,
            attempt=attempt,
            manners=ask.choices.manners,
            faults=script.faults,
        )
        self.requests.append(record)
        return SimulatedAnswer(ask, script, deltas, chunks, record)

    async def _serve(self, request: web.Request, generation: SimulatedAnswer) -> web.StreamResponse:
        wire = generation.script.wire
        if wire.headers_delay_s:
            await self._sleep(wire.headers_delay_s)
        if wire.refused is not None:
            generation.record.end(RequestState.ERROR, self._now())
            status, headers, body = http_error(wire.refused)
            return web.Response(body=body, status=status, content_type="application/json", headers=headers)
        return await (self._stream if generation.ask.is_stream else self._answer)(request, generation)

    async def _stream(self, request: web.Request, generation: SimulatedAnswer) -> web.StreamResponse:
        chunks, record, script = generation.chunks, generation.record, generation.script
        headers = _STREAM_HEADERS | generation.headers()
        if script.wire.content_type:
            headers["Content-Type"] = script.wire.content_type
        packer = PACKERS[script.wire.encoding]() if script.wire.encoding else None
        if packer is not None:
            headers["Content-Encoding"] = script.wire.encoding
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)

        async def send(data: bytes) -> None:
            # Line feeds inside JSON are escaped: those that are there end lines.
            data = data.replace(b"\n", b"\r\n") if script.wire.is_crlf else data
            if data:
                await response.write(packer.pack(data) if packer is not None else data)
            record.wire_bytes += len(data)

        if script.wire.silent_s:
            await self._sleep(script.wire.silent_s)
        if script.wire.start_delay_s:
            await send(generation.opening())
            await self._hesitate(send, script.wire.start_delay_s)
            await send(chunks.opening())
        else:
            await send(generation.opening() + chunks.opening())
        await self._send_deltas(send, generation)
        record.is_text_over = True
        end = End(record.sent_bytes, record.total_deltas, script.strike)
        await send(last_events(script.ending, chunks, end, has_done=script.wire.has_done))
        if script.wire.has_junk:
            await send(JUNK)
        if script.ending is Fault.FINISH_COMMENTS:
            record.state = RequestState.STALLING
            await self._hesitate(send, self._options.stall_s)
        if packer is not None:
            await response.write(packer.end())
        await self._end(request, script.ending, record)
        return response

    async def _hesitate(self, send: Callable[[bytes], Awaitable[None]], delay_s: float) -> None:
        """Send only comments for a while."""
        while delay_s > 0:
            await self._sleep(min(delay_s, _HEARTBEAT_S))
            delay_s -= _HEARTBEAT_S
            await send(COMMENT)

    async def _end(self, request: web.Request, ending: Fault | None, record: RequestRecord) -> None:
        match ending:
            case Fault.STALL | Fault.FINISH_OPEN:
                await self._stall(request, record)
            case Fault.CUT | Fault.FINISH_COMMENTS | Fault.FINISH_RESET:
                await self._break_off(request, record)
            case _:
                record.end(RequestState.ERROR if ending in ERRORS else RequestState.COMPLETE, self._now())

    async def _send_deltas(self, send: Callable[[bytes], Awaitable[None]], generation: SimulatedAnswer) -> None:
        """Send each delta when it is due. Overdue deltas go out in one write, so that a late loop can catch up."""
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

    async def _answer(self, request: web.Request, generation: SimulatedAnswer) -> web.StreamResponse:
        """Send the whole answer at once, after the time that it would take to write. Faults strike before any byte."""
        script, record = generation.script, generation.record
        if script.wire.start_delay_s:
            await self._sleep(script.wire.start_delay_s)
        await self._pace(generation).wait(record.total_deltas)
        record.is_text_over = True
        status, body = whole_answer(script.ending, generation.chunks, script.text, record.total_deltas)
        if status == 200 and script.ending not in (Fault.CUT, Fault.STALL):
            record.sent_bytes, record.sent_deltas = record.total_bytes, record.total_deltas
            record.wire_bytes = len(body)
        await self._end(request, script.ending, record)
        return web.Response(body=body, status=status, content_type="application/json", headers=generation.headers())

    def _pace(self, generation: SimulatedAnswer) -> Pace:
        return Pace(generation.ask.choices.rate, now=self._now, sleep=self._sleep)

    async def _stall(self, request: web.Request, record: RequestRecord) -> None:
        """Send nothing until the client leaves (which cancels this task), or until the longest stall is over."""
        record.state = RequestState.STALLING
        await self._sleep(self._options.stall_s)
        await self._break_off(request, record)

    async def _break_off(self, request: web.Request, record: RequestRecord) -> None:
        """Close the connection in the middle of the body. What was sent before still reaches the client."""
        record.end(RequestState.CUT, self._now())
        transport = request.transport
        if transport is None:
            return
        # Aborting drops what is still in the buffer, so wait until the buffer is empty.
        transport.set_write_buffer_limits(0)
        await request.writer.drain()
        transport.abort()

    async def _stop(self, _: web.Application) -> None:
        """End what is still open, so that a shutdown need not wait for the last delta."""
        self._is_stopping = True
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(list(self._open), timeout=_SHUTDOWN_S)


def _write(ask: Ask, attempt: int) -> tuple[Script, list[str]]:
    script = compose(ask, attempt)
    return script, deltas_of(script, ask.choices.seed)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


async def _allow_any_origin(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Access-Control-Allow-Origin"] = "*"


@web.middleware
async def _tell_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer errors before the stream in OpenRouter's shape."""
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
    """Run a simulator on a real socket while the block runs. Open generations are then broken off.

    Args:
        options: As for :class:`Simulator`; port 0 takes any free port.
        now: Monotonic clock, in seconds.
        sleep: Waits for a number of seconds.

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
        ready: Called when it listens; None prints the address on a line of standard output.

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

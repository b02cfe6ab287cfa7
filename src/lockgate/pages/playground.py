"""The playground: its static files, and the few routes that only the playground uses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lockgate.delivery.readers import Readers
from lockgate.errors import BadRequest, Code, StreamUnknown
from lockgate.pages.prompts import prompts
from lockgate.store.base import StreamLog
from lockgate.streams.meta import StreamMeta, encode_meta

STATIC: Final = Path(__file__).parent / "static"
#: What is served, by its name in the address: ``app.js``, and of the TypeScript client, which pages are built on,
#: ``lockgate/index.js``. Nothing else is, whatever an address says.
FILES: Final = {
    path.relative_to(STATIC).as_posix(): path for path in [*STATIC.glob("*.*"), *STATIC.glob("lockgate/**/*.js")]
}
#: Number of streams whose upstream text is kept, and bytes of each: a demo shows the newest.
_KEPT_STREAMS: Final = 20
_KEPT_BYTES: Final = 1024 * 1024
# A copy holds what upstream sent, unchanged: no records of a gate.
_COPY: Final = encode_meta(StreamMeta("raw"))

#: Allows only our own scripts, styles and connections: what the model writes is shown, never run.
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

FAULTS: Final = [
    ("cut", "cut the connection", "The provider's connection breaks in the middle of the document."),
    ("stall", "stall", "The provider goes silent and keeps the connection open."),
    ("error", "provider error", "An error object arrives instead of the rest."),
    ("wrong_type", "wrong type", "One value has a type that the schema does not allow."),
    ("missing_member", "missing member", "A member that the schema requires is left out."),
    ("trailing_comma", "trailing comma", "A comma before a closing bracket, where JSON has none."),
    ("fence", "code fence", "The document comes between ```json and ```."),
    ("length", "token limit", "The answer ends in the middle, with finish_reason “length”."),
    ("second_document", "doubled document", "A valid document, and then the same again."),
    ("comment_storm", "comment storm", "Hundreds of keep-alive comments between the deltas."),
]


class UpstreamCopies:
    """What upstream sent, before any gate, for the newest streams that asked for it. Kept in a separate log."""

    def __init__(self, log: StreamLog) -> None:
        self.log = log
        self._kept: list[str] = []
        self._open: dict[str, tuple[asyncio.Queue[bytes | None], asyncio.Task[None]]] = {}

    def trace(self, stream_id: str) -> Callable[[str, int, bytes], None]:
        """A listener for the text of one stream. It never waits and never fails: a copy must not disturb the stream."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()  # bounded by the bytes kept
        started_s, kept_bytes = time.monotonic(), 0

        def take(channel: str, attempt: int, data: bytes) -> None:
            nonlocal kept_bytes
            kept_bytes += len(data)
            if kept_bytes <= _KEPT_BYTES:
                at_ms = round((time.monotonic() - started_s) * 1000, 1)
                text = data.decode(errors="replace")
                queue.put_nowait(
                    msgspec.json.encode({"t": at_ms, "channel": channel, "attempt": attempt, "text": text})
                )

        self._open[stream_id] = queue, asyncio.create_task(self._write(stream_id, queue))
        return take

    def ended(self, stream_id: str) -> None:
        """Nothing more will come for this stream."""
        if stream_id in self._open:
            self._open[stream_id][0].put_nowait(None)

    async def _write(self, stream_id: str, queue: asyncio.Queue[bytes | None]) -> None:
        epoch = await self.log.create(stream_id, _COPY, owner="copies")
        self._kept.append(stream_id)
        if len(self._kept) > _KEPT_STREAMS:
            await self.log.delete(self._kept.pop(0))
        seq, is_over = 0, False
        while not is_over:
            waiting = [await queue.get(), *(queue.get_nowait() for _ in range(queue.qsize()))]
            batch = [payload for payload in waiting if payload is not None]
            is_over = len(batch) < len(waiting)
            try:
                await self.log.append(stream_id, batch, epoch=epoch, seq=seq, close=is_over)
            except StreamUnknown:
                break  # newer copies pushed this one out
            seq += 1
        del self._open[stream_id]


def playground_routes(
    readers: Readers,
    *,
    body_of: Callable[[Request], Awaitable[bytes]],
    catalogue_url: str | None,
    model: str = "",
    keeps_upstream: bool = False,
    is_here: bool = False,
) -> list[Route]:
    """Routes under ``/playground/``; ``/`` and ``/playground`` lead there.

    Args:
        body_of: Reads the body of a request that does something.
        catalogue_url: Where the simulator lists its documents; None if upstream is not the simulator.
        model: Model that the form begins with, if upstream is not the simulator.
        keeps_upstream: Whether a request may ask for a copy of what upstream sends.
        is_here: Whether the model runs on this machine, so that a request costs nothing.
    """

    async def root(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{request.scope.get('root_path', '')}/playground/{query}", status_code=307)

    async def page(_request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers=_PAGE_HEADERS)

    async def static(request: Request) -> Response:
        path = FILES.get(request.path_params["name"])
        if path is None:
            return JSONResponse({"error": {"code": Code.NOT_FOUND, "message": "no such file"}}, status_code=404)
        return FileResponse(path, headers=_PAGE_HEADERS)

    async def catalogue(_request: Request) -> Response:
        documents = await _documents(catalogue_url) if catalogue_url else None
        if documents is None:
            message = "upstream is not the simulator: there is no catalogue"
            return JSONResponse({"error": {"code": Code.NOT_FOUND, "message": message}}, status_code=404)
        faults = [{"name": name, "title": title, "description": text} for name, title, text in FAULTS]
        return JSONResponse({"documents": documents, "faults": faults})

    async def ready(_request: Request) -> Response:
        return JSONResponse(
            {"model": model, "keeps_upstream": keeps_upstream, "is_here": is_here, "prompts": prompts()}
        )

    async def drop(request: Request) -> Response:
        try:
            stream_id = msgspec.json.decode(await body_of(request))["id"]
        except (msgspec.DecodeError, KeyError, TypeError):
            raise BadRequest('the body must be {"id": "<stream>"}') from None
        return JSONResponse({"dropped": readers.drop(str(stream_id))})

    return [
        Route("/", root),
        Route("/playground", root),
        Route("/playground/", page),
        Route("/playground/api/catalogue", catalogue),
        Route("/playground/api/prompts", ready),
        Route("/playground/api/drop", drop, methods=["POST"]),
        Route("/playground/{name:path}", static),
    ]


async def _documents(url: str) -> Any:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(url) as answer,
        ):
            found = await answer.json() if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
    return found.get("documents") if isinstance(found, dict) else None

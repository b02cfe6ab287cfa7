"""PUT, POST and DELETE of a stream: what producers do, in the words of Durable Streams.

Spec: Durable Streams 5.1 to 5.4; forks and subscriptions (6, 7) are not offered and answered with 501.
"""

from __future__ import annotations

import re
from time import time
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lockgate.errors import CODES, BadRequest, Forbidden, NotOffered
from lockgate.gateway.access import read_body
from lockgate.gateway.authentication import StreamFinder
from lockgate.gateway.callers import caller_of
from lockgate.gateway.headers import (
    bearer_token,
    check_type,
    is_closing,
    lifetime_of,
    name_in,
    producer_of,
    pushed_headers,
    said_lifetime,
    stream_headers,
)
from lockgate.protocol import header_names as names
from lockgate.protocol.envelope import Problem
from lockgate.store.base import StreamLog
from lockgate.streams.ceilings import lasting_s
from lockgate.streams.opening import Opening, Wanted
from lockgate.streams.owner import StreamOwner
from lockgate.streams.pushed_streams import Push, PushedStreams, PushVerdict, messages_of, texts_of
from lockgate.streams.quotas import QuotaBook

_ID: Final = re.compile(r"[A-Za-z0-9_.~%:@-]{1,256}")


class WriteRoutes:
    """Serves producers of one log."""

    def __init__(
        self,
        log: StreamLog,
        opening: Opening,
        pushed: PushedStreams,
        owner: StreamOwner,
        quotas: QuotaBook,
        finder: StreamFinder,
        *,
        max_push_bytes: int,
    ) -> None:
        self._log = log
        self._opening = opening
        self._pushed = pushed
        self._owner = owner
        self._quotas = quotas
        self._finder = finder
        self._max_push_bytes = max_push_bytes

    # -- PUT: create ---------------------------------------------------------------------------------------------

    async def put(self, stream_id: str, request: Request) -> Response:
        """Create a stream, or find that it is there as asked for."""
        headers = request.headers
        if any(name.startswith("stream-fork") for name in headers):
            raise NotOffered("forks are not offered here: create a stream of its own")
        if not _ID.fullmatch(stream_id):
            raise BadRequest("the id of a stream has 1 to 256 letters, digits and characters of _.~%:@-")
        wanted = Wanted(
            stream_id,
            options=headers.get(names.OPTIONS),
            content_type=name_in(headers, names.CONTENT_TYPE) or "",
            lifetime=lifetime_of(headers),
            said=said_lifetime(headers),
            body=await read_body(request, self._max_push_bytes),
            close=is_closing(headers),
            schema=name_in(headers, names.SCHEMA) or "",
        )
        found = await self._opening.open_named(caller_of(request), wanted)
        answer = stream_headers(found.meta, found.head)
        if found.is_new:
            # Durable Streams wants it absolute, and only the request knows under which name this gateway was called.
            answer[names.LOCATION] = str(request.url.replace(query=""))
        return _halted(found.problem, answer) or Response(status_code=201 if found.is_new else 200, headers=answer)

    # -- POST: append and close ----------------------------------------------------------------------------------

    async def post(self, stream_id: str, request: Request) -> Response:
        """Append to a stream, close it, or both in one step."""
        headers = request.headers
        head, meta = await self._finder.find_to_write(stream_id, caller_of(request), bearer_token(headers))
        if meta.kind == "pulled":
            raise Forbidden(f"stream {stream_id} is written by this gateway, from its provider; nobody pushes to it")
        producer, close = producer_of(headers), is_closing(headers)
        body = await read_body(request, self._max_push_bytes)
        if not body and not close:
            raise BadRequest("the body is empty: send what is to be appended, or Stream-Closed: true to close")
        if body:
            self._quotas.refuse_if_full()
        if body and not head.is_closed:
            check_type(headers, meta)
        stream_seq = name_in(headers, names.STREAM_SEQ)
        if meta.kind == "pushed":
            push = Push(texts_of(body), close, producer, stream_seq, name_in(headers, names.SCHEMA) or "")
            verdict = await self._pushed.push(stream_id, meta, push)
        else:
            payloads = messages_of(body, meta.content_type)
            if body and not payloads:
                raise BadRequest("the body is an empty array: there is nothing to append")
            pushed = await self._log.push(stream_id, payloads, producer=producer, stream_seq=stream_seq, close=close)
            verdict = PushVerdict(pushed)
        if verdict.pushed.is_closed:
            self._quotas.pushed.give_back(stream_id)
        else:
            # Also of a stream that was opened before this node began.
            self._quotas.pushed.keep(caller_of(request).quota, stream_id, lasting_s(head.lifetime, time()))
        answer = pushed_headers(verdict.pushed)
        # Durable Streams 5.2.1: a producer is told a new push (200) from a duplicate (204).
        is_told = producer is not None and bool(body) and verdict.pushed.is_new
        return _halted(verdict.problem, answer) or Response(status_code=200 if is_told else 204, headers=answer)

    # -- DELETE --------------------------------------------------------------------------------------------------

    async def delete(self, stream_id: str, request: Request) -> Response:
        """Delete a stream and all that it holds; one that is being generated is cancelled first, on whichever node.

        A node that does not answer in time is not waited for: it finds its stream gone, and closes upstream.
        """
        head, meta = await self._finder.find_to_write(stream_id, caller_of(request), bearer_token(request.headers))
        if meta.kind == "pulled" and not head.is_closed:
            await self._owner.end(stream_id)
        await self._log.delete(stream_id)
        self._pushed.forget(stream_id)
        self._quotas.pushed.give_back(stream_id)
        return Response(status_code=204)


def _halted(problem: Problem | None, headers: dict[str, str]) -> Response | None:
    """The answer to a violation that ended the stream: what could be released of the push is in the log."""
    if problem is None or problem.action != "halt":
        return None
    body = {"error": msgspec.to_builtins(problem)}
    return JSONResponse(
        body, status_code=CODES[problem.code].status or 422, headers=headers | {names.CONTENT_TYPE: "application/json"}
    )

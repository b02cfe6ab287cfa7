"""Control routes: create, status, cancel. Their bodies are JSON, so that no form of another site can send them."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lockgate import Limits, satisfiable
from lockgate.config import Settings
from lockgate.errors import BadRequest, Forbidden
from lockgate.gateway.wiring import retry_of
from lockgate.gateway.writing import pushed_meta, read_body
from lockgate.store.base import Lifetime, StreamLog
from lockgate.streams.meta import StreamMeta, encode_meta
from lockgate.streams.plan import Plan, read_plan
from lockgate.streams.streams import Opened, Streams


class Control:
    """What callers do with streams, beside reading and pushing."""

    def __init__(self, settings: Settings, log: StreamLog, streams: Streams, limits: Limits) -> None:
        self._settings = settings
        self._log = log
        self._streams = streams
        self._limits = limits
        self._retry = retry_of(settings)

    async def create(self, request: Request) -> Response:
        """Start a generation, or open a stream that producers push to.

        Raises:
            BadRequest, Busy, Forbidden, TooLarge: see ``gateway.app`` for what each becomes.
        """
        text = await self.json_body(request)
        partial = self._settings.validation.partial_validation
        recovery = self._settings.validation.error_recovery
        plan = read_plan(text, self._limits, is_partial=partial, recovery=recovery, retry=self._retry)
        if plan.keep_upstream and not self._settings.playground.keep_upstream:
            raise BadRequest("lockgate.keep_upstream: this gateway keeps no copies; set playground.keep_upstream")
        await _refuse_unsatisfiable(plan)
        opened = await self._open_pushed(plan, text) if plan.is_pushed else await self._streams.create(plan)
        return JSONResponse(self._told(opened, plan), 201, {"Location": f"/v1/stream/{opened.stream_id}"})

    async def _open_pushed(self, plan: Plan, text: bytes) -> Opened:
        opened = Opened(secrets.token_urlsafe(18), secrets.token_urlsafe(24))
        options: dict[str, Any] = msgspec.json.decode(text).get("lockgate", {})
        # The schema may stand where a chat request has it; what is kept names it in one place, and what was decided.
        options |= {"schema": plan.source, "partialValidation": plan.judging.is_partial}
        options["recovery"] = plan.judging.recovery
        token_sha256 = hashlib.sha256(opened.token.encode()).hexdigest()
        meta = pushed_meta(StreamMeta(token_sha256=token_sha256, options=options), plan)
        lifetime = Lifetime(ttl_s=self._settings.store.retain_s)
        await self._log.create(opened.stream_id, encode_meta(meta), owner="", lifetime=lifetime)
        return opened

    def _told(self, opened: Opened, plan: Plan) -> dict[str, Any]:
        url = f"/v1/stream/{opened.stream_id}"
        urls = {"stream": url, "status": f"{url}/status", "cancel": f"{url}/cancel"}
        if plan.keep_upstream:
            urls["upstream"] = f"/playground/api/upstream/{opened.stream_id}"
        retry = self._settings.delivery.retry
        return {
            "id": opened.stream_id,
            "urls": urls,
            "schema": plan.content.id if plan.content is not None else "",
            "token": opened.token,
            "expires": time.time() + self._settings.store.retain_s,
            "protocol": self._settings.delivery.protocol,
            "retry": {"maxAttempts": retry.max_attempts, "backoffStrategy": retry.backoff_strategy},
        }

    async def status(self, stream_id: str) -> Response:
        """State, offset and, once it is over, the final record."""
        return JSONResponse(await self._streams.status(stream_id), headers={"Cache-Control": "no-store"})

    async def cancel(self, stream_id: str, request: Request) -> Response:
        """Cancel the generation: upstream is closed, readers get the final record."""
        await self.json_body(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        await self._streams.check_token(stream_id, token if scheme.lower() == "bearer" else "")
        cancelled = self._streams.cancel(stream_id)
        return JSONResponse({"id": stream_id, "cancelled": cancelled}, status_code=202)

    async def json_body(self, request: Request) -> bytes:
        """The body of a control request. ``application/json`` cannot be sent by a form of another site."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise BadRequest(f"content-type must be application/json, not {kind or 'absent'!r}")
        self.check_origin(request.headers)
        return await read_body(request, self._settings.server.max_request_bytes)

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Pages of other origins may read; to write, or start what spends a key, they must be listed."""
        origin = headers.get("origin")
        if origin is None or origin in self._settings.server.cors_origins:
            return
        if origin.partition("://")[2] != headers.get("host", ""):
            raise Forbidden(f"origin {origin[:100]!r} may not write here; list it in server.cors_origins")


async def _refuse_unsatisfiable(plan: Plan) -> None:
    """A schema that no document can satisfy would cost a generation and halt it. Worked out once for each schema."""
    schema = plan.content
    if schema is not None and await asyncio.to_thread(satisfiable, schema) == "no":
        raise BadRequest("response_format or lockgate.schema: no document can satisfy this schema")

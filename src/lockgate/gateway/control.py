"""Control routes: create, status, cancel, acknowledge. Their bodies are JSON: no form of another site sends that."""

from __future__ import annotations

import logging
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lockgate.config import Settings
from lockgate.delivery.readers import Readers
from lockgate.errors import BadRequest, Conflict
from lockgate.gateway.access import json_body
from lockgate.gateway.answers import AcknowledgedReaders, CancelledStream, CreatedStream, DeliveryRetry, json_answer
from lockgate.gateway.authentication import StreamFinder
from lockgate.gateway.callers import caller_of
from lockgate.gateway.headers import bearer_token, idempotency_key
from lockgate.gateway.ways import ways_of
from lockgate.keys.caller import Caller
from lockgate.protocol import header_names as names
from lockgate.protocol.client_frames import MAX_CLIENT_FRAME_BYTES, acknowledged, read_acknowledgement
from lockgate.protocol.lifecycle import Outcome
from lockgate.store.base import StreamLog
from lockgate.streams.opening import Opened, Opening
from lockgate.streams.owner import StreamOwner
from lockgate.streams.status import status_of

_log: Final = logging.getLogger("lockgate.control")


class ControlRoutes:
    """What callers do with streams, beside reading and pushing."""

    def __init__(
        self,
        settings: Settings,
        log: StreamLog,
        opening: Opening,
        owner: StreamOwner,
        finder: StreamFinder,
        readers: Readers,
    ) -> None:
        self._finder = finder
        self._readers = readers
        self._settings = settings
        self._log = log
        self._opening = opening
        self._owner = owner

    async def create(self, request: Request) -> Response:
        """Start a generation, or open a stream that producers push to."""
        key = idempotency_key(request.headers)
        opened = await self._opening.open(caller_of(request), await self.body(request), key)
        answer = self._answer(opened)
        return json_answer(answer, 201 if opened.is_new else 200, {names.LOCATION: answer.urls["stream"]})

    def _answer(self, opened: Opened) -> CreatedStream:
        root = self._settings.server.root_path
        url = f"{root}/v1/stream/{opened.stream_id}"
        urls = {"stream": url, **{name: f"{url}/{name}" for name in ("ws", "ack", "status", "cancel")}}
        if opened.keeps_upstream:
            urls["upstream"] = f"{root}/playground/api/upstream/{opened.stream_id}"
        retry = self._settings.delivery.retry
        return CreatedStream(
            id=opened.stream_id,
            urls=urls,
            schema=opened.meta.schema,
            token=opened.token,
            expires=opened.created_s + self._settings.store.retain_s,
            protocol=self._settings.delivery.protocol,
            fallback=list(ways_of(self._settings.delivery)[1:]),
            retry=DeliveryRetry(retry.max_attempts, retry.backoff_strategy),
            lowered=opened.lowered,
        )

    async def status(self, stream_id: str, request: Request) -> Response:
        """State, offset and, once it is over, the final record."""
        await self._finder.find(stream_id, caller_of(request))
        return json_answer(await status_of(self._log, stream_id), headers={names.CACHE_CONTROL: "no-store"})

    async def cancel(self, stream_id: str, request: Request) -> Response:
        """Cancel the generation, whichever node runs it: upstream is closed, readers get the final record."""
        await self.body(request)
        return json_answer(await self.end(stream_id, caller_of(request), bearer_token(request.headers)), 202)

    async def end(self, stream_id: str, caller: Caller, token: str) -> CancelledStream:
        """Cancel the generation for a caller.

        Args:
            token: The stream's, of who has no key.

        Raises:
            StreamUnknown, Forbidden: as ``StreamFinder.find_to_write``.
            Conflict: its producers write it.
        """
        head, meta = await self._finder.find_to_write(stream_id, caller, token)
        if not head.is_closed and meta.kind != "pulled":
            raise Conflict(f"stream {stream_id} is written by its producers: close it with a push, or delete it")
        if head.is_closed:
            return CancelledStream(stream_id, False, "already over")
        if not await self._owner.end(stream_id):
            return CancelledStream(stream_id, False, "asked")
        is_cancelled = (await status_of(self._log, stream_id)).state == Outcome.CANCELLED
        return CancelledStream(stream_id, is_cancelled, "cancelled" if is_cancelled else "already over")

    async def acknowledge(self, stream_id: str, request: Request) -> Response:
        """A reader that named itself says how far it is. If this process does not serve it, another one may.

        Raises:
            BadRequest: it is no acknowledgement.
        """
        body = await json_body(request, MAX_CLIENT_FRAME_BYTES)
        await self._finder.find(stream_id, caller_of(request))
        try:
            said = read_acknowledgement(body)
            offset = acknowledged(said.ack)
        except ValueError as error:
            raise BadRequest(f'the body must be like {{"reader": "its name", "ack": "its offset"}}: {error}') from None
        count = self._readers.acknowledge(stream_id, said.reader, offset, said.credit)
        if not count:
            await self._log.notify(stream_id, body)
        return json_answer(AcknowledgedReaders(count), headers={names.CACHE_CONTROL: "no-store"})

    def hear(self, stream_id: str, notice: bytes) -> None:
        """The same, as another process passes it on."""
        try:
            said = read_acknowledgement(notice)
            offset = acknowledged(said.ack)
        except ValueError as error:  # of a newer version, which may say more
            _log.warning("stream %s: another process passes on what is no acknowledgement here: %s", stream_id, error)
            return
        self._readers.acknowledge(stream_id, said.reader, offset, said.credit)

    async def body(self, request: Request) -> bytes:
        """The body of a request that does something: JSON.

        Raises:
            BadRequest, TooLarge: see ``gateway.access``.
        """
        return await json_body(request, self._settings.server.max_request_bytes)

"""The routes for pages that use the AI SDK: an object as plain text (``useObject``), and chats that can be read again
after the connection was lost (``useChat``).
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lockgate.delivery.chat_chunks import ChatChunks
from lockgate.delivery.chat_forms import ChatText
from lockgate.delivery.ui_message import UIMessageEvents
from lockgate.errors import BadRequest, StreamUnknown
from lockgate.gateway.authentication import Guard, StreamFinder
from lockgate.gateway.callers import caller_of
from lockgate.gateway.completions import Completions, in_openai_words
from lockgate.protocol.outside_names import check_name
from lockgate.streams.chats import Chats, ChatTurn
from lockgate.streams.ui_chat_request import read_ui_chat

#: Longer bodies are read in a thread.
_THREAD_OVER_BYTES: Final = 64 * 1024


class UIRoutes:
    """Serves ``useObject`` and ``useChat``."""

    def __init__(self, completions: Completions, chats: Chats, finder: StreamFinder, guard: Guard) -> None:
        self._completions = completions
        self._chats = chats
        self._finder = finder
        self.object = in_openai_words(guard.of("create", completions.counted(self._object)))
        self.chat = in_openai_words(guard.of("create", completions.counted(self._chat)))
        self.resume = in_openai_words(guard.of("read", completions.counted(self._resume)))

    async def _object(self, request: Request) -> Response:
        opened = await self._completions.open(request, await self._completions.body_of(request))
        chunks = ChatChunks(opened.stream_id, opened.meta.model, opened.created_s, says_finish=False)
        return self._completions.shown(opened.stream_id, chunks, ChatText(opened.stream_id))

    async def _chat(self, request: Request) -> Response:
        body = await self._completions.body_of(request)
        if len(body) <= _THREAD_OVER_BYTES:
            asked = read_ui_chat(body)
        else:
            asked = await asyncio.to_thread(read_ui_chat, body)
        opened = await self._completions.open(request, asked.body, can_return=True)
        turn = ChatTurn(opened.stream_id, asked.message_id or opened.stream_id)
        await self._chats.add(caller_of(request).tenant, asked.chat_id, turn)
        return self._message(turn, opened.meta.model, opened.created_s)

    async def _resume(self, request: Request) -> Response:
        """The answer that is written now, from its start. With ``ended=1``, also one that is over."""
        caller = caller_of(request)
        chat_id = check_name(str(request.path_params["chat_id"]), "the id of the chat")
        ended = request.query_params.get("ended", "0")
        if ended not in ("0", "1"):
            raise BadRequest("ended: must be 0 or 1")
        turn = await self._chats.last(caller.tenant, chat_id)
        if turn is None:
            return Response(status_code=204)
        try:
            head, meta = await self._finder.find(turn.stream_id, caller)
        except StreamUnknown:
            return Response(status_code=204)
        if head.is_closed and ended == "0":
            return Response(status_code=204)
        self._completions.refuse_if_full()
        return self._message(turn, meta.model, head.created_s)

    def _message(self, turn: ChatTurn, model: str, created_s: float) -> Response:
        chunks = ChatChunks(turn.stream_id, model, created_s)
        return self._completions.shown(turn.stream_id, chunks, UIMessageEvents(turn.message_id))

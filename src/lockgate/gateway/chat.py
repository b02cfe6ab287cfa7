"""The routes of an OpenAI-compatible API: chat completions, and the provider's models.

A completion is a stream like all others: opened by the one ``Opening``, then rendered from its log.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lockgate.delivery.chat_chunks import ChatChunks
from lockgate.delivery.chat_forms import ChatEvents, ChatForm, WholeChat
from lockgate.gateway.authentication import Guard
from lockgate.gateway.callers import caller_of
from lockgate.gateway.completions import Completions, in_openai_words
from lockgate.keys.caller import ANY_MODEL, Caller
from lockgate.protocol import header_names as names
from lockgate.upstream.model_list import AllowedModels, ModelDirectory

_JSON: Final = "application/json"


class ChatRoutes:
    """Serves clients of OpenAI's API."""

    def __init__(self, completions: Completions, models: ModelDirectory, guard: Guard) -> None:
        self._completions = completions
        self._models = models
        # Also who is refused at the door is answered in these words.
        self.create = in_openai_words(guard.of("create", completions.counted(self._create)))
        self.models = in_openai_words(guard.of("any", self._list))
        self.model = in_openai_words(guard.of("any", self._one))

    async def _create(self, request: Request) -> Response:
        opened = await self._completions.open(request, await self._completions.body_of(request))
        wishes = opened.chat
        assert wishes is not None
        chunks = ChatChunks(
            opened.stream_id, opened.meta.model, opened.created_s, has_usage_chunk=wishes.has_usage_chunk
        )
        whole = WholeChat(opened.stream_id, self._completions.max_bytes)
        form: ChatForm = ChatEvents() if wishes.is_stream else whole
        return self._completions.shown(opened.stream_id, chunks, form)

    async def _list(self, request: Request) -> Response:
        page = await self._models.page(_models_of(caller_of(request)))
        return Response(page.body, media_type=_JSON, headers={names.CACHE_CONTROL: "no-store"})

    async def _one(self, request: Request) -> Response:
        model = await self._models.model(str(request.path_params["model"]), _models_of(caller_of(request)))
        return Response(model, media_type=_JSON, headers={names.CACHE_CONTROL: "no-store"})


def _models_of(caller: Caller) -> AllowedModels | None:
    """Which models he may ask; None if all."""
    return None if caller.models == ANY_MODEL else AllowedModels(caller.models, caller.may_ask)

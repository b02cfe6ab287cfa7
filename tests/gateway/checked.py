"""The command ``lockgate``, whose gateway compares each of its answers with ``/openapi.json``.

``python -m tests.gateway.checked serve ...`` is what the tests start as a gateway. An answer that the document does not
allow is still sent; what is wrong with it is written to standard error, where :class:`Node` finds it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, Final
from unittest import mock

import jsonschema_rs
import msgspec

from lockgate.__main__ import main
from lockgate.config import Settings
from lockgate.gateway import serve
from lockgate.gateway.access import App, Message, Receive, Scope, Send
from lockgate.gateway.app import make_app
from lockgate.gateway.contract import openapi
from lockgate.protocol.sse import EventStreamDecoder
from tests.gateway.nodes import COMPLAINT

#: What a server, a proxy or the rules for pages of other origins add, and what OpenAPI says beside the headers.
_OTHER_HEADERS: Final = re.compile(r"content-(type|length)|access-control-.*|date|server|connection|transfer-encoding")


class Contract:
    """The document, to compare answers with."""

    def __init__(self) -> None:
        self._document = openapi()
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operations)
            for path, operations in self._document["paths"].items()
        ]
        self._judges: dict[str, Any] = {}

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """What is said of a request; None of one that is not in the document."""
        for pattern, operations in self._paths:
            if pattern.fullmatch(path):
                found: dict[str, Any] | None = operations.get(method.lower())
                return operations.get("get") if found is None and method == "HEAD" else found
        return None

    def of_start(self, operation: dict[str, Any], status: int, headers: dict[str, str]) -> Iterator[str]:
        """What is wrong with status and headers of an answer."""
        answer = operation["responses"].get(str(status))
        if answer is None:
            yield f"status {status} is not declared"
            return
        declared = {name.lower() for name in answer["headers"]}
        for name in headers:
            if name not in declared and not _OTHER_HEADERS.fullmatch(name):
                yield f"header {name} of {status} is not declared"
        content = headers.get("content-type", "").partition(";")[0]
        if content and "content" in answer and content not in answer["content"]:
            yield f"content type {content} of {status} is not declared"

    def of_body(self, operation: dict[str, Any], status: int, body: bytes) -> Iterator[str]:
        """What is wrong with a JSON body."""
        content = operation["responses"].get(str(status), {}).get("content", {}).get("application/json")
        if content is not None and body:
            value = msgspec.json.decode(body)
            yield from self._complaints(content["schema"], value)
            yield from self.of_items(value if isinstance(value, list) else [])

    def of_items(self, items: list[Any]) -> Iterator[str]:
        """What is wrong with envelopes. Other items are values, texts, or what producers of a raw stream pushed."""
        for item in items:
            if isinstance(item, dict) and item.keys() >= {"meta", "data"}:
                yield from self._complaints({"$ref": "#/components/schemas/StreamResponse"}, item)

    def _complaints(self, schema: dict[str, Any], value: Any) -> Iterator[str]:
        key = str(schema)
        if key not in self._judges:
            whole = {**schema, "components": self._document["components"]}
            self._judges[key] = jsonschema_rs.Draft202012Validator(whole)
        yield from (f"{error.message} at {error.instance_path}" for error in self._judges[key].iter_errors(value))


def checked(app: App) -> App:
    """The application, with each answer compared."""
    contract = Contract()

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        operation = contract.operation(scope["method"], scope["path"]) if scope["type"] == "http" else None
        await app(scope, receive, send if operation is None else _Answer(contract, operation, scope, send).send)

    return wrapped


class _Answer:
    """One answer on its way out."""

    def __init__(self, contract: Contract, operation: dict[str, Any], scope: Scope, send: Send) -> None:
        self._contract = contract
        self._operation = operation
        self._scope = scope
        self._send = send
        self._status = 0
        self._content = ""
        self._body = b""
        self._events = EventStreamDecoder()

    async def send(self, message: Message) -> None:
        for complaint in self._complaints(message):
            print(
                f"{COMPLAINT}{self._scope['method']} {self._scope['path']!a}: {complaint}", file=sys.stderr, flush=True
            )
        await self._send(message)

    def _complaints(self, message: Message) -> Iterator[str]:
        if message["type"] == "http.response.start":
            headers = {name.decode().lower(): value.decode() for name, value in message.get("headers", ())}
            self._status, self._content = message["status"], headers.get("content-type", "")
            yield from self._contract.of_start(self._operation, self._status, headers)
        elif self._content == "application/json":
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                yield from self._contract.of_body(self._operation, self._status, self._body)
        elif self._content.startswith("text/event-stream"):
            for event in self._events.feed(message.get("body", b"")):
                yield from self._contract.of_items(_items(event.data) if event.event != "control" else [])


def _items(data: str) -> list[Any]:
    """What an event holds; nothing where it is no JSON, since a raw stream has any text."""
    try:
        items = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return []
    return items if isinstance(items, list) else [items]


def make_checked_app(settings: Settings) -> App:
    return checked(make_app(settings))


# The server's worker is a process of its own, which runs this module again before it makes the application.
mock.patch.object(serve, "make_app", make_checked_app).start()

if __name__ == "__main__":
    main()

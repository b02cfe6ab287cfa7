"""The floor for a gateway in Python: granian and aiohttp, each chunk's JSON read and its content looked at, no more.

granian --interface asgi relay:app, with UPSTREAM=http://127.0.0.1:9100
"""

from __future__ import annotations

import os
from typing import Any

import aiohttp
import msgspec

_URL = os.environ.get("UPSTREAM", "http://127.0.0.1:9100") + "/v1/chat/completions"
_session: list[aiohttp.ClientSession] = []


def read(data: bytes, rest: list[bytes], count: list[int]) -> bytes:
    """Event stream bytes in, events with an id out."""
    lines = (rest.pop() + data).split(b"\n")
    rest.append(lines.pop())
    out = []
    for line in lines:
        if line == b"data: [DONE]":
            out.append(line + b"\n\n")
        elif line.startswith(b"data: "):
            msgspec.json.decode(line[6:])["choices"][0]["delta"].get("content")
            count[0] += 1
            out.append(b"id: %d\n%b\n\n" % (count[0], line))
    return b"".join(out)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    if not _session:
        _session.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    rest, count = [b""], [0]
    async with _session[0].post(_URL, data=body, headers={"content-type": "application/json"}) as answer:
        async for data in answer.content.iter_any():
            if out := read(data, rest, count):
                await send({"type": "http.response.body", "body": out, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})

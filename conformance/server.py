"""Plays the gateway of each conformance case; see README.md beside this file.

How it works: a case has a log, and a script for each connection. ``Run`` keeps how far one client is in one case, and
writes down what it asked for and should not have. A connection is served from the offset that the client names, so a
client that comes back with a wrong one loses something, or gets it twice, and its result shows it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from aiohttp import WSCloseCode, WSMsgType, web

CASES: Final = Path(__file__).parent / "cases"
STREAM: Final = "s"
_SCHEMA: Final = "inline@sha256:0"
_SUBPROTOCOL: Final = "lockgate.v1"
#: A connection that hangs is let go after this, in seconds: longer than any client waits.
_HANG_S: Final = 30.0
#: How long a client may take to hear all before its connection is cut, in seconds.
_HEARD_S: Final = 2.0


def read_cases(folder: Path = CASES) -> list[dict[str, Any]]:
    """All cases, in the order of their files."""
    return [case for path in sorted(folder.glob("*.yaml")) for case in yaml.safe_load(path.read_text("utf-8"))]


def offset_of(place: int | str) -> str:
    """The offset of a number of items; what is one already stays as it is."""
    return place if isinstance(place, str) else f"0001_{place:016d}"


def items_of(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Frames of the log: ``m`` and, unless it has none, ``o``."""
    frames: list[dict[str, Any]] = []
    sequences: dict[str, int] = {}
    at: dict[str, int] = {}
    count = 0
    for entry in log:
        rest = dict(entry)
        channel = rest.pop("channel", "content")
        has_offset = rest.pop("o", 0) is not None and "note" not in rest
        kind = next(name for name in _KINDS if name in rest)
        said = rest.pop(kind)
        count += has_offset
        where = {"o": offset_of(count)} if has_offset else {}
        if kind == "text":
            frames.append({**where, "m": said})
            continue
        meta = {"schema": _SCHEMA, "sequence": sequences.get(channel, 0), "totalChunks": 0, "channel": channel}
        meta["kind"] = "note" if kind == "problem" else kind
        data = [said]
        match kind:
            case "delta":
                meta["at"] = at.get(channel, 0)
                at[channel] = meta["at"] + len(said.encode())
            case "restart":
                data, at[channel] = [], 0
            case "patch":
                data = said
            case "problem":
                data = []
            case "final":
                meta |= {"channel": "", "schema": "", "sequence": 0, "totalChunks": sum(sequences.values())}
                data = [{"state": said, "reason": said, "authority": "none", **rest}]
        if kind in ("delta", "element"):
            sequences[channel] = meta["sequence"] + 1
        errors = {"errors": [said]} if kind == "problem" else {}
        frames.append({**where, "m": {"meta": meta, "data": data, **errors}})
    return frames


_KINDS: Final = ("delta", "element", "snapshot", "patch", "note", "problem", "call", "restart", "final", "text")


class Run:
    """One client in one case."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.problems: list[str] = []
        self.connections = 0
        self.frames = items_of(case.get("log", []))
        self._scripts: list[dict[str, Any]] = case.get("connections", [])
        self.others: dict[str, dict[str, Any]] = case.get("others", {})
        self.asked: dict[str, int] = {}

    @property
    def final(self) -> dict[str, Any] | None:
        last = self.frames[-1]["m"] if self.frames else None
        is_final = isinstance(last, dict) and last["meta"]["kind"] == "final"
        return last["data"][0] if is_final and last is not None else None

    @property
    def tail(self) -> str:
        return next((frame["o"] for frame in reversed(self.frames) if "o" in frame), _START)

    def next_script(self) -> dict[str, Any]:
        self.connections += 1
        return self._scripts[self.connections - 1] if self.connections <= len(self._scripts) else {}

    def after(self, offset: str) -> list[dict[str, Any]] | None:
        """The frames after an offset; None if there is no such offset."""
        if offset in ("-1", _START):
            return self.frames
        for index, frame in enumerate(self.frames):
            if frame.get("o") == offset:
                return self.frames[index + 1 :]
        return None

    def verdict(self) -> dict[str, Any]:
        problems = list(self.problems)
        for name, other in self.others.items():
            if "times" in other and self.asked.get(name, 0) != other["times"]:
                problems.append(f"{name}: was asked {self.asked.get(name, 0)} times, not {other['times']}")
        return {"connections": self.connections, "problems": problems}


def check_wants(run: Run, wants: Mapping[str, Any], request: web.Request, *, way: str, offset: str, body: Any) -> None:
    """Write down what a request should have and has not."""
    where = f"connection {run.connections}" if way else request.path
    if wants.get("way") not in (None, way):
        run.problems.append(f"{where}: came by {way}, not by {wants['way']}")
    if "offset" in wants and offset_of(wants["offset"]) != offset:
        run.problems.append(f"{where}: its offset is {offset}, not {offset_of(wants['offset'])}")
    for name, value in wants.get("query", {}).items():
        if request.query.get(name) != value:
            run.problems.append(f"{where}: {name} is {request.query.get(name)!r} in its query, not {value!r}")
    for name, value in wants.get("headers", {}).items():
        if request.headers.get(name) != value:
            run.problems.append(f"{where}: its header {name} is {request.headers.get(name)!r}, not {value!r}")
    if "body" in wants and body != wants["body"]:
        run.problems.append(f"{where}: its body is {json.dumps(body)}, not {json.dumps(wants['body'])}")


class Server:
    """All cases, and the runs of clients in them."""

    def __init__(self, cases: list[dict[str, Any]]) -> None:
        self._cases = {case["id"]: case for case in cases}
        self._runs: dict[tuple[str, str], Run] = {}

    def application(self) -> web.Application:
        app = web.Application()
        gateway = "/{case}/{run}/v1/stream"
        app.add_routes(
            [
                web.get("/cases", self._all),
                web.get("/verdict/{case}/{run}", self._verdict),
                web.post("/{case}/{run}/v1/streams", self._create),
                web.get(gateway + "/{id}", self._read),
                web.get(gateway + "/{id}/ws", self._read),
                web.get(gateway + "/{id}/status", self._status),
                web.post(gateway + "/{id}/cancel", self._cancel),
                web.post(gateway + "/{id}/ack", self._ack),
            ]
        )
        return app

    def _run(self, request: web.Request) -> Run:
        place = (request.match_info["case"], request.match_info["run"])
        if place[0] not in self._cases:
            raise web.HTTPNotFound(text=f"there is no case {place[0]}")
        if place not in self._runs:
            self._runs[place] = Run(self._cases[place[0]])
        return self._runs[place]

    async def _all(self, _request: web.Request) -> web.Response:
        return web.json_response(list(self._cases.values()))

    async def _verdict(self, request: web.Request) -> web.Response:
        return web.json_response(self._run(request).verdict())

    # -- requests that read nothing --------------------------------------------------------------------------------

    async def _other(self, request: web.Request, name: str, status: int, body: Any) -> web.Response:
        run = self._run(request)
        script = run.others.get(name, {})
        run.asked[name] = run.asked.get(name, 0) + 1
        sent = await request.json() if request.can_read_body else None
        check_wants(run, script.get("wants", {}), request, way="", offset="", body=sent)
        headers = {str(key): str(value) for key, value in script.get("headers", {}).items()}
        return web.json_response(script.get("body", body), status=script.get("status", status), headers=headers)

    async def _create(self, request: web.Request) -> web.Response:
        base = f"/{request.match_info['case']}/{request.match_info['run']}/v1/stream/{STREAM}"
        urls = {"stream": base, **{name: f"{base}/{name}" for name in ("ws", "ack", "status", "cancel")}}
        retry = {"maxAttempts": 5, "backoffStrategy": "exponential"}
        body = {"id": STREAM, "urls": urls, "schema": _SCHEMA, "token": "t", "expires": 4e9, "lowered": {}}
        body |= {"protocol": "SSE", "fallback": ["WebSocket", "HTTP2", "LongPoll"], "retry": retry}
        return await self._other(request, "create", 201, body)

    async def _status(self, request: web.Request) -> web.Response:
        run = self._run(request)
        final = run.final
        body = {"id": STREAM, "state": final["state"] if final else "open", "offset": run.tail, "final": final}
        return await self._other(request, "status", 200, body)

    async def _cancel(self, request: web.Request) -> web.Response:
        body = {"id": STREAM, "cancelled": True, "result": "cancelled"}
        return await self._other(request, "cancel", 202, body)

    async def _ack(self, request: web.Request) -> web.Response:
        return await self._other(request, "ack", 200, {"readers": 1})

    # -- requests that read ----------------------------------------------------------------------------------------

    async def _read(self, request: web.Request) -> web.StreamResponse:
        run = self._run(request)
        script = run.next_script()
        way = _way_of(request)
        offset = request.headers.get("Last-Event-ID") or request.query.get("offset", "-1")
        check_wants(run, script.get("wants", {}), request, way=way, offset=offset, body=None)
        if script.get("silent"):
            await asyncio.sleep(_HANG_S)
            return _broken(request)
        if "status" in script:
            headers = {str(key): str(value) for key, value in script.get("headers", {}).items()}
            error = {"error": script.get("error", {"code": "busy", "message": "as the case says"})}
            return web.json_response(error, status=script["status"], headers=headers)
        if "body" in script:
            return web.Response(text=script["body"], content_type=script.get("type", "text/plain"))
        frames = run.after(offset)
        if frames is None:
            error = {"code": "offset_gone", "message": f"{offset}: the log has no such offset", "tail": run.tail}
            if way != "WebSocket":
                return web.json_response({"error": error}, status=410)
            script, frames = {"close": 4410, "error": error, "items": 0}, []
        return await _FACES[way](run, script, frames, offset, request)


def _way_of(request: web.Request) -> str:
    if request.path.endswith("/ws"):
        return "WebSocket"
    accept = request.headers.get("Accept", "")
    if request.query.get("live") == "long-poll":
        return "LongPoll"
    if "application/x-ndjson" in accept and "text/event-stream" not in accept:
        return "HTTP2"
    return "SSE" if "text/event-stream" in accept or request.query.get("live") == "sse" else "page"


def _broken(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _then(script: Mapping[str, Any]) -> str:
    if "retry_ms" in script or "close" in script:
        return "stop"
    return str(script.get("then", "cut" if "items" in script else "end"))


def _state_of(frames: list[dict[str, Any]]) -> dict[str, str]:
    last = frames[-1]["m"] if frames else None
    is_final = isinstance(last, dict) and last["meta"]["kind"] == "final"
    return {"state": last["data"][0]["state"]} if is_final and last is not None else {}


def _is_all(script: Mapping[str, Any], count: int, frames: list[dict[str, Any]]) -> bool:
    """Whether so many items are all that there is, for now."""
    return count >= len(frames) or count == script.get("all_at")


async def _rest(script: Mapping[str, Any], count: int) -> None:
    """Say nothing for as long as the script wants it here."""
    if count == script.get("all_at"):
        await asyncio.sleep(script.get("rests_s", 0))


class Body:
    """The body of an answer that goes on."""

    def __init__(self, request: web.Request, script: Mapping[str, Any], media: str) -> None:
        self._request = request
        self._piece_bytes = script.get("piece_bytes")
        self._answer = web.StreamResponse(headers={"Content-Type": media, "Cache-Control": "no-store"})

    async def __aenter__(self) -> Body:
        await self._answer.prepare(self._request)
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def send(self, text: str) -> None:
        data = text.encode()
        size = self._piece_bytes or len(data)
        for start in range(0, len(data), size):
            await self._answer.write(data[start : start + size])
            if self._piece_bytes:
                await asyncio.sleep(0)

    async def end(self, then: str) -> web.StreamResponse:
        if then == "hang":
            await asyncio.sleep(_HANG_S)
        if then in ("hang", "cut"):
            await asyncio.sleep(0.05)  # some clients forget what they have not handed out when the connection breaks
            return _broken(self._request)
        await self._answer.write_eof()
        return self._answer


async def _lines(
    _run: Run, script: Mapping[str, Any], frames: list[dict[str, Any]], offset: str, request: web.Request
) -> web.StreamResponse:
    shown = frames[: script.get("items", len(frames))]
    async with Body(request, script, "application/x-ndjson") as body:
        here = _START if offset == "-1" else offset
        await body.send(_line({"o": here}))
        for count, frame in enumerate(shown, 1):
            await body.send(_line(frame))
            here = frame.get("o", here)
            if _is_all(script, count, frames):
                await body.send(_line({"o": here, "upToDate": True}))
            await _rest(script, count)
        if "retry_ms" in script:
            await body.send(_line({"o": here, "retry": script["retry_ms"]}))
        if _then(script) == "end":
            await body.send(_line({"o": here, "closed": True, **_state_of(shown)}))
        return await body.end(_then(script))


async def _events(
    _run: Run, script: Mapping[str, Any], frames: list[dict[str, Any]], offset: str, request: web.Request
) -> web.StreamResponse:
    shown = frames[: script.get("items", len(frames))]
    is_plain = request.query.get("events") == "plain"
    async with Body(request, script, "text/event-stream") as body:
        await body.send("retry: 10\n\n: lockgate\n\n")
        here = _START if offset == "-1" else offset
        each = 1 if is_plain else script.get("each", 1)
        for start in range(0, len(shown), each):
            some = shown[start : start + each]
            here = next((frame["o"] for frame in reversed(some) if "o" in frame), here)
            if is_plain:
                event_id = f"id: {some[0]['o']}\n" if "o" in some[0] else ""
                await body.send(f"{event_id}data: {_dumped(some[0]['m'])}\n\n")
                continue
            await body.send(f"event: data\nid: {here}\ndata: {_dumped([frame['m'] for frame in some])}\n\n")
            is_last = start + each >= len(shown) and _then(script) == "end"
            control: dict[str, Any] = {"streamNextOffset": here}
            control |= {"upToDate": True} if _is_all(script, start + each, frames) else {}
            control |= {"streamClosed": True, **_state_of(shown)} if is_last else {"streamCursor": "1"}
            await body.send(f"event: control\nid: {here}\ndata: {_dumped(control)}\n\n")
            await _rest(script, start + each)
        if not shown and _then(script) == "end" and not is_plain:
            control = {"streamNextOffset": here, "upToDate": True, "streamClosed": True}
            await body.send(f"event: control\nid: {here}\ndata: {_dumped(control)}\n\n")
        if "retry_ms" in script:
            await body.send(f"retry: {script['retry_ms']}\n\n")
        return await body.end(_then(script))


async def _long_poll(
    _run: Run, script: Mapping[str, Any], frames: list[dict[str, Any]], offset: str, request: web.Request
) -> web.StreamResponse:
    """One answer: so many items as ``each`` says."""
    shown = frames[: min(script.get("each", 1), script.get("items", len(frames)))]
    while shown and "o" not in shown[-1] and len(shown) < len(frames):
        shown = frames[: len(shown) + 1]  # an answer has a position at its end
    here = next((frame["o"] for frame in reversed(shown) if "o" in frame), _START if offset == "-1" else offset)
    if _then(script) == "hang":
        await asyncio.sleep(_HANG_S)
    if _then(script) in ("hang", "cut"):
        return _broken(request)
    is_over = len(shown) == len(frames) and _then(script) == "end"
    headers = {"Stream-Next-Offset": here, "Stream-Cursor": "1", "Cache-Control": "no-store"}
    headers |= {"Stream-Up-To-Date": "true", "Stream-Closed": "true"} if is_over else {}
    headers |= {f"Stream-{key.title()}": value for key, value in _state_of(shown).items()} if is_over else {}
    if not shown:
        return web.Response(status=204, headers=headers)
    return web.json_response([frame["m"] for frame in shown], headers=headers)


async def _socket(
    run: Run, script: Mapping[str, Any], frames: list[dict[str, Any]], offset: str, request: web.Request
) -> web.StreamResponse:
    shown = frames[: script.get("items", len(frames))]
    socket = web.WebSocketResponse(protocols=[_SUBPROTOCOL], autoping=False)
    await socket.prepare(request)
    if socket.ws_protocol != _SUBPROTOCOL:
        run.problems.append(f"connection {run.connections}: it does not ask for the subprotocol {_SUBPROTOCOL}")
    here = _START if offset == "-1" else offset
    if script.get("close", 0) < 4400:
        await socket.send_str(_dumped({"o": here}))
    for count, frame in enumerate(shown, 1):
        await socket.send_str(_dumped(frame))
        here = frame.get("o", here)
        if _is_all(script, count, frames):
            await socket.send_str(_dumped({"o": here, "upToDate": True}))
        await _rest(script, count)
    then = _then(script)
    if then == "end":
        await socket.send_str(_dumped({"o": here, "closed": True, **_state_of(shown)}))
        await socket.close(code=WSCloseCode.OK)
    elif then == "hang":
        async for _message in socket:
            pass
    elif then == "cut":
        await _until_heard(socket)
        return _broken(request)
    else:
        if "error" in script:
            await socket.send_str(_dumped({"error": script["error"]}))
        message = script.get("error", {}).get("code", "").encode()
        await socket.close(code=script.get("close", 4000), message=message)
    return socket


async def _until_heard(socket: web.WebSocketResponse) -> None:
    """Wait until the client has taken all frames: some forget those that it has not, when the connection breaks."""
    await socket.ping()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_HEARD_S):
            while (await socket.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING):
                pass


async def _page(
    _run: Run, script: Mapping[str, Any], frames: list[dict[str, Any]], offset: str, request: web.Request
) -> web.StreamResponse:
    return await _long_poll(_run, {**script, "each": len(frames)}, frames, offset, request)


_FACES: Final = {"WebSocket": _socket, "HTTP2": _lines, "SSE": _events, "LongPoll": _long_poll, "page": _page}
_START: Final = "0000_" + "0" * 16


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _line(frame: Mapping[str, Any]) -> str:
    return _dumped(frame) + "\n"


async def serving(port: int, cases: list[dict[str, Any]]) -> AsyncIterator[int]:
    """Serve them on 127.0.0.1; yields the port once."""
    runner = web.AppRunner(Server(cases).application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _main(port: int) -> None:
    async for bound in serving(port, read_cases()):
        print(f"listening on http://127.0.0.1:{bound}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8710, help="0 takes a free one")
    asyncio.run(_main(parser.parse_args().port))

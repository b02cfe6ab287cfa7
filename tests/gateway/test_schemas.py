"""Registered schemas over HTTP: streams name them, and stay with the version that they were opened with."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import jsonschema_rs
import pytest

from lockgate.sim.documents import MODELS
from lockgate.sim.server import SimOptions, serve
from tests.gateway.nodes import Node, Reader, running
from tests.gateway.two_nodes import SharedNode
from tests.registry.rigs import person

NOWHERE = "http://127.0.0.1:9/v1"  # nothing is asked of any provider here
NOTE = {"note": {"type": "string"}}
NO_RETRY = {"maxAttempts": 0}


class Client:
    """Asks one node."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = json.dumps(body) if body is not None else None
        sent = {"Content-Type": "application/json", **headers}
        async with self._session.request(method, self.url + path, data=data, headers=sent) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def register(self, version_id: str, schema: Any) -> tuple[int, Any]:
        name, _, version = version_id.partition("@")
        return await self.ask("PUT", f"/v1/schemas/{name}/versions/{version}", schema)

    async def open(self, schema: Any, **options: Any) -> tuple[int, Any]:
        return await self.ask("POST", "/v1/streams", {"lockgate": {"source": "push", "schema": schema, **options}})

    async def push(self, made: Any, text: str, **headers: str) -> tuple[int, Any]:
        token = {"Authorization": f"Bearer {made['token']}"}
        return await self.ask("POST", made["urls"]["stream"], text, **token, **headers)

    async def metrics(self) -> str:
        async with self._session.get(f"{self.url}/metrics") as answer:
            return await answer.text()

    async def read(self, made: Any) -> Reader:
        return await Reader(self.url + made["urls"]["stream"]).run()


CLOSE = {"Stream-Closed": "true"}


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    async with running(Node(tmp_path_factory.mktemp("node"), NOWHERE)) as process:
        yield process


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session, node.url)


async def test_a_stream_is_judged_by_the_version_that_it_names(client: Client) -> None:
    """And each envelope says which: by number, by latest, by a range, and by PUT of a stream."""
    assert (await client.register("named@1", person()))[0] == 201
    assert (await client.register("named@2", person(**NOTE)))[0] == 201
    for versions, pinned in (("named@1", "named@1"), ("named@latest", "named@2"), ("named@>=1 <2", "named@1")):
        status, made = await client.open(versions)
        assert (status, made["schema"]) == (201, pinned)
        assert (await client.push(made, '{"name": "A"}', **CLOSE))[0] == 204
        reader = await client.read(made)
        assert {one["meta"]["schema"] for one in reader.envelopes if one["meta"]["kind"] == "delta"} == {pinned}
        assert reader.final["channels"]["content"]["schema"] == pinned
        assert (await client.ask("GET", made["urls"]["status"]))[1]["schema"] == pinned
    options = {"Lockgate-Options": json.dumps({"schema": "named@1"})}
    assert (await client.ask("PUT", "/v1/stream/by-name", '{"name": "A", "note": "x"}', **options))[0] == 422


async def test_a_stream_stays_with_its_version(client: Client) -> None:
    """Newer versions come, its own is retired: what is pushed to it is judged as before."""
    assert (await client.register("stays@1", person()))[0] == 201
    _, made = await client.open("stays@latest")
    assert (await client.push(made, '{"name": "A"'))[0] == 204
    assert (await client.register("stays@2", person(**NOTE)))[0] == 201
    assert (await client.ask("POST", "/v1/schemas/stays/versions/1/retire", {}))[1]["status"] == "retired"
    status, answer = await client.push(made, ', "note": "x"}')
    assert (status, answer["error"]["code"]) == (422, "schema_violation")
    status, answer = await client.open("stays@1")
    assert (status, answer["error"]["code"]) == (404, "unknown_schema_version")


@pytest.mark.parametrize(
    ("schema", "status", "code", "hint"),
    [
        pytest.param("nobody@1", 404, "unknown_schema_version", "there is no schema nobody", id="no such schema"),
        pytest.param("named@99", 404, "unknown_schema_version", "there is 1, 2", id="no such version"),
        pytest.param("named", 400, "bad_request", "like invoice@1", id="no version"),
        pytest.param("named@x", 400, "bad_request", "lockgate.schema: version 'x'", id="a version that is none"),
        pytest.param("a/b@1", 400, "bad_request", "a schema is named by", id="a name that is none"),
    ],
)
async def test_a_name_that_means_nothing_is_refused(
    client: Client, schema: str, status: int, code: str, hint: str
) -> None:
    await client.register("named@1", person())
    await client.register("named@2", person(**NOTE))
    found, answer = await client.open(schema)
    assert (found, answer["error"]["code"]) == (status, code)
    assert hint in answer["error"]["message"]


@pytest.mark.parametrize("is_partial", [True, False], ids=["partial", "whole"])
async def test_a_chunk_of_another_version_passes_if_the_pinned_one_takes_it(client: Client, is_partial: bool) -> None:
    """v2 takes all of v1, so chunks of v1 may go into a stream of v2; those of v2 not into one of v1."""
    await client.register("chunk@1", person())
    await client.register("chunk@2", person(**NOTE))
    for pinned, stated, passes in (("2", "1", is_partial), ("1", "2", False), ("2", "2", True)):
        _, made = await client.open(f"chunk@{pinned}", partialValidation=is_partial)
        assert (await client.push(made, '{"name"', **{"Lockgate-Schema": f"chunk@{pinned}"}))[0] == 204
        status, answer = await client.push(made, ': "A"}', **CLOSE, **{"Lockgate-Schema": f"chunk@{stated}"})
        reader = await client.read(made)
        if passes:
            assert (status, reader.final["state"]) == (204, "complete")
        else:
            error = answer["error"]
            assert (status, error["code"], error["action"]) == (409, "incompatible_schema_version", "halt")
            assert (reader.final["state"], reader.final["reason"]) == ("halted", "incompatible_schema_version")
            assert [one["code"] for one in reader.errors] == ["incompatible_schema_version"]


@pytest.mark.parametrize(
    ("recovery", "status", "action", "text"),
    [
        pytest.param("halt", 404, "halt", '{"name": ', id="halt"),
        pytest.param("skip", 204, "skip", '{"name": "A"}', id="skip"),
        pytest.param("patch", 204, "none", '{"name": "B"}', id="patch"),
    ],
)
async def test_recovery_says_what_becomes_of_a_chunk_of_no_version(
    client: Client, recovery: str, status: int, action: str, text: str
) -> None:
    """halt ends the stream; skip leaves the chunk out; patch lets the gate of the pinned version decide."""
    await client.register("rec@1", person())
    _, made = await client.open("rec@1", recovery=recovery)
    assert (await client.push(made, '{"name": '))[0] == 204
    found, answer = await client.push(made, '"B"}', **{"Lockgate-Schema": "rec@7"})
    assert found == status
    if recovery == "halt":
        assert answer["error"]["code"] == "unknown_schema_version"
    else:
        rest = '"A"}' if recovery == "skip" else " "
        assert (await client.push(made, rest, **CLOSE, **{"Lockgate-Schema": "rec@1"}))[0] == 204
    reader = await client.read(made)
    assert (reader.errors[0]["code"], reader.errors[0]["action"]) == ("unknown_schema_version", action)
    assert reader.text().strip() == text.strip()
    assert reader.final["state"] == ("halted" if recovery == "halt" else "complete")


async def test_readers_name_the_versions_that_they_understand(client: Client) -> None:
    """Served if one of them takes all that the pinned one takes; else 406 says what there is, whatever the face."""
    for version, schema in (("1", person()), ("2", person(**NOTE)), ("3", person(**NOTE, more={}))):
        assert (await client.register(f"read@{version}", schema))[0] == 201
    _, made = await client.open("read@2")
    assert (await client.push(made, '{"name": "A"}', **CLOSE))[0] == 204
    path = made["urls"]["stream"]
    for wanted, is_served in (("read@2", True), ("read@3", True), ("read@1", False), ("read@>=1 <3", True)):
        status, answer = await client.ask("GET", f"{path}?schema={quote(wanted)}")
        assert status == (200 if is_served else 406), wanted
        assert (await client.ask("GET", path, **{"Accept-Schema": f"nobody@1, {wanted}"}))[0] == status
        if not is_served:
            assert answer["error"]["code"] == "schema_not_acceptable"
            assert "pinned to read@2" in answer["error"]["message"]
            assert "for example" not in answer["error"]["message"] or "note" in answer["error"]["message"]
    assert (await client.ask("GET", path, Accept="text/event-stream", **{"Accept-Schema": "read@1"}))[0] == 406
    assert (await client.ask("GET", f"{path}?schema=read"))[0] == 400


async def test_readers_are_told_of_a_deprecated_version(client: Client) -> None:
    await client.register("old@1", person())
    _, made = await client.open("old@1")
    await client.push(made, '{"name": "A"}', **CLOSE)
    url = client.url + made["urls"]["stream"]
    seen = []
    for status in ("active", "deprecated"):
        if status == "deprecated":
            assert (await client.ask("POST", "/v1/schemas/old/versions/1/deprecate", {}))[0] == 200
        for accept in ("application/json", "text/event-stream", "application/x-ndjson"):
            async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": accept}) as answer:
                assert answer.headers["Lockgate-Schema"] == "old@1"
                seen.append(answer.headers.get("Lockgate-Schema-Status"))
    assert seen == [None] * 3 + ["deprecated"] * 3


async def test_versions_are_listed_got_compared_and_checked(client: Client) -> None:
    await client.register("shown@1", person())
    status, answer = await client.register("shown@2", {**person(), "required": []})
    assert (status, [one["answer"] for one in answer["verdicts"]]) == (201, ["yes"])
    status, answer = await client.register("shown@2", person())
    assert (status, answer["error"]["code"], len(answer["error"]["sha256"])) == (409, "schema_version_taken", 64)
    status, answer = await client.register("shown@3", {**person(), "required": ["name", "other"]})
    assert (status, answer["error"]["code"]) == (400, "bad_request"), "a closed object cannot have what it requires"
    status, answer = await client.register("shown@3", person())
    assert (status, answer["error"]["code"]) == (409, "incompatible_schema_version")
    assert "for example {}" in answer["error"]["message"]
    status, answer = await client.ask("POST", "/v1/schemas/shown/versions/3/check", person())
    verdict = answer["verdicts"][0]
    assert (status, answer["compatible"], verdict["answer"], verdict["example"]) == (200, False, "no", "{}")
    status, answer = await client.ask("GET", "/v1/schemas/shown/diff?from=1&to=2")
    assert answer["changes"] == [{"path": "/required", "change": "removed", "before": "name", "after": None}]
    assert [one["answer"] for one in answer["verdicts"]] == ["yes", "no"]
    status, answer = await client.ask("GET", "/v1/schemas/shown/versions/latest")
    assert (answer["id"], answer["schema"]) == ("shown@2", {**person(), "required": []})
    status, answer = await client.ask("PUT", "/v1/schemas/shown", {"compatibility": "none"})
    assert [one["id"] for one in answer["versions"]] == ["shown@1", "shown@2"]
    assert (await client.register("shown@3", person()))[0] == 201
    _, listed = await client.ask("GET", "/v1/schemas")
    assert next(one for one in listed["schemas"] if one["name"] == "shown")["compatibility"] == "none"


async def test_what_versions_are_used_for_is_told(client: Client) -> None:
    """For each version, in this process since it started; the metrics have the same numbers."""
    assert (await client.ask("GET", "/v1/schemas/used/uses"))[0] == 404
    for version, schema in (("1", person()), ("2", person(**NOTE)), ("3", person(**NOTE, more={}))):
        await client.register(f"used@{version}", schema)
    unused = (await client.ask("GET", "/v1/schemas/used/uses"))[1]
    _, made = await client.open("used@2", recovery="skip")
    for stated in ("used@1", "used@1", "used@2", "used@3", "used@77"):
        assert (await client.push(made, " ", **{"Lockgate-Schema": stated}))[0] == 204
    status, answer = await client.ask("GET", "/v1/schemas/used/uses")
    assert (status, answer["name"], answer["kind"]) == (200, "used", "json")
    assert "by this process since it started" in answer["note"]
    used = [(one["streams"], one["running"], one["pushes"]["accepted"]) for one in answer["versions"]]
    assert ([one["id"] for one in answer["versions"]], used) == (
        ["used@1", "used@2", "used@3"],
        [(0, 0, 2), (1, 0, 1), (0, 0, 0)],
    )
    assert answer["versions"][2]["pushes"]["refused"] == {"incompatible_schema_version": 1}
    assert answer["since"] < answer["versions"][0]["last_used"] <= time.time()
    assert "last_used" not in unused["versions"][0]
    unknown = {code: count for code, count in answer["unknown"]["refused"].items() if code == "unknown_schema_version"}
    assert unknown["unknown_schema_version"] == unused["unknown"]["refused"].get("unknown_schema_version", 0) + 1
    text = await client.metrics()
    assert 'lockgate_schema_streams_total{schema="used",version="2"} 1.0' in text
    pushes = re.findall(r"^lockgate_schema_pushes_total{(.*)} (.*)$", text, re.MULTILINE)
    of_first = [(labels, value) for labels, value in pushes if 'schema="used"' in labels and 'version="1"' in labels]
    assert [('result="accepted"' in labels, value) for labels, value in of_first] == [(True, "2.0")]


async def test_a_generation_counts_until_it_ends(tmp_path: Path) -> None:
    async with (
        serve(SimOptions(port=0)) as sim,
        running(Node(tmp_path, f"{sim.url}/v1")) as node,
        aiohttp.ClientSession() as session,
    ):
        client = Client(session, node.url)
        assert (await client.register("slow@1", True))[0] == 201
        asked: dict[str, Any] = {"model": "sim/products", "messages": [{"role": "user", "content": "go"}]}
        asked |= {"lockgate": {"schema": "slow@1"}, "sim": {"rate": 100, "size_bytes": 200_000}}
        status, made = await client.ask("POST", "/v1/streams", asked)
        assert status == 201, made
        assert 'lockgate_schema_generations{schema="slow",version="1"} 1.0' in await client.metrics()
        assert (await client.ask("GET", "/v1/schemas/slow/uses"))[1]["versions"][0]["running"] == 1
        token = {"Authorization": f"Bearer {made['token']}"}
        assert (await client.ask("POST", made["urls"]["cancel"], {}, **token))[0] == 202
        while 'lockgate_schema_generations{schema="slow",version="1"} 0.0' not in await client.metrics():
            pass  # its end is in the log a moment before the generation is gone
        assert (await client.ask("GET", "/v1/schemas/slow/uses"))[1]["versions"][0]["running"] == 0


PRODUCTS: Any = MODELS["sim/products"].schema


@pytest.fixture(scope="module")
async def simulated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Address of a node whose provider is simulated; products@2 takes all that products@1 takes, and no other does."""
    narrow = {**PRODUCTS, "required": [*PRODUCTS["required"], "more"]}
    narrow["properties"] = {**PRODUCTS["properties"], "more": {"type": "string"}}
    async with (
        serve(SimOptions(port=0)) as sim,
        running(Node(tmp_path_factory.mktemp("simulated"), f"{sim.url}/v1")) as node,
        aiohttp.ClientSession() as session,
    ):
        client = Client(session, node.url)
        await client.ask("PUT", "/v1/schemas/products", {"compatibility": "none"})
        for version, schema in (("1", PRODUCTS), ("2", {"type": "object"}), ("3", narrow)):
            assert (await client.register(f"products@{version}", schema))[0] == 201
        yield node.url


@pytest.mark.parametrize(
    ("pinned", "said", "code"),
    [
        pytest.param("1", {"schema": "products@1"}, "", id="the head says the pinned one"),
        pytest.param("2", {"schema": "products@1"}, "", id="the head says one that it takes"),
        pytest.param("1", {"schema": "products@3"}, "incompatible_schema_version", id="the head says another"),
        pytest.param("1", {"schema": "products@7"}, "unknown_schema_version", id="the head says one that is unknown"),
        pytest.param("1", {"chunk_schemas": ["products@1"]}, "", id="the chunks say the pinned one"),
        pytest.param("2", {"chunk_schemas": [None, "products@2", "products@1"]}, "", id="they change to one it takes"),
        pytest.param(
            "1", {"chunk_schemas": ["products@1", "products@3"]}, "incompatible_schema_version", id="they change"
        ),
        pytest.param(
            "1",
            {"schema": "products@1", "chunk_schemas": [None, "products@7"]},
            "unknown_schema_version",
            id="a chunk says other than the head",
        ),
    ],
)
async def test_what_a_provider_says_of_its_version_is_judged(
    simulated: str, pinned: str, said: dict[str, Any], code: str
) -> None:
    """In the head of its answer, or with its chunks, as a push says it with a header."""
    asked: dict[str, Any] = {"model": "sim/products", "messages": [{"role": "user", "content": "go"}]}
    asked |= {"sim": {"size_bytes": 3_000, **said}, "lockgate": {"schema": f"products@{pinned}", "retry": NO_RETRY}}
    async with aiohttp.ClientSession() as session:
        client = Client(session, simulated)
        status, made = await client.ask("POST", "/v1/streams", asked)
        assert (status, made["schema"]) == (201, f"products@{pinned}")
        reader = await client.read(made)
        assert [(one["code"], one["action"]) for one in reader.errors] == ([(code, "halt")] if code else [])
        assert (reader.final["state"], reader.final["reason"]) == (("halted", code) if code else ("complete", "stop"))
        is_begun = "chunk_schemas" in said
        assert bool(reader.text()) == (is_begun or not code), "what came before it is released"
        if not code:
            jsonschema_rs.validate(PRODUCTS, json.loads(reader.text()))


async def test_what_is_registered_is_there_at_every_node_and_after_a_restart(tmp_path: Path) -> None:
    """A stream that one node has opened goes on at another, under its version."""
    nodes = [SharedNode(tmp_path, f"node-{at}", NOWHERE) for at in range(2)]
    async with aiohttp.ClientSession() as session:
        async with running(nodes[0]), running(nodes[1]):
            first, second = (Client(session, one.url) for one in nodes)
            assert (await first.register("invoice@1", person()))[0] == 201
            status, made = await second.open("invoice@1")
            assert status == 201
            assert (await second.push(made, '{"name": '))[0] == 204
            assert (await first.push(made, '"A"'))[0] == 204
        async with running(nodes[0]):
            assert (await first.push(made, "}", **CLOSE))[0] == 204
            reader = await first.read(made)
            assert (reader.text(), reader.final["state"]) == ('{"name": "A"}', "complete")
            assert {one["meta"]["schema"] for one in reader.envelopes if one["meta"]["kind"] == "delta"} == {
                "invoice@1"
            }


async def test_of_a_race_one_wins(client: Client) -> None:
    answers = await asyncio.gather(*(client.register("race@1", person(**{f"member_{at}": {}})) for at in range(20)))
    winners = [answer for status, answer in answers if status == 201]
    assert len(winners) == 1
    losers = [answer["error"] for status, answer in answers if status == 409]
    assert len(losers) == 19
    assert {one["sha256"] for one in losers} == {winners[0]["sha256"]}


async def test_without_versioning_nothing_of_it_is_offered(tmp_path: Path) -> None:
    """And nobody looks at what a provider says of versions."""
    async with (
        serve(SimOptions(port=0, schema="nobody@7")) as sim,
        running(Node(tmp_path, f"{sim.url}/v1", validation__schemaVersioning=False)) as node,
        aiohttp.ClientSession() as session,
    ):
        client = Client(session, node.url)
        assert (await client.register("invoice@1", person()))[0] == 501
        status, answer = await client.open("invoice@1")
        assert (status, answer["error"]["code"]) == (501, "not_offered")
        assert (await client.open(person()))[0] == 201
        asked = {"model": "sim/products", "messages": [{"role": "user", "content": "go"}]}
        _, made = await client.ask("POST", "/v1/streams", asked | {"lockgate": {"schema": PRODUCTS}})
        assert (await client.read(made)).final["state"] == "complete"

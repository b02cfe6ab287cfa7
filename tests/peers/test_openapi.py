"""schemathesis asks the gateway all that /openapi.json allows, and more: no 5xx, nothing that is not documented."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lockgate.gateway.contract import openapi
from lockgate.sim.server import SimOptions, serve
from tests.conftest import missing
from tests.gateway.nodes import Node, running
from tests.peers.node import HERE
from tests.programs import ended

PATIENCE_S = 280.0
KINDS = ("accepted", "unreachable", "conflicts", "rejected")
OPERATIONS = [
    f"{method.upper()} {path}"
    for path, operations in openapi()["paths"].items()
    for method in operations
    if method != "parameters"
]
#: Of the registered schemas: the examples of the document name one, so each of these can be answered well.
OF_SCHEMAS = [one for one in OPERATIONS if "/v1/schemas" in one]
#: Limits are not what is asked about here: an answer of 429 or 503 would be right, and would hide others.
SETTINGS = {
    "delivery__raw_streams": True,
    "delivery__long_poll_s": 0.5,
    "delivery__heartbeat_s": 1,
    "server__max_open_streams": 5_000,
    "server__max_readers": 5_000,
    "quotas__caller_open_streams": 100_000,
    "quotas__caller_pushed_streams": 100_000,
    "quotas__pushed_streams": 100_000,
    "quotas__caller_readers": 100_000,
    "quotas__caller_streams_per_minute": 1_000_000,
    "quotas__streams_per_minute": 1_000_000,
}


async def schemathesis(url: str, folder: Path) -> tuple[dict[str, Any], str]:
    """Its report, and all that it printed."""
    command = Path(sys.executable).parent / "schemathesis"
    if not command.exists():
        missing("schemathesis", "make peers installs it")
    report = folder / "report.json"
    arguments = ["--config-file", HERE / "schemathesis.toml", "--no-color", "run", f"{url}/openapi.json"]
    _, output = await ended(
        *map(str, [command, *arguments, "--report", "json", "--report-json-path", report]),
        patience_s=PATIENCE_S,
        folder=folder,
        SCHEMATHESIS_HOOKS=str(HERE / "schemathesis_hooks.py"),
    )
    assert report.exists(), output
    return json.loads(report.read_text(encoding="utf-8")), output


async def register(url: str) -> None:
    """The schema of the document's examples, in two versions."""
    async with aiohttp.ClientSession() as session:
        for version in (1, 2):
            place = f"{url}/v1/schemas/invoice/versions/{version}"
            async with session.put(place, json={"type": "object", "minProperties": 3 - version}) as answer:
                assert answer.status == 201, await answer.text()


def answered(rows: dict[str, Any], *operations: str) -> dict[str, int]:
    """How many requests of these operations there were, by what became of them."""
    phases = [phase for one in operations for phase in rows.get(one, {}).values()]
    return {kind: sum(phase[kind] for phase in phases) for kind in KINDS}


@pytest.mark.peers
async def test_the_gateway_answers_as_its_document_says(tmp_path: Path) -> None:
    """Every operation, examples, borders, 25 seeded requests each, and sequences along the links."""
    async with (
        serve(SimOptions(port=0, rate=0, size_bytes=2000)) as sim,
        running(Node(tmp_path, f"{sim.url}/v1", **SETTINGS)) as gateway,
    ):
        await register(gateway.url)
        report, output = await schemathesis(gateway.url, tmp_path)
    rows = report["valid_rates"]
    print("\noperation: requests accepted, without that stream, in conflict, rejected")
    for operation in sorted(rows):
        print(f"  {operation:56}", *(f"{count:4}" for count in answered(rows, operation).values()))
    print(f"  {report['test_cases']['generated']} requests, of {report['operations']['tested']} operations")
    valid = sum(answered(rows, *OF_SCHEMAS).values())
    print(f"  {len(OF_SCHEMAS)} operations of registered schemas: {valid} requests as the document has them")
    assert report["failures"] == [], output
    assert report["errors"] == [], output
    assert (report["complete"], report["exit_code"]) == (True, 0), output
    assert report["operations"]["tested"] == len(OPERATIONS)
    assert all(answered(rows, one)["accepted"] for one in OF_SCHEMAS)
    assert all(phase["status"] == "success" for phase in report["phases"].values()), output

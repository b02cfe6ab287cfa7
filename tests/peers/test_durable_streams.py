"""The server suite of Durable Streams, without forks and subscriptions, which lockgate answers with 501."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.gateway.nodes import UncheckedNode, running
from tests.peers.node import HERE, PATIENCE_S, node, started

NOWHERE = "http://127.0.0.1:9/v1"
#: 338 tests in 0.3.6: 82 of forks and 6 of subscriptions are left out.
EXPECTED = 250


@pytest.mark.peers
@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_the_server_suite(tmp_path: Path, store: str) -> None:
    node()
    report = tmp_path / "report.json"
    settings = {"delivery__raw_streams": True, "delivery__long_poll_s": 2, "store__kind": store}
    async with running(UncheckedNode(tmp_path, NOWHERE, **settings)) as gateway:
        vitest = str(HERE / "node_modules" / "vitest" / "vitest.mjs")
        arguments = ["run", "conformance.test.mjs", "-t", "^(?!.*Fork - )", "--reporter=json"]
        variables = {"CONFORMANCE_TEST_URL": gateway.url, "LONG_POLL_MS": "2000"}
        async with (
            asyncio.timeout(PATIENCE_S),
            started(vitest, *arguments, f"--outputFile={report}", **variables) as suite,
        ):
            await suite.communicate()
    found = json.loads(report.read_text(encoding="utf-8"))
    results = [result for file in found["testResults"] for result in file["assertionResults"]]
    failed = [(result["fullName"], result["failureMessages"]) for result in results if result["status"] == "failed"]
    assert failed == []
    passed = sum(result["status"] == "passed" for result in results)
    print(f"\n{store}: {passed} passed, {len(failed)} failed, {len(results) - passed - len(failed)} left out")
    assert passed == EXPECTED

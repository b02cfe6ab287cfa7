"""The page of registered schemas, in a browser."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from tests.browser.chromium import chromium, page_of
from tests.gateway.nodes import Node, running
from tests.gateway.test_schemas import NOWHERE, Client
from tests.registry.rigs import person


async def test_versions_matrix_and_difference_are_shown(tmp_path: Path) -> None:
    """What a version takes of another is in its cell; a cell leads to the difference, with a document that shows it."""
    async with running(Node(tmp_path, NOWHERE)) as node, aiohttp.ClientSession() as session:
        client = Client(session, node.url)
        for version, schema in (("1", person()), ("2", person(note={"type": "string"}))):
            assert (await client.register(f"invoice@{version}", schema))[0] == 201
        assert (await client.ask("POST", "/v1/schemas/invoice/versions/1/deprecate", {}))[0] == 200
        async with chromium() as browser, page_of(browser) as page:
            await page.goto(f"{node.url}/playground/schemas.html?name=invoice")
            await page.wait_for_selector("#text .plus")
            assert await page.locator("#versions td.deprecated").all_inner_texts() == ["deprecated"]
            assert await page.locator("#matrix td").all_inner_texts() == ["–", "no", "yes", "–"]
            await page.locator("#matrix button", has_text="no").click()
            assert "for example {" in await page.locator("#verdict").inner_text()
            assert "/properties/note" in await page.locator("#changes").inner_text()

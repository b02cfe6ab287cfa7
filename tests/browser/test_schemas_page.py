"""The page of registered schemas, in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp
from playwright.async_api import expect

from tests.browser.chromium import chromium, page_of
from tests.gateway.nodes import Node, running
from tests.gateway.test_schemas import NOWHERE, Client
from tests.registry.rigs import person

REFUSED = "incompatible_schema_version"


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


async def test_what_uses_the_versions_is_shown_and_follows(tmp_path: Path) -> None:
    """The page is not loaded again: its numbers follow what producers do, also while the node is away for a moment."""
    async with running(Node(tmp_path, NOWHERE)) as node, aiohttp.ClientSession() as session:
        client = Client(session, node.url)
        for version, schema in (("1", person()), ("2", person(note={"type": "string"}))):
            assert (await client.register(f"invoice@{version}", schema))[0] == 201
        async with chromium() as browser, page_of(browser) as page:
            await page.goto(f"{node.url}/playground/schemas.html")
            cells = page.locator("#uses tr:nth-child(2) td")
            await expect(cells).to_have_text(["invoice@1", "0", "0", "0", "0", "never"])
            await expect(page.locator("#uses-note")).to_contain_text("by this process since it started")
            await expect(page.locator("#uses-unknown")).to_be_hidden()
            _, made = await client.open("invoice@1", recovery="skip")
            for stated in ("invoice@1", "invoice@1", "invoice@2", "invoice@9"):
                assert (await client.push(made, " ", **{"Lockgate-Schema": stated}))[0] == 204
            await expect(cells).to_have_text(["invoice@1", "1", "0", "2", "0", re.compile(r"\d")])
            other = page.locator("#uses tr:nth-child(3) td")
            await expect(other).to_have_text(["invoice@2", "0", "0", "0", f"1 {REFUSED}", re.compile(r"\d")])
            await expect(page.locator("#uses-unknown")).to_have_text(re.compile("not registered, of any schema: 1"))
            await page.context.set_offline(True)
            await expect(page.locator("#uses-note")).to_contain_text("No news: ")
            await page.context.set_offline(False)
            await expect(page.locator("#uses-note")).to_contain_text("by this process since it started")
            assert await page.locator("#trouble").is_hidden()

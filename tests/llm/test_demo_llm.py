"""The playground on a real model: a task, another seed, and the schema told to the model."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest
from playwright.async_api import Page, expect

from lockgate.pages.prompts import BIRDS, PERSON
from tests.browser.chromium import chromium, page_of
from tests.browser.test_playground import demo
from tests.llm.llama import need_model

ENDED = "#state:not([data-state=idle], [data-state=open])"


async def generated(page: Page) -> tuple[str, str]:
    """The state that it ended in, and the released text."""
    await page.locator("#generate").click()
    await page.locator(ENDED).wait_for(timeout=120_000)
    await expect(page.locator("#order")).to_have_attribute("data-proven", "true")
    released = await page.locator("#released").text_content() or ""
    return await page.locator("#state").get_attribute("data-state") or "", released


@pytest.mark.llm
@pytest.mark.browser
async def test_playground_on_a_real_model(tmp_path: Path) -> None:
    need_model()
    async with demo(tmp_path, "--llm") as url, chromium() as browser, page_of(browser) as page:
        await page.goto(url)
        await expect(page.locator("#prompt")).to_have_value(PERSON.prompt)
        state, released = await generated(page)
        assert state in ("complete", "halted", "incomplete")
        assert (await page.locator("#upstream").text_content() or "").startswith(released)

        await page.goto(url)
        await page.locator("#example").select_option(label=BIRDS.title)
        await expect(page.locator("#prompt")).to_have_value(BIRDS.prompt)
        await page.locator("#bound").check()
        state, released = await generated(page)
        assert state == "complete", "a model that is bound to the schema keeps it"
        assert jsonschema_rs.validator_for(BIRDS.schema).is_valid(json.loads(released))

        await page.locator("#schema").fill("{")
        await page.locator("#generate").click()
        await expect(page.locator("#problem")).to_contain_text("The schema is not JSON")

"""The playground in a real Chromium: a generation, a fault, a dropped connection, a cancel."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.browser.chromium import page_of
from tests.gateway.nodes import DEADLINE_S, free_port


@contextlib.asynccontextmanager
async def demo(folder: Path, *options: str) -> AsyncIterator[str]:
    """``lockgate demo`` as a person starts it: gateway, upstream, playground."""
    port = free_port()
    command = [sys.executable, "-m", "lockgate", "demo", "--port", str(port), *options]
    with (
        open(folder / "demo.log", "wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, cwd=folder) as process,
    ):
        try:
            await _answers(f"http://127.0.0.1:{port}/healthz", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            code = await asyncio.to_thread(process.wait, DEADLINE_S)
    text = (folder / "demo.log").read_text()
    assert code == 0, (code, text)
    assert f"playground  http://127.0.0.1:{port}/" in text
    assert "Traceback" not in text, text


async def _answers(url: str, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
        while process.poll() is None:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with session.get(url):
                    return
            await asyncio.sleep(0.02)  # between two tries to connect
    raise AssertionError("lockgate demo ended")


async def generate(page: Page, document: str, **numbers: int) -> None:
    await page.locator("#document").select_option(document)
    for name, value in numbers.items():
        await page.locator(f"#{name}").fill(str(value))


async def state(page: Page, wanted: str) -> None:
    await expect(page.locator("#state")).to_have_attribute("data-state", wanted, timeout=30_000)


@pytest.mark.browser
@pytest.mark.timeout(120)
def test_playground(tmp_path: Path) -> None:
    async def run() -> None:
        async with demo(tmp_path) as url, page_of() as page:
            problems: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            await page.goto(url)

            await generate(page, "invoice", size=3000, rate=1000)
            await page.locator("#generate").click()
            await state(page, "complete")
            await expect(page.locator("#order")).to_have_attribute("data-ok", "true")
            released = await page.locator("#released").text_content()
            assert released is not None
            assert released == await page.locator("#upstream").text_content()
            assert len(released) > 2500

            await page.locator("[data-fault=wrong_type]").click()
            await state(page, "halted")
            await expect(page.locator("#violations")).to_contain_text("schema_violation")
            shorter = await page.locator("#released").text_content()
            assert shorter is not None
            assert len(shorter) < len(released)

            await generate(page, "invoice", size=3000, rate=400)
            await page.locator("#generate").click()
            await expect(page.locator("#records")).not_to_have_text("0")
            await page.locator("#drop").click()
            await state(page, "complete")
            await expect(page.locator("#order")).to_have_attribute("data-ok", "true")
            assert await page.locator("#released").text_content() == released

            await generate(page, "log-lines", size=200_000, rate=20)
            await page.locator("#generate").click()
            await expect(page.locator("#records")).not_to_have_text("0")
            await page.locator("#cancel").click()
            await state(page, "cancelled")

            # A dropped connection is an error that the browser itself reports; nothing else may be.
            assert [one for one in problems if "ERR_INCOMPLETE_CHUNKED_ENCODING" not in one] == []

    asyncio.run(run())

"""A real Chromium, started by the tests, with profiles of their own."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.conftest import missing

#: Only against waiting for ever: on a busy machine a page needs many seconds.
PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Skips where there is no Chromium; on CI that is a failure."""
    path = shutil.which("chromium")
    if path is None:
        missing("Chromium", "apt-get install chromium")
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def page_of(browser: Browser) -> AsyncIterator[Page]:
    """An empty page that shares nothing with the others."""
    page = await browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    try:
        yield page
    finally:
        await page.close()

"""A real Chromium, started by the test, with a profile of its own."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator

from playwright.async_api import Page, async_playwright

from tests.conftest import missing


@contextlib.asynccontextmanager
async def page_of(*, width: int = 1440, height: int = 900) -> AsyncIterator[Page]:
    """An empty page. Skips where there is no Chromium; on CI that is a failure."""
    path = shutil.which("chromium")
    if path is None:
        missing("Chromium", "apt-get install chromium")
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            page = await browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(30_000)
            yield page
        finally:
            await browser.close()

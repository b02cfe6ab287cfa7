"""The playground in a real Chromium: generations, faults, dropped connections, and each way to read them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import jsonpatch
import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from tests.browser.chromium import PATIENCE_MS, chromium, page_of
from tests.conftest import missing
from tests.gateway.nodes import DEADLINE_S, Node, Upstream, answer, running
from tests.gateway.test_keys import Keys
from tests.ports import free_port


@contextlib.asynccontextmanager
async def demo(folder: Path, *options: str, **variables: str) -> AsyncIterator[str]:
    """``lockgate demo`` as a person starts it: gateway, upstream, playground."""
    port = free_port()
    command = [sys.executable, "-m", "lockgate", "demo", "--port", str(port), *options]
    with (
        open(folder / "demo.log", "wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, env=os.environ | variables) as process,
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
    await expect(page.locator("#state")).to_have_attribute("data-state", wanted)


@pytest.fixture(scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with demo(tmp_path_factory.mktemp("demo")) as address:
        yield address


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as process:
        yield process


@pytest.fixture
async def page(url: str, browser: Browser) -> AsyncIterator[Page]:
    """The playground, which must run without an error."""
    async with page_of(browser) as page:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        await page.goto(url)
        yield page
        # A dropped connection is an error that the browser itself reports; nothing else may be.
        assert [one for one in problems if "ERR_INCOMPLETE_CHUNKED_ENCODING" not in one] == []


#: Drops the connection when the first records are shown: from outside the page that could be too late.
DROP_AT_ONCE = """() => new MutationObserver((_, observer) => {
  const drop = document.querySelector("#drop");
  if (drop.disabled || document.querySelector("#records").textContent === "0") return;
  observer.disconnect();
  drop.click();
  document.body.dataset.dropped = "yes";
}).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true })"""


# -- one generation --------------------------------------------------------------------------------------------------


@pytest.mark.browser
async def test_a_generation_is_shown_as_it_was_released(page: Page) -> None:
    await generate(page, "invoice", size=3000, rate=1000)
    await page.locator("#generate").click()
    await state(page, "complete")
    await expect(page.locator("#order")).to_have_attribute("data-ok", "true")
    released = await page.locator("#released").text_content()
    assert released is not None
    assert released == await page.locator("#upstream").text_content()
    assert len(released) > 2500
    await expect(page.locator("#progress")).to_have_attribute("data-state", "complete")
    await expect(page.locator("#progress")).to_contain_text("9 members")


@pytest.mark.browser
async def test_a_fault_is_shown_where_it_stopped_the_text(page: Page) -> None:
    await generate(page, "invoice", size=3000, rate=1000)
    await page.locator("[data-fault=wrong_type]").click()
    await state(page, "halted")
    await expect(page.locator("#violations")).to_contain_text("schema_violation")
    released, upstream = [await page.locator(name).text_content() for name in ("#released", "#upstream")]
    assert released is not None
    assert upstream is not None
    assert upstream.startswith(released)
    assert released != upstream


@pytest.mark.browser
async def test_a_dropped_connection_loses_nothing(page: Page) -> None:
    await generate(page, "invoice", size=3000, rate=400)
    await page.evaluate(DROP_AT_ONCE)
    await page.locator("#generate").click()
    await expect(page.locator("body")).to_have_attribute("data-dropped", "yes")
    await state(page, "complete")
    await expect(page.locator("#order")).to_have_attribute("data-ok", "true")
    released = await page.locator("#released").text_content()
    assert released == await page.locator("#upstream").text_content()
    assert released


@pytest.mark.browser
async def test_silence_of_upstream_is_shown_while_it_lasts(page: Page) -> None:
    """Also before the first token; the text that comes then, and the end, take it away."""
    await generate(page, "invoice", size=3000, rate=1000, at=900)
    await expect(page.locator("#silence")).to_have_text("")
    await page.locator("[data-fault=stall]").click()
    await expect(page.locator("#silence")).to_have_text(re.compile(r"^upstream silent for \d+ s$"))
    await expect(page.locator("#order")).to_have_attribute("data-ok", "true")
    await page.locator("#cancel").click()
    await state(page, "cancelled")
    await expect(page.locator("#silence")).to_have_text("")
    await expect(page.locator("#order")).to_have_attribute("data-proven", "true")
    await generate(page, "invoice", at=0)
    await page.locator("[data-fault=stall]").click()
    await expect(page.locator("#silence")).to_have_text(re.compile(r"^upstream silent for \d+ s, no token yet$"))


@pytest.mark.browser
async def test_a_generation_can_be_cancelled(page: Page) -> None:
    await generate(page, "log-lines", size=200_000, rate=20)
    await page.locator("#generate").click()
    await expect(page.locator("#records")).not_to_have_text("0")
    await page.locator("#cancel").click()
    await state(page, "cancelled")


# -- how the page reads ------------------------------------------------------------------------------------------------


@pytest.mark.browser
async def test_another_face_and_a_reload_go_on_at_the_offset(page: Page) -> None:
    """Each record once: what the page had before is there again, and the rest comes over another connection."""
    await generate(page, "log-lines", size=200_000, rate=50)
    await page.locator("#face").select_option("WebSocket")
    await page.locator("#generate").click()
    for face in ("HTTP2", "SSE"):
        await page.locator("#face").select_option(face)
        await expect(page.locator(f"#connection[data-way={face}]")).to_be_visible()
    await expect(page.locator("#records")).not_to_have_text("0")
    await page.reload()
    await expect(page.locator("#reconnects")).to_contain_text("Loaded again")
    await expect(page.locator("#connection[data-way=SSE]")).to_be_visible()
    await page.locator("#cancel").click()
    await state(page, "cancelled")
    await expect(page.locator("#order")).to_have_attribute("data-proven", "true")
    await expect(page.locator("#digest")).to_have_attribute("data-ok", "true")


@pytest.mark.browser
async def test_a_stream_is_shown_in_each_view(page: Page) -> None:
    """The same stream, from its start; what comes stands line by line, and makes the same value."""
    await generate(page, "invoice", size=3000, rate=0)
    await page.locator("#generate").click()
    await state(page, "complete")
    released, value = page.locator("#released"), page.locator("#value")
    document = json.loads(await released.text_content() or "")
    for view in ("elements", "snapshot", "patch"):
        await page.locator("#view").select_option(view)
        await expect(page.locator("#connection")).to_have_attribute("data-connection", "closed")
        await state(page, "complete")
        await expect(page.locator("#order")).to_have_attribute("data-ok", "true")
        text = await released.text_content() or ""
        if view == "elements":
            assert [json.loads(line) for line in text.splitlines()] == document["lines"]
        elif view == "snapshot":
            assert json.loads(text) == document
        else:
            assert jsonpatch.apply_patch(None, [json.loads(line) for line in text.splitlines()]) == document
        await expect(value).to_contain_text("quantity" if view == "elements" else document["number"])


@pytest.mark.browser
async def test_a_slow_reader_has_a_small_window(page: Page) -> None:
    """Over WebSocket it fills, and the page says so; at full speed the rest comes at once."""
    await generate(page, "log-lines", size=60_000, rate=0)
    await page.locator("#face").select_option("WebSocket")
    await page.locator("#pace").select_option("1000")
    await page.locator("#generate").click()
    window = page.locator("#window")
    await expect(window).to_have_attribute("data-full", "true")
    await expect(window).to_have_text(re.compile("of 16,384 bytes"))
    await state(page, "open")
    await page.locator("#pace").select_option("0")
    await state(page, "complete")
    await expect(page.locator("#order")).to_have_attribute("data-proven", "true")


@pytest.mark.browser
async def test_what_is_on_the_screen_runs_as_a_program(page: Page, tmp_path: Path) -> None:
    """In each language it brings the text that the page shows: the simulator writes the same again."""
    await generate(page, "products", size=1500, rate=0)
    await page.locator("#generate").click()
    await state(page, "complete")
    wanted = await page.locator("#released").text_content()
    client = Path(__file__).parents[2] / "clients" / "typescript" / "src" / "index.js"
    node = shutil.which("node")
    if node is None:
        missing("Node.js", "apt-get install nodejs")
    commands = {
        "curl": ("bash", "program.sh"),
        "Python": (sys.executable, "program.py"),
        "TypeScript": (str(node), "program.mjs"),
    }
    await page.locator("#as-code").click()
    for language, (command, name) in commands.items():
        await page.locator(f"[data-language={language}]").click()
        program = await page.locator("#code-text").text_content() or ""
        (tmp_path / name).write_text(program.replace('from "lockgate"', f'from "{client.as_uri()}"'))
        process = await asyncio.create_subprocess_exec(
            command, name, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(DEADLINE_S):
            output, problems = await process.communicate()
        assert (process.returncode, problems.decode()) == (0, ""), language
        text = output.decode()
        if language == "curl":
            events = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:[")]
            text = "".join("".join(one["data"]) for event in events for one in event if one["meta"]["kind"] == "delta")
        assert text.replace("\n", "") == wanted, language


@pytest.mark.browser
async def test_an_own_schema_is_written_and_judged(page: Page) -> None:
    await generate(page, "own", size=400, rate=0)
    own = '{"type": "array", "items": {"type": "integer"}, "minItems": 3}'
    await page.locator("#schema").fill(own)
    await page.locator("#view").select_option("elements")
    await page.locator("#generate").click()
    await state(page, "complete")
    text = await page.locator("#released").text_content() or ""
    assert all(isinstance(json.loads(line), int) for line in text.splitlines())
    assert len(text.splitlines()) >= 3
    await page.reload()
    await expect(page.locator("#schema")).to_have_value(own)
    await page.locator("#schema").fill("{")
    await page.locator("#generate").click()
    await expect(page.locator("#problem")).to_contain_text("The schema is not JSON")


@pytest.mark.browser
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "narrow"])
async def test_the_button_and_the_result_are_on_one_screen(page: Page, size: tuple[int, int]) -> None:
    """Also beside a long form, and without scrolling."""
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    await generate(page, "own", rate=0)
    button, released = page.locator("#generate"), page.locator("#released")
    await expect(button).to_be_in_viewport(ratio=1)
    await button.click()
    await state(page, "complete")
    for part in (button, page.locator("#state"), released):
        await expect(part).to_be_in_viewport(ratio=1)
    below = await button.bounding_box()
    above = await released.bounding_box()
    assert below is not None
    assert above is not None
    assert size[0] > 1000 or above["y"] + above["height"] <= below["y"], "the button lies on the result"


# -- what recovery and retries did stands where it happened, and the list leads there ---------------------------------


@pytest.mark.browser
async def test_a_patch_is_drawn(page: Page) -> None:
    await choose(page, "patch", "failure", "wrong_type")
    await state(page, "complete")
    await expect(page.locator("#reason")).to_contain_text("With 1 patch.")
    await page.locator("#violations button").click()
    inserted = page.locator("#released ins.patch")
    await expect(inserted).to_be_focused()
    await expect(inserted).to_be_in_viewport()
    assert await inserted.get_attribute("data-rule") == "scalar_in_string"


@pytest.mark.browser
async def test_a_skip_is_drawn(page: Page) -> None:
    await choose(page, "skip", "failure", "wrong_type")
    await state(page, "complete")
    skipped = page.locator("#upstream .skipped")
    await expect(skipped).to_have_text('"discount_percent":"20"')
    await page.locator("#violations button").click()
    await expect(skipped).to_be_focused()
    await expect(page.locator("#released .stop")).to_be_in_viewport()


#: Upstream's text and the word of a skip come by two ways: in each order, cut at each place, what was skipped is drawn.
WRONG_SKIPS = """async () => {
  const { Held } = await import("/playground/held.js");
  const text = '[{"a":1},{"a":"2"},{"a":3}]';
  const [from, to] = [9, 18];
  const wrong = [];
  for (let held = 0; held <= text.length; held++) for (let told = held; told <= text.length; told++) {
    const element = document.createElement("div");
    const drawn = new Held(element, element);
    drawn.receive(text.slice(0, held));
    drawn.draw();
    drawn.receive(text.slice(held, told));
    drawn.skip({ code: "schema", action: "skip", message: "", upstream_at: from, upstream_end: to });
    drawn.raise(Infinity);
    drawn.draw();
    drawn.receive(text.slice(told));
    drawn.draw();
    const skipped = [...element.querySelectorAll(".skipped")].map((one) => one.textContent);
    if (element.textContent !== text || skipped.join("|") !== text.slice(from, to)) wrong.push([held, told, skipped]);
  }
  return wrong;
}"""


@pytest.mark.browser
async def test_a_skip_is_drawn_where_it_is_however_the_text_comes(page: Page) -> None:
    assert await page.evaluate(WRONG_SKIPS) == []


@pytest.mark.browser
async def test_a_further_attempt_is_drawn(page: Page) -> None:
    released, upstream = page.locator("#released"), page.locator("#upstream")
    await choose(page, "halt", "always", "wrong_type")
    await state(page, "complete")
    await expect(page.locator("#reason")).to_contain_text("In 2 attempts.")
    at = await page.locator("#violations li").first.get_attribute("data-byte")
    note = f"attempt 2 · prefill · from byte {at} · the text broke the schema"
    await expect(released.locator(".seam")).to_have_attribute("data-note", note)
    await expect(upstream.locator(".seam")).to_have_attribute("data-note", "attempt 2")
    await expect(upstream.locator(".offender")).to_have_text('"')
    await page.locator("#violations button").click()
    await expect(upstream.locator(".offender")).to_be_focused()
    await expect(released.locator(".stop")).to_be_in_viewport()


@pytest.mark.browser
async def test_a_restart_is_drawn(page: Page) -> None:
    """What was taken back stays readable, and the whole text stands behind it."""
    released = page.locator("#released")
    await choose(page, "halt", "anew", "cut")
    await state(page, "complete")
    await expect(page.locator("#order")).to_have_attribute("data-proven", "true")
    await expect(page.locator("#digest")).to_have_attribute("data-ok", "true")
    taken_back = "900 bytes taken back · the text begins anew"
    await expect(released.locator(".restart")).to_have_attribute("data-note", taken_back)
    withdrawn = await released.locator(".withdrawn").text_content()
    anew = await released.locator(".withdrawn ~ :not(.seam)").text_content()
    assert withdrawn
    assert anew is not None
    assert anew.startswith(withdrawn)
    assert len(anew) > len(withdrawn)
    await expect(page.locator("#value")).to_contain_text("note")
    await page.locator("#violations button").click()
    await expect(released.locator(".withdrawn .seam")).to_be_focused()


@pytest.mark.browser
async def test_where_nothing_was_tried_again_nothing_is_drawn(page: Page) -> None:
    await choose(page, "halt", "never", "cut")
    await state(page, "failed")
    await expect(page.locator(".seam")).to_have_count(0)


async def choose(page: Page, recovery: str, retry: str, fault: str) -> None:
    """Start a stream with a fault after 900 bytes."""
    await generate(page, "products", size=3000, rate=2000, at=900)
    await page.locator("#recovery").select_option(recovery)
    await page.locator("#retry").select_option(retry)
    await page.locator(f"[data-fault={fault}]").click()


# -- where the gateway takes keys --------------------------------------------------------------------------------------


@pytest.mark.browser
async def test_the_key_that_the_browser_asked_for_reads_streams_too(tmp_path: Path, browser: Browser) -> None:
    """It was asked for by the page, and streams are not below the page; a WebSocket sends it as well."""
    async with Keys(tmp_path / "log.db") as keys:
        secret = await keys.add("ops", "admin")
    async with (
        Upstream(lambda _: answer('{"a": 1}')) as upstream,
        running(Node(tmp_path, upstream.base_url, access__keys="always")) as node,
    ):
        context = await browser.new_context(http_credentials={"username": "me", "password": secret})
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(f"{node.url}/playground/")
        await page.locator("#model").fill("m")
        await page.locator("#schema").fill('{"type": "object"}')
        await page.locator("#face").select_option("WebSocket")
        await page.locator("#generate").click()
        await state(page, "complete")
        await expect(page.locator("#released")).to_have_text('{"a": 1}')
        await page.locator("#as-code").click()
        await expect(page.locator("#code-text")).to_contain_text("Bearer $LOCKGATE_KEY")
        await context.close()


# -- behind a proxy that serves it under a base path -------------------------------------------------------------------


@contextlib.asynccontextmanager
async def proxy(upstream: str, *, strips: bool) -> AsyncIterator[str]:
    """Serves a gateway under ``/lockgate``, and nothing beside it; takes the base path off, or passes it on."""

    async def forward(request: web.Request) -> web.StreamResponse:
        path = request.raw_path.removeprefix("/lockgate") if strips else request.raw_path
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "accept-encoding"}
        async with client.request(
            request.method, upstream + path, headers=headers, data=body, allow_redirects=False
        ) as got:
            passed = {name: value for name, value in got.headers.items() if name.lower() not in _OF_CONNECTION}
            answer = web.StreamResponse(status=got.status, headers=passed)
            await answer.prepare(request)
            async for piece in got.content.iter_any():
                await answer.write(piece)
            return answer

    app = web.Application()
    app.router.add_route("*", "/lockgate/{path:.*}", forward)
    runner = web.AppRunner(app)
    async with aiohttp.ClientSession(auto_decompress=False) as client:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port := free_port())
        await site.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            await runner.cleanup()


_OF_CONNECTION = ("transfer-encoding", "connection", "content-length")


@pytest.mark.browser
@pytest.mark.parametrize("strips", [True, False], ids=["taken off", "passed on"])
async def test_the_page_works_under_a_base_path(tmp_path: Path, browser: Browser, strips: bool) -> None:
    async with (
        demo(tmp_path, LOCKGATE_SERVER__ROOT_PATH="/lockgate") as gateway,
        proxy(gateway, strips=strips) as outside,
        page_of(browser) as page,
    ):
        failed: list[str] = []
        page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
        await page.goto(f"{outside}/lockgate/")
        await expect(page).to_have_url(re.compile(r"/lockgate/playground/$"))
        await generate(page, "invoice", size=3000, rate=1000)
        await page.locator("#generate").click()
        await state(page, "complete")
        assert await page.locator("#released").text_content() == await page.locator("#upstream").text_content()
        await generate(page, "log-lines", size=200_000, rate=20)
        await page.locator("#generate").click()
        # What was there before is still shown for a moment: only who reads can be dropped.
        await expect(page.locator("#connection")).to_have_attribute("data-connection", "live")
        await expect(page.locator("#records")).not_to_have_text("0")
        await page.locator("#drop").click()
        await expect(page.locator("#reconnects li")).to_have_count(1)
        await page.locator("#cancel").click()
        await state(page, "cancelled")
        assert failed == []

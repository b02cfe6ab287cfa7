"""The TypeScript client as npm hands it out: its files, size, types, example, and the hook for React."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.client.test_typescript import CLIENT, play, run_node
from tests.conftest import missing
from tests.gateway.nodes import Node, Upstream, answer, running
from tests.programs import found, printed

pytestmark = pytest.mark.peers

PATIENCE_S = 240.0
#: Of everything that the core exports, in one file without white space, by ``gzip -9``.
MOST_BYTES = 8_000
PEOPLE = {"people": [{"name": "Ada Lovelace", "age": 36}, {"name": "Alan Turing", "age": 41}]}
SHOWN = "Ada Lovelace 36\nAlan Turing 41\n2\n"


async def run(*command: str, folder: Path) -> str:
    """What a command prints; it must end well."""
    return await printed(*command, patience_s=PATIENCE_S, folder=folder)


@pytest.fixture(autouse=True)
def needs_packages() -> None:
    found("npm", "npm")
    if not (CLIENT / "node_modules" / ".done").exists():
        missing("the npm packages of clients/typescript", "make peers installs them")


def tool(name: str) -> str:
    return str(CLIENT / "node_modules" / ".bin" / name)


async def packed(folder: Path) -> Path:
    """The package as it would be published; its types are written first."""
    told = await run("npm", "pack", "--silent", "--pack-destination", str(folder), folder=CLIENT)
    return folder / told.split()[-1]


async def test_the_package(tmp_path: Path) -> None:
    """Sources, types and README are in it, publint and attw are content, the example runs in an empty project."""
    package = await packed(tmp_path)
    names = set((await run("tar", "-tzf", str(package), folder=tmp_path)).split())
    sources = {path.relative_to(CLIENT) for path in (CLIENT / "src").rglob("*.js")}
    types = {Path("types", *path.parts[1:]).with_suffix(".d.ts") for path in sources}
    others = {Path("package.json"), Path("README.md"), Path("LICENSE")}
    assert names == {f"package/{path}" for path in sources | types | others}
    assert "All good" in await run(tool("publint"), str(package), "--strict", folder=CLIENT)
    # Plain ES modules: who asks with `require` needs Node.js 20.19 or later.
    await run(tool("attw"), str(package), "--profile", "esm-only", folder=CLIENT)

    project = tmp_path / "project"
    project.mkdir()
    (project / "package.json").write_text('{"private": true, "type": "module"}')
    await run("npm", "install", "--offline", "--no-audit", "--no-fund", str(package), folder=project)
    example = re.findall(r"```js\n(.*?)```", (CLIENT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]

    def people(_: dict[str, Any]) -> Iterable[Any]:
        return answer(json.dumps(PEOPLE), [20, 40, 60])

    async with Upstream(people) as upstream, running(Node(tmp_path, upstream.base_url)) as node:
        assert "http://127.0.0.1:8700" in example
        (project / "example.js").write_text(example.replace("http://127.0.0.1:8700", node.url), encoding="utf-8")
        assert await run("node", "example.js", folder=project) == SHOWN


async def test_types() -> None:
    """The sources' own, those that are handed out, what TypeScript makes of values of a schema, the playground's."""
    await run("npm", "run", "types", folder=CLIENT)
    for project in ("test/types", "test/pages"):
        await run(tool("tsc"), "-p", project, folder=CLIENT)


async def test_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "core.js"
    await run(tool("rolldown"), "src/index.js", "--minify", "--format", "esm", "-o", str(bundle), folder=CLIENT)
    size_bytes = len(gzip.compress(bundle.read_bytes(), 9))
    with capsys.disabled():
        print(f"\nTypeScript client: {size_bytes} B gzipped, of {MOST_BYTES} B")
    assert size_bytes <= MOST_BYTES


async def test_the_hook_for_react(tmp_path: Path) -> None:
    async with Upstream(play) as upstream, running(Node(tmp_path, upstream.base_url)) as node:
        said = await run_node("test/react.mjs", LOCKGATE_URL=node.url)
    assert "# pass 4\n" in said


async def test_beside_other_packages(tmp_path: Path) -> None:
    """zod and fast-json-patch."""
    async with Upstream(play) as upstream, running(Node(tmp_path, upstream.base_url)) as node:
        said = await run_node("test/packages.mjs", LOCKGATE_URL=node.url)
    assert "# pass 2\n" in said

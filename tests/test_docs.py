"""The pages made from code are what the code says; the pages written by hand run."""

from __future__ import annotations

import doctest
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema_rs
import pytest

import lockgate
from lockgate.gateway.contract import openapi
from lockgate.streams.options import read_push_options, read_request

ROOT = Path(__file__).parents[1]


def writer(name: str = "write_docs") -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(writer().PAGES))
def test_pages_are_what_the_code_says(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == writer().PAGES[name](), f"docs/{name} is out of date: run make docs"


@pytest.mark.parametrize("name", sorted(writer("write_earliness").PAGES))
def test_page_and_picture_are_of_the_last_results(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == writer("write_earliness").PAGES[name](), f"docs/{name} is out of date: run make docs"


@pytest.mark.parametrize(("name", "page"), [("repair-comparison", "comparison"), ("recovery-corpus", "corpus")])
def test_figures_of_recovery_are_of_this_code(shared_data: Path, name: str, page: str) -> None:
    written = (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")
    assert written == getattr(writer("write_recovery_docs"), page)(), "run scripts/write_recovery_docs.py"


#: Pages that people read, by their path in the repository.
WRITTEN = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")]
)
_LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")


def text_of(path: Path) -> str:
    """A page without its code, in which brackets mean something else."""
    return re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(path: Path) -> set[str]:
    """What headings are called in a link, by GitHub's rule, and what has a name of its own."""
    text = text_of(path)
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    named = set(re.findall(r'<a id="([^"]+)"></a>', text))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads} | named


@pytest.mark.parametrize("page", WRITTEN)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target, anchor in _LINK.findall(text_of(path)):
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{page} links to {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page} links to {target}#{anchor}"


def links_of(page: Path) -> set[Path]:
    return {(page.parent / target).resolve() for target, _ in _LINK.findall(text_of(page)) if target}


def test_the_index_leads_to_every_page() -> None:
    """Directly; the pages of the decisions by their own index."""
    reached = links_of(ROOT / "docs" / "index.md") | links_of(ROOT / "docs" / "decisions" / "index.md")
    pages = {path for path in (ROOT / "docs").rglob("*.md") if path != ROOT / "docs" / "index.md"}
    assert pages - reached == set()


@pytest.mark.parametrize("page", ["README.md", "docs/concepts/recovery.md"])
def test_python_snippets_run(page: str) -> None:
    """Every ```python block of the page that shows a session (>>>) gives what it shows."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    sessions = [block for block in blocks if ">>>" in block]
    assert sessions
    for block in sessions:
        test = doctest.DocTestParser().get_doctest(block, {}, page, page, 0)
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


def request_examples(page: str) -> list[tuple[str, dict[str, Any]]]:
    """The bodies of ``POST /v1/streams`` that a page shows, and the headers ``Lockgate-Options``, each with its shape.

    An ellipsis stands for any schema; a body that shows only its ``lockgate`` section leaves the rest to the reader.
    """
    found = []
    text = page.replace("…", "true")
    blocks = re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL)
    for block in blocks:
        is_options = "Lockgate-Options:" in block
        for start in re.finditer(r"(?:^|[\s'`])(?=\{)", block):
            try:
                value, _ = json.JSONDecoder().raw_decode(block, start.end())
            except ValueError:
                continue
            if is_options:
                found.append(("PushOptions", value))
            elif "lockgate" in value or "/v1/streams" in block:
                found.append(("CreateStream", {"model": "m", "messages": [{"role": "user", "content": "go"}], **value}))
    return found


@pytest.mark.parametrize(
    "name, count",
    [
        pytest.param("README.md", 1, id="readme"),
        pytest.param("docs/start.md", 1, id="start"),
        pytest.param("docs/howto/real-model.md", 1, id="real model"),
        pytest.param("docs/concepts/continuation.md", 1, id="continuation"),
        pytest.param("docs/reference/protocol.md", 2, id="protocol"),
    ],
)
def test_request_examples_are_what_the_api_takes(name: str, count: int) -> None:
    """Every request that the docs show validates against ``/openapi.json``, and the code takes it."""
    document = openapi()
    examples = request_examples((ROOT / name).read_text(encoding="utf-8"))
    assert len(examples) >= count
    for shape, value in examples:
        schema = {"$ref": f"#/components/schemas/{shape}", "components": document["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(value)
        if shape == "CreateStream":
            read_request(json.dumps(value).encode())
        else:
            read_push_options(json.dumps(value))


def test_no_page_with_request_examples_is_forgotten() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    with_examples = {str(path.relative_to(ROOT)) for path in pages if request_examples(path.read_text("utf-8"))}
    assert with_examples == {
        *("README.md", "docs/start.md", "docs/howto/real-model.md"),
        *("docs/concepts/continuation.md", "docs/reference/protocol.md"),
    }


def test_module_examples_run() -> None:
    assert doctest.testmod(lockgate).failed == 0
    assert doctest.testmod(lockgate).attempted > 0


def test_the_library_needs_nothing_of_the_server() -> None:
    """``import lockgate`` brings jsonschema-rs and msgspec, and no more than that."""
    code = "import sys, lockgate; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "jsonschema_rs" in loaded
    for name in ("pydantic", "aiohttp", "starlette", "granian", "typer", "rich", "asyncio"):
        assert f"'{name}'" not in loaded, name

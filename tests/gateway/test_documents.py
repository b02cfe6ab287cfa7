"""Large real documents, in deltas of 1 to 12 bytes, from upstream through SQLite to a reader: byte-identical."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import Corpus
from tests.gateway.nodes import DONE, Reader, UncheckedNode, Upstream, chunk, create, running, schema_format


def deltas(text: str, seed: str) -> Iterator[str]:
    """Pieces of 1 to 12 bytes, in whole characters as a JSON string has them."""
    rng = random.Random(seed)
    start = 0
    while start < len(text):
        end = start + rng.randint(1, 12)
        while len(text[start:end].encode()) > 12:
            end -= 1
        yield text[start:end]
        start = max(end, start + 1)


def played(text: str, seed: str) -> Iterator[bytes]:
    """Events, several to a write, as a fast provider sends them."""
    rng = random.Random(seed)
    batch = b""
    for delta in deltas(text, seed):
        batch += chunk(delta)
        if rng.random() < 0.1:
            yield batch
            batch = b""
    yield batch + chunk(finish="stop") + DONE


async def judge_documents(documents: list[Path], folder: Path) -> list[str]:
    """Each document through one gateway; a line for each, which says what came out."""
    texts = {path.stem: path.read_text("utf-8") for path in documents}
    metas = {path.stem: json.loads(path.with_suffix(".meta.json").read_text("utf-8")) for path in documents}
    lines = []
    limits = {"validation__max_document_bytes": 2**26}
    upstream_of = Upstream(lambda body: played(texts[body["model"]], body["model"]))
    async with upstream_of as upstream, running(UncheckedNode(folder, upstream.base_url, **limits)) as node:
        for name, meta in metas.items():
            request: dict[str, Any] = {"model": name}
            expected = "complete"
            if meta["schema"] is not None:
                schema = json.loads(
                    (documents[0].parent / "schemas" / f"{Path(meta['schema']).name}").read_text("utf-8")
                )
                request["response_format"] = schema_format(schema)
                expected = "complete" if meta["validates"] else "halted"
                request["lockgate"] = {"formats": meta["validates_with_formats_asserted"] is not False}
                if not meta["validates"]:
                    request["lockgate"] = {"formats": True}
            else:
                request["lockgate"] = {"schema": True}
            made = await create(node.url, **request)
            reader = await Reader(node.url + made["urls"]["stream"]).run()
            text, final = reader.text(), reader.final
            assert final["state"] == expected, (name, final, reader.errors)
            if expected == "complete":
                assert text == texts[name], name
            else:
                (error,) = reader.errors
                assert text.encode() == texts[name].encode()[: error["upstream_at"]], name
            lines.append(
                f"{name}: {len(text.encode())} bytes, {final['channels']['content']['chunks']} chunks, {expected}"
            )
    return lines


async def test_documents_of_about_100_kb(corpus: Corpus, tmp_path: Path) -> None:
    folder = corpus.folder / "corpus/documents"
    documents = [path for path in sorted(folder.glob("*.json")) if not path.name.endswith(".meta.json")]
    small = [path for path in documents if path.stat().st_size < 110_000]
    assert len(documents) == corpus.of(sample=4, whole=29)
    assert len(small) >= corpus.of(sample=4, whole=5)
    lines = await judge_documents(small, tmp_path)
    print("\n" + "\n".join(lines))

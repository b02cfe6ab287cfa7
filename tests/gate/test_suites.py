"""Other people's schemas and instances: right, and right before the authority is asked."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

import lockgate
from lockgate.gate.halt import HaltGate
from tests.conftest import Corpus
from tests.gate.runs import Run, cut, every_byte, feed

DRAFTS = {"draft4": 4, "draft6": 6, "draft7": 7, "draft2019-09": 2019, "draft2020-12": 2020}
#: In the older drafts format is an assertion, in the newer ones an annotation; the suite expects each draft's own.
ASSERTED = {4, 6, 7}


@pytest.fixture(scope="module")
def remotes(corpus: Corpus) -> dict[str, Any]:
    folder = corpus.folder / "suites/json-schema-test-suite/remotes"
    files = sorted(folder.rglob("*.json"))
    return {f"http://localhost:1234/{path.relative_to(folder)}": json.loads(path.read_text("utf-8")) for path in files}


def unaided(schema: lockgate.Schema) -> HaltGate:
    """A gate whose last authority is not asked: what it says, our checks said."""
    return HaltGate(schema._graph, None, schema.limits)


def check_truth(text: bytes, run: Run) -> None:
    """Released = the text up to the violation; nothing but truncation is said twice."""
    for violation in run.violations:
        assert violation.code not in ("truncated", "authority_disagreement"), violation
        assert text[: violation.upstream_at] == run.released


@pytest.mark.parametrize("draft", DRAFTS)
def test_json_schema_test_suite(corpus: Corpus, remotes: dict[str, Any], draft: str) -> None:
    """Every required, optional and format test: whole, byte by byte, at random cuts, with and without the authority."""
    number, judged = DRAFTS[draft], 0
    for file in sorted((corpus.folder / "suites/json-schema-test-suite/tests" / draft).rglob("*.json")):
        formats = number in ASSERTED or file.parent.name == "format" or file.name == "format-assertion.json"
        for group in json.loads(file.read_text("utf-8")):
            registry = remotes if "localhost:1234" in json.dumps(group["schema"]) else None
            schema = lockgate.compile(group["schema"], draft=number, formats=formats, registry=registry)
            for case in group["tests"]:
                text = json.dumps(case["data"]).encode()
                where = (file.name, group["description"], case["description"])
                whole = feed(unaided(schema), [text])
                assert (whole.state == "complete") == case["valid"], where
                check_truth(text, whole)
                rng = random.Random(str(where))
                assert feed(schema.gate(), [text]) == whole, where
                assert feed(unaided(schema), every_byte(text)) == whole, where
                assert feed(unaided(schema), cut(text, [rng.randrange(len(text) + 1) for _ in range(4)])) == whole, (
                    where
                )
                judged += 1
    wholes = {4: 937, 6: 1270, 7: 1721, 2019: 2174, 2020: 2225}
    assert judged == corpus.of(sample=judged, whole=wholes[number]) > 50


def respelled(value: Any, rng: random.Random, *, numbers: bool) -> str:
    """The same value in another spelling: members reordered, escapes, white space, exponents."""
    space = rng.choice(["", "", " ", "\n  "])
    if isinstance(value, dict):
        members = list(value.items())
        rng.shuffle(members)
        inner = f",{space}".join(
            f"{spelled(name, rng)}:{space}{respelled(one, rng, numbers=numbers)}" for name, one in members
        )
        return f"{{{space}{inner}{space}}}"
    if isinstance(value, list):
        return f"[{space}{f',{space}'.join(respelled(one, rng, numbers=numbers) for one in value)}{space}]"
    if isinstance(value, str):
        return spelled(value, rng)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return respelled_number(value, rng) if numbers else json.dumps(value)


def spelled(text: str, rng: random.Random) -> str:
    units = text.encode("utf-16-be")
    escaped = "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
    return rng.choice([json.dumps(text), json.dumps(text, ensure_ascii=False), f'"{escaped}"'])


def respelled_number(value: float, rng: random.Random) -> str:
    text = json.dumps(value)
    if not text.lstrip("-").isdigit() or len(text) > 15 or value == 0:
        return text
    return rng.choice([text, f"{text}.0", f"{text}e0", f"{text}0E-1", f"{text}.00e+00"])


def benchmark_cases(corpus: Corpus) -> Iterator[tuple[str, lockgate.Schema, dict[str, Any]]]:
    compiled = 0
    for line in (corpus.folder / "suites/jsonschemabench/cases.jsonl").read_text("utf-8").splitlines():
        case = json.loads(line)
        schema = lockgate.compile(case["schema"])
        compiled += 1
        for number, test in enumerate(case["tests"]):
            yield f"{case['id']} {number}", schema, test
    assert compiled == corpus.of(sample=13, whole=468)


def test_schemas_from_the_wild(corpus: Corpus) -> None:
    """Every schema compiles, every verdict is right before the authority is asked; no cut changes anything."""
    verdicts = 0
    for name, schema, test in benchmark_cases(corpus):
        text = json.dumps(test["data"], ensure_ascii=False).encode()
        whole = feed(unaided(schema), [text])
        assert (whole.state == "complete") == test["valid"], name
        check_truth(text, whole)
        assert feed(schema.gate(), [text]) == whole, name
        rng = random.Random(name)
        assert feed(unaided(schema), cut(text, [rng.randrange(len(text) + 1) for _ in range(8)])) == whole, name
        verdicts += 1
    assert verdicts == corpus.of(sample=63, whole=2041)


def test_no_spelling_raises_a_false_alarm(corpus: Corpus) -> None:
    """Every valid instance in other spellings: order of members, escapes, numbers, white space."""
    spellings, checked = corpus.of(sample=3, whole=1), 0
    for name, schema, test in benchmark_cases(corpus):
        if not test["valid"]:
            continue
        for seed in range(spellings):
            # In draft 4 the spelling of an integer matters: 1.0 is none.
            text = respelled(test["data"], random.Random(f"{name} {seed}"), numbers=schema.draft != 4)
            run = feed(schema.gate(), [text.encode()])
            assert run.state == "complete", (name, text[:200], run)
            checked += 1
    assert checked == spellings * corpus.of(sample=29, whole=682)

"""RFC 8259 by other people's cases: nst JSONTestSuite ("Parsing JSON is a minefield")."""

from __future__ import annotations

import base64
import json
import random

import lockgate
from tests.conftest import Corpus
from tests.gate.runs import cut, every_byte, feed

ANYTHING = lockgate.compile(True)
DUPLICATES_ALLOWED = lockgate.compile(True, limits=lockgate.Limits(duplicate_members=True))
#: The only ones that need a limit loosened: RFC 8259 section 4 lets a parser refuse duplicate names.
DUPLICATES = {
    "y_object_duplicated_key.json",
    "y_object_duplicated_key_and_value.json",
    "y_own_duplicate_member.json",
}


def test_every_case(corpus: Corpus) -> None:
    """All y accepted, all n refused, the verdict on i is somebody's choice but never a crash; cuts change nothing."""
    lines = (corpus.folder / "suites/nst-json-test-suite/parsing.jsonl").read_text("utf-8").splitlines()
    seen = {"accept": 0, "reject": 0, "either": 0}
    for case in map(json.loads, lines):
        text, name, expect = base64.b64decode(case["b64"]), case["name"], case["expect"]
        schema = DUPLICATES_ALLOWED if name in DUPLICATES else ANYTHING
        whole = feed(schema.gate(), [text])
        rng = random.Random(name)
        assert feed(schema.gate(), every_byte(text)) == whole, name
        assert feed(schema.gate(), cut(text, [rng.randrange(len(text) + 1) for _ in range(5)])) == whole, name
        assert expect == "either" or (whole.state == "complete") == (expect == "accept"), (name, whole)
        if name in DUPLICATES:
            assert feed(ANYTHING.gate(), [text]).violations[0].code == "duplicate_member"
        for violation in whole.violations:
            assert violation.code == "truncated" or text[: violation.upstream_at] == whole.released, name
        seen[expect] += 1
    whole_suite = {"accept": 95, "reject": 188, "either": 35}
    assert seen == corpus.of(sample={"accept": 14, "reject": 36, "either": 3}, whole=whole_suite)

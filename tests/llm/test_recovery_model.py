"""What recovery and retries are worth on a real model that nothing constrains: share of complete answers, printed.

For each seed the model writes one answer, and two gates judge these same bytes: ``raw`` halts at a violation, ``patch``
goes on. The third run, ``patch + retry``, is a stream of a real gateway with the same seed: recovery ``patch``, and up
to three more attempts on any occasion. The schema is known to the gates alone; only the rung ``residual`` tells the
model one, of what is missing.

One slot and no cached prompt: so llama.cpp writes the same for the same seed, and the first attempt of the third run is
the answer that was judged before. How often it was is printed, not demanded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema_rs
import pytest

import lockgate
from lockgate import Patched, Released, Violated
from lockgate.gate.events import Recovery
from lockgate.pages.prompts import PROMPTS, Prompt
from lockgate.protocol.finish import fold_finish
from lockgate.protocol.lifecycle import Ended, may_be_clean, outcome
from tests.gateway.nodes import Node, Reader, create, running
from tests.llm.llama import Llama, llama
from tests.llm.test_real_model import MAX_TOKENS, SETTINGS

pytestmark = pytest.mark.llm

SEEDS = range(1, 51)
RETRY = {"maxAttempts": 3, "on": ["failure", "stall", "length", "violation"]}


@dataclass(frozen=True)
class Answer:
    """What the model wrote for a seed."""

    prompt: Prompt
    seed: int
    text: str
    finish: str


@dataclass(frozen=True)
class Run:
    """What became of an answer in one of the three ways.

    Attributes:
        why: Of one that is not complete: in short, what ended it.
        rules: Patch rules, once for each patch.
        attempts: As the final record lists them; empty if one was enough.
    """

    text: str
    state: str
    why: str
    rules: tuple[str, ...] = ()
    attempts: tuple[dict[str, Any], ...] = ()

    @property
    def is_complete(self) -> bool:
        return self.state == "complete"

    @property
    def step(self) -> str:
        return str(self.attempts[-1]["step"]) if self.attempts else "first"


@dataclass(frozen=True)
class Row:
    """The three runs of one seed."""

    answer: Answer
    raw: Run
    patch: Run
    retry: Run

    @property
    def begins_alike(self) -> bool:
        """Whether the first attempt of the third run released what the second released before it was closed."""
        seam = int(self.retry.attempts[1]["at"]) if self.retry.attempts else None
        return self.patch.text.encode().startswith(self.retry.text.encode()[:seam])


# -- the three runs ----------------------------------------------------------------------------------------------------


def body_of(prompt: Prompt, seed: int) -> dict[str, Any]:
    asked = {"model": "smollm2-135m", "messages": prompt.messages, "seed": seed, "cache_prompt": False}
    return asked | {"temperature": 0.5, "max_tokens": MAX_TOKENS}


async def answered(session: aiohttp.ClientSession, model: Llama, prompt: Prompt, seed: int) -> Answer:
    async with session.post(f"{model.base_url}/chat/completions", json=body_of(prompt, seed)) as response:
        assert response.status == 200, await response.text()
        choice = (await response.json())["choices"][0]
        return Answer(prompt, seed, choice["message"]["content"], choice["finish_reason"])


def judged(answer: Answer, recovery: Recovery) -> Run:
    """The answer through a gate alone, with the outcome that a stream of the gateway has."""
    facts: dict[str, Any] = {"has_error": False, "has_refusal": False, "ended": Ended.CLEAN}
    finish = fold_finish(answer.finish)
    gate = lockgate.compile(answer.prompt.schema).gate(recovery)
    events = [*gate.feed(answer.text.encode()), *gate.close(clean=may_be_clean(finish, **facts))]
    text = b"".join(event.data for event in events if isinstance(event, Released)).decode()
    state = str(outcome(gate.state, finish, **facts))
    rules = tuple(event.rule for event in events if isinstance(event, Patched))
    ends = (event for event in events if isinstance(event, Violated) and event.action in ("halt", "none"))
    why = next((why_of(event.code, event.schema_path) for event in ends), "")
    return Run(text, state, "length" if state == "incomplete" and answer.finish == "length" else why, rules)


async def streamed(gateway: Node, prompt: Prompt, seed: int) -> Run:
    options = {"schema": prompt.schema, "recovery": "patch", "retry": RETRY}
    made = await create(gateway.url, **body_of(prompt, seed), lockgate=options)
    reader = await Reader(f"{gateway.url}{made['urls']['stream']}").run(deadline_s=300)
    rules = tuple(error["rule"] for error in reader.errors if error.get("rule"))
    halts = [error for error in reader.errors if error["action"] == "halt"]
    why = why_of(halts[-1]["code"], halts[-1].get("schema_path") or "") if halts else reader.final["reason"]
    attempts = tuple(reader.final.get("attempts", ()))
    return Run(reader.text(), reader.final["state"], why, rules, attempts)


def why_of(code: str, schema_path: str) -> str:
    return f"{code} ({schema_path.rpartition('/')[2]})" if schema_path else code


# -- what must hold ----------------------------------------------------------------------------------------------------


def check(row: Row) -> None:
    answer, validator = row.answer, jsonschema_rs.validator_for(row.answer.prompt.schema)
    for run in (row.raw, row.patch, row.retry):
        gate = lockgate.compile(answer.prompt.schema).gate()
        assert not [event for event in gate.feed(run.text.encode()) if isinstance(event, Violated)], "a live prefix"
        assert run.state in ("complete", "halted", "incomplete", "failed")
        if run.is_complete:
            assert validator.is_valid(json.loads(run.text))
    assert answer.text.startswith(row.raw.text), "nothing is changed without recovery"
    if row.raw.is_complete:
        assert row.raw.text == answer.text
        assert (row.patch.is_complete, row.patch.text) == (True, answer.text), "a clean text comes out byte for byte"


# -- what is printed ---------------------------------------------------------------------------------------------------


def complete(rows: list[Row]) -> tuple[int, int, int]:
    """How many are: raw, patch, patch + retry."""
    runs = [(row.raw, row.patch, row.retry) for row in rows]
    raw, patch, retry = (sum(one[way].is_complete for one in runs) for way in range(3))
    return raw, patch, retry


def shares(rows: list[Row]) -> None:
    print(f"\n{'complete':26} {'raw':>4} {'patch':>6} {'patch + retry':>14} {'of':>4}")
    for title in [*(prompt.title for prompt in PROMPTS), "all"]:
        group = [row for row in rows if title in ("all", row.answer.prompt.title)]
        raw, patch, retry = complete(group)
        print(f"{title:26} {raw:4} {patch:6} {retry:14} {len(group):4}")


def details(rows: list[Row]) -> None:
    mended = [row.patch for row in rows if row.patch.is_complete]
    further = [one for row in rows for one in row.retry.attempts[1:]]
    told("patch rules", (rule for row in rows for rule in row.patch.rules))
    told("patch rules, of those that are complete", (rule for run in mended for rule in run.rules))
    told("raw, not complete", (row.raw.why for row in rows if not row.raw.is_complete))
    told("patch, not complete", (row.patch.why for row in rows if not row.patch.is_complete))
    told("patch + retry, not complete", (row.retry.why for row in rows if not row.retry.is_complete))
    told("patch + retry, completed by", (row.retry.step for row in rows if row.retry.is_complete))
    told("further attempts", (f"{one['step']}: {one['result']}" for one in further))
    print(f"first attempt alike: {sum(row.begins_alike for row in rows)} of {len(rows)}")


def to_read(rows: list[Row]) -> None:
    """Each answer that only patches completed, before and after: would a person sign it?"""
    for row in rows:
        if row.patch.is_complete and not row.raw.is_complete:
            print(f"\nseed {row.answer.seed}, {row.answer.prompt.title}: {', '.join(row.patch.rules)}")
            print(f"  said:    {row.answer.text!r}\n  patched: {row.patch.text!r}")


def told(what: str, found: Iterable[str]) -> None:
    print(f"{what}: {', '.join(f'{name} {count}' for name, count in Counter(found).most_common()) or 'none'}")


@pytest.mark.timeout(3600)
@pytest.mark.blocks_loop("each answer is judged at once, with nobody else to serve")
async def test_share_of_complete_answers(tmp_path: Path) -> None:
    """50 seeds, three ways: the promises hold, and neither patches nor retries make it worse."""

    async def one(session: aiohttp.ClientSession, model: Llama, gateway: Node, seed: int) -> Row:
        prompt = PROMPTS[seed % len(PROMPTS)]
        answer = await answered(session, model, prompt, seed)
        row = Row(answer, judged(answer, "halt"), judged(answer, "patch"), await streamed(gateway, prompt, seed))
        print(f"seed {seed:2}: raw {row.raw.state}, patch {row.patch.state}, retry {row.retry.state}", flush=True)
        return row

    async with (
        llama(tmp_path, slots=1) as model,
        running(Node(tmp_path, model.base_url, **SETTINGS)) as gateway,
        aiohttp.ClientSession() as session,
    ):
        rows = [await one(session, model, gateway, seed) for seed in SEEDS]
    shares(rows)
    details(rows)
    to_read(rows)
    for row in rows:
        check(row)
    raw, patch, retry = complete(rows)
    assert raw <= patch
    assert raw <= retry

"""Broken texts by seed, gates with options by seed, and what holds for every one of them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jsonschema_rs

import lockgate
from lockgate import Event, Misuse, Patched, Released, Schema, Skipped
from lockgate.gate.recovery.recovering import RecoveringGate
from tests.gate.recovery.faults import Wild

BITS = [
    '"', "'", "{", "}", "[", "]", ",", ":", "\\", "\\u12", "\\ud800", "None", "True", "nul", "```", "//x\n", "/*", "*/",
    "#", "\n", "\t", "\x01", "“", "”", "é", "😀", "1", "-", ".5", "e", "a", '"a":1', "text ", "...", "+", "(", ")",
    '{"a":1}', "[1,2]", " ",
]  # fmt: skip


class Run(NamedTuple):
    released: bytes
    events: tuple[Event, ...]  # without Released
    state: str


class Trial(NamedTuple):
    schema: Any
    text: bytes
    options: dict[str, Any]


def trials(pool: list[Wild], count: int, seed: int) -> Iterator[Trial]:
    rng = random.Random(seed)
    for _ in range(count):
        one = rng.choice(pool)
        schema: Any = one.schema if rng.random() < 0.7 else True
        base = json.dumps(one.value, ensure_ascii=False)[:3000]
        if rng.random() < 0.3:
            schema = {"type": "array", "items": one.schema}
            base = f"[{', '.join([base] * rng.randint(1, 4))}]"
        text = _broken(base, rng) if rng.random() < 0.8 else "".join(rng.choices(BITS, k=rng.randint(0, 40)))
        yield Trial(schema, text.encode("utf-8", "replace"), _options(rng))


def _broken(text: str, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice([0, 0, 1, 1, 3, 10]))
        text = text[:start] + "".join(rng.choices(BITS, k=rng.choice([0, 1, 1, 2, 5]))) + text[end:]
    return text


def options_of(schema: Schema, rng: random.Random) -> dict[str, Any]:
    """Options that this schema can be judged with."""
    return _options_for(schema, _options(rng))


def _options(rng: random.Random) -> dict[str, Any]:
    elements = rng.choice([None, None, "", "/items"])
    options: dict[str, Any] = {
        "recovery": rng.choice(["patch", "patch", "skip"]),
        "elements": elements,
        "release": "element"
        if elements is not None and rng.random() < 0.4
        else rng.choice(["prefix"] * 3 + ["document"]),
        "max_held_bytes": rng.choice([65536, 65536, 200, 20]),
    }
    if options["recovery"] == "patch":
        options["max_patches"] = rng.choice([10_000, 3])
        options["accept_truncated"] = rng.random() < 0.3
        options["lossy"] = ("clamp", "round", "cut", "amount", "empty_object") if rng.random() < 0.2 else ()
    return options


def _options_for(schema: Schema, options: dict[str, Any]) -> dict[str, Any]:
    """Without elements where only the whole document can be judged."""
    if options["elements"] is None:
        return options
    try:
        schema.gate(elements=options["elements"])
    except Misuse:
        return {**options, "elements": None, "release": "document"}
    return options


def run(schema: Schema, pieces: Iterable[bytes], options: dict[str, Any]) -> Run:
    """Feed and close, and check on the way what holds for every gate."""
    gate = schema.gate(**options)
    released = bytearray()
    events: list[Event] = []
    for piece in [*pieces, None]:
        for event in gate.feed(piece) if piece is not None else gate.close():
            if isinstance(event, Released):
                assert event.data, "nothing is released as nothing"
                assert event.at == len(released), "what is released follows what was released"
                event.data.decode()
                released += event.data
            else:
                events.append(event)
        if gate.state == "open" and options["release"] == "prefix":
            strategies = 1 + options.get("skip", False)
            assert gate.held_bytes <= strategies * max(options["max_held_bytes"], 128) + 12
    return Run(bytes(released), tuple(events), gate.state)


def check(trial: Trial, rng: random.Random) -> Run:
    """What holds for any text and any cuts."""
    schema = lockgate.compile(trial.schema)
    return check_with(schema, trial._replace(options=_options_for(schema, trial.options)), rng)


def check_with(schema: Schema, trial: Trial, rng: random.Random) -> Run:
    """The same with a schema that was compiled with limits."""
    text = trial.text
    whole = run(schema, [text], trial.options)
    cuts = sorted(rng.randrange(len(text) + 1) for _ in range(5))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert run(schema, pieces, trial.options) == whole, "the cuts changed something"
    assert run(schema, (text[at : at + 1] for at in range(len(text))), trial.options) == whole, (
        "the cuts changed something"
    )
    if "framing" in trial.options:
        return whole
    if trial.options["recovery"] == "patch" and not trial.options.get("skip"):
        check_changes(text, whole)
    elif text.isascii():
        check_skips(text, whole)
    gate = schema.gate(elements=trial.options["elements"])
    gate.feed(whole.released)
    assert gate.state == "open", "what was released can no longer become valid"
    if whole.state == "complete":
        validator = jsonschema_rs.validator_for(trial.schema, offline=True, validate_formats=True)
        assert validator.is_valid(json.loads(whole.released))
    _check_decided(schema, trial, whole)
    return whole


def _check_decided(schema: Schema, trial: Trial, whole: Run) -> None:
    """To decide before the text is closed changes nothing."""
    gate = schema.gate(**trial.options)
    assert isinstance(gate, RecoveringGate)
    events = [*gate.feed(trial.text), *gate.decide(), *gate.close()]
    released = b"".join(event.data for event in events if isinstance(event, Released))
    assert (gate.state, released) == (whole.state, whole.released)


def check_skips(text: bytes, found: Run) -> None:
    """The same where values were left out, too: each with a comma beside it, and no change is told of inside it."""
    skips: list[Skipped] = []
    for skip in (event for event in found.events if isinstance(event, Skipped)):
        assert 0 <= skip.upstream_at < skip.upstream_end <= len(text)
        skips = [one for one in skips if one.upstream_at < skip.upstream_at or one.upstream_end > skip.upstream_end]
        skips.append(skip)
    patches = [event for event in found.events if isinstance(event, Patched)]
    for patch in patches:
        end = patch.upstream_at + len(patch.removed)
        assert text[patch.upstream_at : end] == patch.removed, f"removed is what upstream sent: {patch}"
        for skip in skips:
            is_apart = end <= skip.upstream_at or patch.upstream_at >= skip.upstream_end
            assert is_apart, f"a change inside what was left out: {patch} {skip}"
    if found.state != "complete":
        return
    edits = [(patch.upstream_at, 0, patch.upstream_at + len(patch.removed), patch.inserted) for patch in patches]
    edits += [(skip.upstream_at, 1, skip.upstream_end, b"\x00") for skip in skips]
    rebuilt, at = bytearray(), 0
    for start, _, end, inserted in sorted(edits, key=lambda one: one[:2]):
        rebuilt += text[at:start] + inserted
        at = end
    whole = bytes(rebuilt + text[at:])
    while b"\x00" in whole:  # with the comma before it, or the one behind the first
        whole = re.sub(rb",[ \t\n\r]*\x00|(?<=[\[{])([ \t\n\r]*)\x00(?:[ \t\n\r]*,)?|\x00", rb"\1", whole, count=1)
    assert json.loads(whole) == json.loads(found.released)


def check_changes(text: bytes, found: Run) -> None:
    """The changes, taken in order, turn what upstream sent into what was released."""
    rebuilt, at = bytearray(), 0
    for event in found.events:
        if isinstance(event, Patched):
            assert event.upstream_at >= at, f"behind the change before: {event}"
            rebuilt += text[at : event.upstream_at]
            assert event.at == len(rebuilt), f"at is the byte of the released text: {event}"
            at = event.upstream_at + len(event.removed)
            assert text[event.upstream_at : at] == event.removed, f"removed is what upstream sent: {event}"
            rebuilt += event.inserted
    whole = bytes(rebuilt + text[at:])
    assert whole == found.released if found.state == "complete" else whole.startswith(found.released)

"""Writes the pages that are measured on the data of other people (LOCKGATE_TEST_DATA): what recovery makes of it.

``docs/reference/repair-comparison.md``: the cases of eleven repair libraries, by library and class.
``docs/reference/recovery-corpus.md``: recorded streams in trouble, by mode.
"""

from __future__ import annotations

import json
import os
import random
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.gate.recovery import foreign, recorded  # noqa: E402

import lockgate  # noqa: E402  (the tests are no package of the environment)
from lockgate import Patched, Released, Skipped, Violated  # noqa: E402
from lockgate.gate.events import Recovery  # noqa: E402

DATA = Path(os.environ.get("LOCKGATE_TEST_DATA", ROOT.parent / "shared"))
MODES: tuple[Recovery, ...] = ("halt", "skip", "patch")

_HEAD = """# Repair, compared

The test suites of eleven repair and partial-JSON libraries, {cases} cases, run through recovery `patch`. Made by
`scripts/write_recovery_docs.py`. There is no one right repair: of the inputs without a schema that several of these
libraries test, more than a third have different expectations. So a difference is not always a fault; the reasons are
below.

In every case, with and without a schema, only documents that the authoritative validator accepts were `complete`. All
others were `incomplete` or `halted`, or their schema was refused.

## The shares that matter

A stream cannot take back what it has released. So two shares must be reached. They count the cases that their suite
*asserts* (it compares with exactly this value) and that are *valid* or *append-only* (the expected text begins with the
input). Equal means equal as JSON values. A member that is null where it may be missing is no difference.

| cases that expect a value | equal | cases | share | must be |
|---|---|---|---|---|
{shares}

The first two rows count the same kind of cases, without a schema and with one. The third row counts every case that has
a schema and an expected value, even if text must be taken back for it.

{kept} more cases of this kind expect no value. They are in no share above; the last table has separate rows for them:
{kept_rows}.

## Why values differ

One example of each class. All of them run again when this page is made.

| class | input | the library wants | we have |
|---|---|---|---|
{misses}

{reasons}

## By library and class

Every case is in exactly one row; the rows sum up to {cases}. *Input*: `valid`, `truncated` (the beginning of a JSON
text), `malformed`, `empty`. *Basis*: `asserted`, or `observed` (the value came out while the library's test passed, but
the test asks for less). *Agreed* depends on what the library wants:

- `value`: our value is equal;
- `refusal` (the library must raise an error): our state is not `complete`. We give partial values in any case, so a
  truncated text agrees by its state and not by its text. Where we do not agree, we repair what a strict mode refuses:
  text behind the document, a name that comes twice, a number with a leading zero;
- `success` (the library must not raise, whatever the value): our state is `complete`. Where we do not agree, BAML makes
  an object of a number, choosing between two types that only its constraints tell apart;
- `no JSON` (the library answers with an empty string, or a text that is no JSON): our state is not `complete`.

With a *refused* schema there is nothing to run: the schema is not valid, for the library and for us.

| library | input | schema | basis | wants | agreed | cases | complete | incomplete | halted |
|---|---|---|---|---|---|---|---|---|---|
{rows}
"""


class Miss(NamedTuple):
    """A class of differences; of the cases named, the first that still differs is the example."""

    name: str
    reason: str
    ids: tuple[str, ...]


_MISSES = (
    Miss(
        "taken back",
        "the library finds out later where a string should have ended, and goes back. We have released those bytes;"
        " what follows is the rest of the string, or the end.",
        ("86c9826b2a50", "ef358563038f", "63be8ed3ed1b"),
    ),
    Miss(
        "made up",
        'the library writes `""`, `0`, `[]` or the first enum value where there is nothing. We insert only what the'
        " schema names (a default, a const, an enum of one), and null where it is allowed; otherwise we stop.",
        ("696e54a7aaa4", "de56762831e9"),
    ),
    Miss(
        "empty string",
        'without a schema a missing value is `""` to the library and null to us.',
        ("82dbdbf3e550", "32cf3356e007"),
    ),
    Miss(
        "alias",
        "the type has other names for an enum value or a member, which a JSON Schema cannot say. We know the spelling"
        " of the schema, up to case, spaces, accents and punctuation.",
        ("74509f145f08", "131526d0d7ac"),
    ),
    Miss(
        "one of several",
        "the schema wants one value, the text has more. We unwrap an array of one.",
        ("b6158a34fc24",),
    ),
    Miss(
        "several documents",
        "the library makes an array of values that follow one another. For us the first one is the document, and it is"
        " complete where it ends; the rest is cut.",
        ("c5ad07fd1486", "ac5b446731fd"),
    ),
    Miss(
        "unfinished number",
        "the library leaves out a last number because it might have gone on. We keep what was said, and the state is"
        " `incomplete`.",
        ("d4dd47341fbd", "905f56cf1bad"),
    ),
    Miss(
        "unfinished literal or string",
        "the library leaves out a last value that is not whole. We end a literal that can be only one, and keep the"
        " beginning of a string.",
        ("de2c5261d031", "42fe20683e18"),
    ),
    Miss(
        "nothing yet",
        "the library guesses a value of which too little has come.",
        ("6b0dd0ed3bd7", "e1ccbd0922fc"),
    ),
    Miss(
        "filled up",
        "the library gives a partial value every member of its type, with null or `[]` for those that have not come. We"
        " add none.",
        ("a81634dfd19b", "5620fd65d6f8"),
    ),
    Miss(
        "element left out",
        "the library drops the element that does not fit. That is recovery `skip`; `patch` drops no data.",
        ("2f9e4997bb12", "6c7fb4381b03"),
    ),
    Miss(
        "built anew",
        "the library puts the values of an array into the members of an object by their order.",
        ("f566fa62d088",),
    ),
    Miss(
        "valid, and changed",
        "the library changes text that is valid. A valid document comes out byte for byte here.",
        ("5a489a5e0d8d", "5e7d2c50ea92"),
    ),
    Miss(
        "words between members",
        "text that is neither member nor comment. We cannot tell it from a name without quotes until too late.",
        ("e3d41335b57b",),
    ),
    Miss(
        "number or string",
        "digits behind a leading zero are a string to the library. We write the number.",
        ("6f38f3092fe7",),
    ),
    Miss(
        "text alone",
        "a text without any JSON in it is nothing to the library. Where a string, or this literal, is allowed, we take"
        " it as one.",
        ("8061a8f494a1", "e9df28c8cb0b"),
    ),
)


def _miss(miss: Miss, cases: dict[str, foreign.Case]) -> str | None:
    """A row with the first of its cases that still differs; None if none does."""
    for case in (cases[key] for key in miss.ids):
        result = foreign.repaired(case)
        if not foreign.agrees(case, result):
            ours = result.text.decode()
            return (
                f"| {miss.name} | {_code(case.text.decode())} | {_code(json.dumps(case.wanted, ensure_ascii=False))} "
                f"({case.library}) | {f'{_code(ours)}, ' if ours else ''}{result.state} |"
            )
    return None


def _code(text: str, limit: int = 70) -> str:
    """One cell's worth of a text."""
    short = text if len(text) <= limit else text[:limit] + "…"
    short = " ".join(short.split()).replace("|", "\\|")
    return f"`` {short} ``" if "`" in short else f"`{short}`"


def comparison() -> str:
    cases = list(foreign.cases(DATA / "suites" / "json-repair"))
    found = foreign.tally(cases)
    assert not found.dishonest, found.dishonest
    lines = sum(
        len(path.read_text(encoding="utf-8").splitlines()) for path in (DATA / "suites" / "json-repair").glob("*.jsonl")
    )
    assert found.cases.total() == len(cases) == lines, "every case of the files is in exactly one row"
    shares = []
    for group, least in foreign.SHARES.items():
        equal, of = found.shares[group]
        shares.append(f"| {group} | {equal} | {of} | {equal / of:.1%} | {f'{least:.0%}' if least else '–'} |")
    by_id = {case.id: case for case in cases}
    misses = {miss: row for miss in _MISSES if (row := _miss(miss, by_id))}
    return _HEAD.format(
        cases=f"{lines:,}",
        shares="\n".join(shares),
        kept=sum(of for _, of in found.kept.values()),
        kept_rows=", ".join(f"`{wants}` {agreed} of {of} agreed" for wants, (agreed, of) in sorted(found.kept.items())),
        misses="\n".join(misses.values()),
        reasons="\n".join(_wrapped(f"- **{miss.name}**: {miss.reason}") for miss in misses),
        rows="\n".join(
            f"| {' | '.join(row)} | {found.agreed[row]} | {found.cases[row]} | "
            + " | ".join(str(found.states[row, state] or "–") for state in ("complete", "incomplete", "halted"))
            + " |"
            for row in sorted(found.cases)
        ),
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 119, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


_CORPUS = """# Recorded streams in trouble, by mode

This page shows what each mode does with answers of real models that are not what was asked for.
`scripts/write_recovery_docs.py` made it from {streams} recorded streams, whose deltas it joined. They have four wire
formats: {formats}.
It leaves out {left_out} whose parts do not add up to one answer:
{left_out_names};
and {dialect} whose schema is in a dialect of Gemini's own.

It judges the arguments of the first tool call, or else the content. {asked} streams had to follow a schema;
{satisfied} satisfy it, and {broken} do not. Of the {free} others, {free_json} are JSON, {free_prose} are prose and
{free_nothing} are empty. With text around JSON, a document twice, or the beginning of one: {free_trouble} (judged by
`{{"type": "object"}}`, because no schema is known).

## As recorded

*First violation*: its code, and its byte in the upstream text. *halt*, *skip*, *patch*: how it ended, and how many
bytes were released; – means none. An empty text is `incomplete` in every mode. Streams are named by model and hash.

| stream | bytes | first violation | halt | skip | patch | rules used |
|---|---|---|---|---|---|---|
{recorded}

## Made of what was recorded

Truncated texts and text around JSON are rare in the corpus. So the {whole} texts that satisfy their schema ({distinct}
different ones) get the same kinds of trouble: cut near a quarter, a half and nine tenths of their bytes (within five
points, by seed); put in a fence; put behind or before prose; written twice.

*halt*, *skip*, *patch*: how many ended `complete` / `incomplete` / `halted`. *Parse*: how many texts released by
`patch` are JSON. *Equal*: how many of these have the value of the text without the trouble. *Parse, no schema*: the
same cut texts with schema `true`.

| trouble | texts | halt | skip | patch | parse | equal | parse, no schema |
|---|---|---|---|---|---|---|---|
{made}

A cut text is never `complete`. `patch` closes what is open, and the text then parses, if the schema allows it to end
there. Where a required member has not come, only text that can still become valid is released, and that does not parse.
Without a schema every cut text parses.
"""


class Outcome(NamedTuple):
    state: str
    text: bytes
    first: Violated | None
    rules: tuple[str, ...]
    left_out: int

    @property
    def value(self) -> Any:
        try:
            return json.loads(self.text)
        except ValueError:
            return foreign.NOT_A_VALUE


def outcome(schema: lockgate.Schema, text: bytes, mode: Recovery) -> Outcome:
    gate = schema.gate(mode)
    events = [*gate.feed(text), *gate.close()]
    return Outcome(
        gate.state,
        b"".join(event.data for event in events if isinstance(event, Released)),
        next((event for event in events if isinstance(event, Violated)), None),
        tuple(dict.fromkeys(event.rule for event in events if isinstance(event, Patched))),
        sum(isinstance(event, Skipped) for event in events),
    )


def corpus() -> str:
    streams = list(recorded.streams(DATA / "corpus"))
    odd = [stream for stream in streams if not stream.is_whole]
    dialect = [stream for stream in streams if stream.schema is None and stream.sidecar["schema"] is not None]
    taken = [stream for stream in streams if stream not in odd and stream not in dialect]
    asked = [stream for stream in taken if stream.schema is not None]
    satisfied = [stream for stream in asked if not stream.trouble]
    free = [stream for stream in taken if stream.schema is None]
    found = Counter(recorded.trouble(stream.text) for stream in free)
    formats = Counter(stream.wire_format for stream in streams)
    return _CORPUS.format(
        streams=len(streams),
        formats=", ".join(f"{name} {count}" for name, count in formats.most_common()),
        left_out=len(odd),
        left_out_names=", ".join(stream.name for stream in odd),
        dialect=len(dialect),
        asked=len(asked),
        satisfied=len(satisfied),
        broken=len(asked) - len(satisfied),
        free=len(free),
        free_json=found[recorded.INVALID],
        free_prose=found[recorded.PROSE],
        free_nothing=found[recorded.NOTHING],
        free_trouble=sum(bool(stream.trouble) for stream in free) or "none",
        recorded="\n".join(_recorded(taken)),
        whole=len(satisfied),
        distinct=len({stream.text for stream in satisfied}),
        made="\n".join(_made(satisfied)),
    )


def _recorded(streams: list[recorded.Stream]) -> Iterator[str]:
    """A row for each stream in trouble, by its kind."""
    for kind in (recorded.NOTHING, recorded.PROSE, recorded.AROUND, recorded.DOUBLED, recorded.CUT, recorded.INVALID):
        of_kind = [stream for stream in streams if stream.trouble == kind]
        yield f"| **{kind}**: {len(of_kind) or 'none'} | | | | | | |"
        for stream in of_kind:
            text = stream.text.encode()
            schema = lockgate.compile({"type": "object"} if stream.schema is None else stream.schema)
            ends = [outcome(schema, text, mode) for mode in MODES]
            first = ends[0].first
            said = [
                f"{end.state} {len(end.text) or '–'}" + (f", {end.left_out} out" * bool(end.left_out)) for end in ends
            ]
            yield (
                f"| {stream.name} | {len(text)} | {f'`{first.code}` at {first.upstream_at}' if first else '–'} | "
                f"{' | '.join(said)} | {', '.join(f'`{rule}`' for rule in ends[-1].rules) or '–'} |"
            )


def _made(streams: list[recorded.Stream]) -> Iterator[str]:
    """A row for each kind of trouble that whole texts are brought into."""
    for kind, make in recorded.TROUBLES.items():
        rng = random.Random(6)
        states = {mode: Counter[str]() for mode in MODES}
        parse = equal = free = 0
        for stream in streams:
            schema, text = lockgate.compile(stream.schema), stream.text.encode()
            bad = make(text, rng)
            ends = {mode: outcome(schema, bad, mode) for mode in MODES}
            for mode, end in ends.items():
                states[mode][end.state] += 1
            value = ends["patch"].value
            parse += value is not foreign.NOT_A_VALUE
            equal += value is not foreign.NOT_A_VALUE and foreign.equal(value, json.loads(text))
            free += outcome(lockgate.compile(True), bad, "patch").value is not foreign.NOT_A_VALUE
        ended = [
            " / ".join(str(count[state]) for state in ("complete", "incomplete", "halted")) for count in states.values()
        ]
        is_cut = kind.startswith(recorded.CUT)
        yield (f"| {kind} | {len(streams)} | {' | '.join(ended)} | {parse} | {equal} | {free if is_cut else '–'} |")


def main() -> None:
    for name, page in (("repair-comparison", comparison), ("recovery-corpus", corpus)):
        (ROOT / "docs" / "reference" / f"{name}.md").write_text(page(), encoding="utf-8")
        print(f"docs/reference/{name}.md", file=sys.stderr)


if __name__ == "__main__":
    main()

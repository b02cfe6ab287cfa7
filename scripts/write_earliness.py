"""Writes what ``bench/earliness.py`` found as a page and a picture, from ``bench/results/earliness.json``.

Run by ``make docs``; a test fails when either is not what this script would write.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "bench" / "results" / "earliness.json"

#: What a contender is told apart by, beside its name.
_ABOUT: Final = {
    "lockgate, gate": "`Schema.gate`, fed the deltas",
    "lockgate, wrap": "`lockgate.wrap` around the client of openai",
    "openai, json.loads": "`create(stream=True)`, and `json.loads` of the whole text at the end",
    "openai, stream()": "`chat.completions.stream` with a pydantic model as `response_format`",
    "pydantic-ai": "`run_stream` with typed dictionaries, `stream_output`",
    "instructor": "`create_partial` with pydantic models",
    "LangChain": "`ChatOpenAI` and `JsonOutputParser`, which has no schema",
    "AI SDK": "`streamText` with `Output.object` of zod, `partialOutputStream`",
    "xgrammar": "`GrammarMatcher.accept_string`, fed the deltas",
    "llguidance": "`LLMatcher.try_consume_tokens` with a token for each byte, fed the deltas",
}
_WHOLE: Final = "nothing wrong"
_TURNED: Final = "nothing wrong, members in another order"


class Row(NamedTuple):
    """One contender, over all faults in the element at 20 %: the worst of them.

    Attributes:
        said_after: Bytes handed over behind the fault at the first word; None where for some fault there never was one.
        shown_after: Bytes shown behind the fault.
        cpu_ms: For the whole document with nothing wrong.
        refuses_order: Whether it refuses a valid document whose members come in another order.
    """

    name: str
    said_after: int | None
    shown_after: int
    cpu_ms: float | None
    refuses_order: bool


def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def rows(found: dict[str, Any]) -> list[Row]:
    return [_row(name, found["streams"], of) for name, of in found["found"].items()]


def _row(name: str, streams: dict[str, Any], of: dict[str, Any]) -> Row:
    faults = [stream for stream in streams if stream.endswith("in an element")]
    inside = [of[stream] for stream in faults]
    is_told = all(one.get("handed") is not None for one in inside)
    return Row(
        name,
        max(of[one]["handed"] - streams[one]["fault_at"] for one in faults) if is_told else None,
        max(one.get("shown_after") or 0 for one in inside),
        of[_WHOLE].get("cpu_ms"),
        of[_TURNED].get("handed") is not None,
    )


# -- the page ----------------------------------------------------------------------------------------------------------


def page() -> str:
    found = results()
    streams = found["streams"]
    names = list(found["found"])
    whole = streams[_WHOLE]["bytes"]
    faults = [name for name, stream in streams.items() if stream["fault_at"] is not None]
    lines = [
        "# Earliness, compared",
        "",
        f"One JSON document of {_count(whole)} bytes, {found['elements']} elements in an array, comes in deltas of 12",
        "bytes, once whole and once with each of eight faults. What does a library say, when, and what has it shown by",
        "then? `bench/earliness.py` asks the libraries themselves: each reads the stream by its own code, clients",
        "through an answer of an OpenAI-compatible API that hands out a delta when it is asked for the next.",
        "",
        "![Where each library first says that the stream is broken, and what it had shown](earliness-comparison.svg)",
        "",
        f"Made by `scripts/write_earliness.py` from one run: {found['machine']}, commit {found['commit']};",
        f"{_versions(found['versions'])}."
        + (f" Not installed: {', '.join(found['left out'])}." if found["left out"] else ""),
        "",
        "| name | what reads |",
        "|---|---|",
        *(f"| {name} | {_ABOUT[name]} |" for name in names),
        "",
        "## Bytes until the first word",
        "",
        "Bytes that were handed over behind the first bad byte when it first said that something is wrong. Up to 12 is",
        "the delta with the bad byte. *End*: only when the stream had ended. *Never*: the broken document was taken.",
        "",
        *_table(found, faults, _first_word),
        "",
        "A number below zero is an alarm while the text could still become valid: grammar engines for constrained",
        "decoding want members in the order of the schema. So they also refuse what nothing is wrong with:",
        "",
        *_table(found, [_WHOLE, _TURNED], _alarm),
        "",
        "## Bytes shown behind the fault",
        "",
        "Text that the caller was given behind the first bad byte; where values are given, the text that they would",
        "be, without the brackets that are open. What is cut has nothing behind the cut.",
        "",
        *_table(found, [name for name in faults if not name.startswith("cut")], _shown),
        "",
        "## CPU",
        "",
        "Milliseconds of CPU from the request to the end; compare ratios. A client also parses about 4,500 events of",
        "the wire; what is fed the deltas does not. Who stops at the fault has no more work.",
        "",
        *_table(found, [_WHOLE, "wrong type in an element", "wrong type at the top"], _cpu),
        "",
        "It cannot show a network, a real model, or a library that is set up in another way. What we do with unions",
        "and other keywords stands in [earliness](earliness.md).",
    ]
    return "\n".join(lines) + "\n"


def _table(
    found: dict[str, Any], chosen: list[str], cell: Callable[[dict[str, Any], dict[str, Any]], str]
) -> Iterator[str]:
    yield "| | " + " | ".join(chosen) + " |"
    yield "|---" * (len(chosen) + 1) + "|"
    for name, of in found["found"].items():
        cells = ("failed" if "error" in of[one] else cell(of[one], found["streams"][one]) for one in chosen)
        yield "| " + " | ".join([name, *cells]) + " |"


def _first_word(one: dict[str, Any], stream: dict[str, Any]) -> str:
    if one["handed"] is None:
        return "never"
    return "end" if one["handed"] == stream["bytes"] else _count(one["handed"] - stream["fault_at"])


def _alarm(one: dict[str, Any], _stream: dict[str, Any]) -> str:
    return "taken" if one["handed"] is None else f"refused at byte {_count(one['handed'])}"


def _shown(one: dict[str, Any], _stream: dict[str, Any]) -> str:
    return _count(one["shown_after"])


def _cpu(one: dict[str, Any], _stream: dict[str, Any]) -> str:
    return _ms(one["cpu_ms"])


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version.removeprefix('v')}" for name, version in versions.items())


def _count(count: int) -> str:
    return f"{count:,}".replace("-", "\N{MINUS SIGN}")


def _ms(ms: float) -> str:
    return f"{ms:,.0f}" if ms >= 10 else f"{ms:.1f}"


# -- the picture -------------------------------------------------------------------------------------------------------

_WIDTH: Final = 860
_LEFT: Final = 170  # of the streams
_RIGHT: Final = 670
_TOP: Final = 92
_STEP: Final = 30

_STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.ground { fill: #ffffff } .quiet { fill: #59636e; font-size: 12px } .title { font-size: 15px; font-weight: 600 }
.ours { font-weight: 600 } .good { fill: #b6bec7 } .rest { stroke: #d8dee4 } .after { fill: #d9622b }
.word { fill: #0b6bcb; stroke: #ffffff; stroke-width: 1.5 } .fault { stroke: #1f2328; stroke-dasharray: 3 3 }
.over { paint-order: stroke; stroke: #ffffff; stroke-width: 6 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .ground { fill: #0d1117 } .quiet { fill: #9198a1 } .good { fill: #545d68 }
.rest { stroke: #30363d } .after { fill: #f0883e } .word { fill: #58a6ff; stroke: #0d1117 }
.fault { stroke: #e6edf3 } .over { stroke: #0d1117 }
}
"""


def picture() -> str:
    """Each contender's stream: what was shown before and behind the fault, and where the first word was."""
    found = results()
    length = found["streams"][_WHOLE]["bytes"]
    fault_at = found["streams"]["wrong type in an element"]["fault_at"]
    drawn = rows(found)
    bottom = _TOP + _STEP * len(drawn)
    height = bottom + 62

    def x(byte: int) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * min(byte, length) / length, 1)

    title = "A stream breaks its schema at 20 %: who says so, and when?"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
        f' role="img" aria-label="{escape(title)}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{_WIDTH}" height="{height}" rx="6"/>',
        _text(20, 28, title, "title"),
        _text(
            20,
            48,
            f"{length / 1000:.0f} KB of JSON in deltas of 12 bytes; the worst of five faults in one element",
            "quiet",
        ),
        _text(_LEFT, _TOP - 16, "0", "quiet"),
        _text(x(fault_at), _TOP - 16, "fault", "", "middle"),
        _text(_RIGHT, _TOP - 16, f"{length / 1000:.0f} KB", "quiet", "end"),
        _text(_WIDTH - 20, _TOP - 16, "CPU, whole text", "quiet", "end"),
    ]
    for number, row in enumerate(drawn):
        y = _TOP + _STEP * number + 8
        lines += _drawn_row(row, y, x, fault_at, length)
    lines.append(f'<line class="fault" x1="{x(fault_at)}" x2="{x(fault_at)}" y1="{_TOP - 10}" y2="{bottom}"/>')
    lines += _legend(bottom + 24)
    lines.append(_text(20, bottom + 48, "* also refuses a valid document whose members come in another order", "quiet"))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _drawn_row(row: Row, y: int, x: Callable[[int], float], fault_at: int, length: int) -> Iterator[str]:
    is_ours = row.name.startswith("lockgate")
    shown = fault_at + row.shown_after
    yield _text(20, y + 5, row.name + (" *" if row.refuses_order else ""), "ours" if is_ours else "")
    yield f'<line class="rest" x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}"/>'
    yield f'<rect class="good" x="{_LEFT}" y="{y - 5}" width="{x(fault_at) - _LEFT:.1f}" height="10"/>'
    if row.shown_after:
        width = max(2.0, x(shown) - x(fault_at))
        yield f'<rect class="after" x="{x(fault_at)}" y="{y - 5}" width="{width:.1f}" height="10"/>'
    if row.said_after is None:
        yield _text(_RIGHT + 8, y + 5, "never", "quiet")
    else:
        end = fault_at + row.said_after
        yield f'<circle class="word" cx="{x(end)}" cy="{y}" r="6"/>'
        label = f"after {row.said_after} bytes" if end < length * 0.9 else "at the end"
        yield _text(x(end) + 12, y + 5, label, "quiet over")
    if row.cpu_ms is not None:
        yield _text(_WIDTH - 20, y + 5, f"{_ms(row.cpu_ms)} ms", "quiet", "end")


def _legend(y: int) -> Iterator[str]:
    at = _LEFT
    for name, text, width in (("good", "shown", 70), ("after", "shown behind the fault", 170)):
        yield f'<rect class="{name}" x="{at}" y="{y - 9}" width="14" height="10"/>' + _text(at + 20, y, text, "quiet")
        at += width
    yield f'<circle class="word" cx="{at + 7}" cy="{y - 4}" r="6"/>' + _text(
        at + 20, y, "first word that something is wrong", "quiet"
    )


def _text(x: float, y: float, text: str, name: str = "", anchor: str = "start") -> str:
    of = f' class="{name}"' if name else ""
    return f'<text{of} x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


#: Path below docs/ -> what makes it.
PAGES: Final[dict[str, Callable[[], str]]] = {
    "reference/earliness-comparison.md": page,
    "reference/earliness-comparison.svg": picture,
}


def main() -> None:
    for name, made in PAGES.items():
        (ROOT / "docs" / name).write_text(made(), encoding="utf-8")
        print(f"docs/{name}", file=sys.stderr)


if __name__ == "__main__":
    main()

"""Writes the reference pages that are made from the code: errors, settings, options and others.

Run by ``make docs``; a test fails when a page is not what this script would write.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import lockgate
from lockgate.config import Settings
from lockgate.errors import BAD_GATEWAY, FAILED_STATUS, PASSED_STATUSES, Code
from lockgate.gate.recovery.patch import WINDOWS
from lockgate.gate.recovery.patch_rules import LOSSY_RULES, PATCH_RULES
from lockgate.protocol.close_codes import OF_READERS, CloseCode, close_code_of
from lockgate.protocol.finish import WORDS, Finish
from lockgate.protocol.lifecycle import OUTCOMES, Ended, outcome
from lockgate.retry.failures import RULES as FAILURES
from lockgate.sources import NO_SETTINGS, Key, keys_of
from lockgate.streams import options
from lockgate.streams.checking import rows_of

DOCS: Final = Path(__file__).parents[1] / "docs"


_ABOUT: Final[dict[str, tuple[str, str]]] = {
    "document": ("The text of the model", "The gate says them of a document; they stand in `errors[].code`."),
    "attempt": ("An attempt to generate", "What became of the request to the provider; they stand in `errors[].code`."),
    "stream": ("A stream", "Why a stream ended; they stand in `errors[].code` and in the final record."),
    "request": ("A request", "What a request is answered with; they stand in `error.code`."),
    "library": ("The library and the command", "They come as exceptions alone."),
}


def errors_page() -> str:
    """Every code of the wire: the table of errors.py."""
    lines = [
        "# Error codes",
        "",
        "Codes stand in `errors[].code` of an envelope, in `error.code` of an HTTP answer and in metrics. They never",
        "change meaning.",
        "",
        "- *Who acts*: who can do something about it. A caller sends requests and schemas, a client reads or pushes.",
        "- *Recoverable*: whether trying again, or going on, can help.",
        "- *HTTP*: the status of an answer with this code.",
        "- *Breaker*: what the circuit breaker learns of the provider from an attempt that ends with it. `chunk`: the",
        "  provider answers, but what it says is wrong.",
        "- *Varies*: the provider's answer decides; see [failures](retries.md).",
    ]
    for about, (title, text) in _ABOUT.items():
        codes = [code for code in Code if code.about == about]
        lines += ["", f"## {title}", "", text, ""]
        lines += ["| code | who acts | recoverable | HTTP | breaker | meaning |", "|---|---|---|---|---|---|"]
        lines += [_code_row(code) for code in codes]
    return "\n".join([*lines, *_failed_chat()]) + "\n"


def _failed_chat() -> Iterator[str]:
    """The HTTP statuses of chat completions: the table of errors.py."""
    yield from ("", "## A chat completion that failed", "")
    yield "The HTTP status of `POST /v1/chat/completions`, where it failed before any of the answer was sent; later it"
    yield "stands in `error.code` of the last chunk. A request that cannot be served has the status of its code, above."
    yield from ("", "| what ended it | HTTP |", "|---|---|")
    passed = ", ".join(map(str, PASSED_STATUSES))
    yield f"| `upstream_refused`, `upstream_failed` with {passed} of the provider | the same |"
    for status in sorted(set(FAILED_STATUS.values())):
        codes = ", ".join(f"`{code}`" for code, found in FAILED_STATUS.items() if found == status)
        yield f"| {codes} | {status} |"
    rest = "anything else: text that breaks the schema, an answer that is cut off or empty, other errors"
    yield f"| {rest} | {BAD_GATEWAY} |"


def _code_row(code: Code) -> str:
    recoverable = {True: "yes", False: "no", None: "varies"}[code.recoverable]
    breaker = code.breaker or ("varies" if code.about == "attempt" else "–")
    return f"| `{code}` | {code.who} | {recoverable} | {code.status or '–'} | {breaker} | {_cell(code.means)} |"


def settings_page() -> str:
    """Every setting, with its default and its unit."""
    lines = [
        "# Settings",
        "",
        "Flags go before environment variables, those before the file, that before the defaults. The file is",
        "`lockgate.toml`, or what `lockgate serve --config` names (`.toml`, `.yaml`, `.json`). In the environment a",
        "key is written `LOCKGATE_` + section + `__` + name, in upper case: `LOCKGATE_SERVER__PORT=8701`. Any setting",
        "can be given as a flag: `lockgate serve --set server.port=8701`.",
        "",
        "In flags and in the environment a list has commas between its items, or is a JSON list:",
        "`LOCKGATE_SERVER__CORS_ORIGINS=https://a.example,https://b.example`. An empty text is an empty list, and",
        "unsets what may be unset (`–` below). Lists of rows, and whole sections, are given as JSON.",
        "",
        "A name that is no setting is refused, be it in the file, a flag or a `LOCKGATE_` variable. So is a value that",
        "does not fit; the error names the file, the flag or the variable that it came from. `lockgate settings` takes",
        "the flags of `lockgate serve`, shows what is in force and where each value comes from; secrets stay hidden.",
        "Its `--json` is for machines.",
    ]
    keys = list(keys_of(Settings))
    for name, field in Settings.model_fields.items():
        section = field.annotation
        assert isinstance(section, type)
        lines += [
            "",
            f"## {name}",
            "",
            inspect.getdoc(section) or "",
            "",
            "| key | default | environment | meaning |",
            "|---|---|---|---|",
            *(row for key in keys if key.path[0] == name for row in _setting_rows(key)),
        ]
    lines += [
        "",
        "## Variables that are no settings",
        "",
        "These begin with `LOCKGATE_` too, and are left alone.",
        "",
        "| variable | read by |",
        "|---|---|",
        *(f"| `{name}` | {_cell(reason)} |" for name, reason in NO_SETTINGS.items()),
        "| `LOCKGATE_SERVICE_HOST`, `LOCKGATE_PORT_…` | Nobody: Kubernetes sets them for a service named `lockgate`. |",
    ]
    return "\n".join(lines) + "\n"


def _setting_rows(key: Key) -> Iterator[str]:
    """The row of a setting; if it is a list of rows, theirs follow."""
    yield f"| `{key.name}` | {_default(key.field)} | `{key.variable}` | {_cell(key.field.description or '')} |"
    for kind in get_args(key.field.annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for inner in keys_of(kind):
                name, meaning = f"{key.name}[].{inner.name}", _cell(inner.field.description or "")
                yield f"| `{name}` | {_default(inner.field)} | – | {meaning} |"


def options_page() -> str:
    """All that a request may say: the structs of streams/options.py."""
    lines = [
        "# Options of a request",
        "",
        "`POST /v1/streams` and `POST /v1/chat/completions` take a chat-completions body. What lockgate reads of it is",
        "checked, the rest is passed on. What stands under `lockgate` is for lockgate alone: a name that does not",
        "exist there is refused. A `PUT` has the same section in the header `Lockgate-Options`. `GET /openapi.json`",
        "says the same for machines.",
    ]
    for title, kind in (
        ("## The body", options.CreateStream),
        ("## `lockgate`", options.StreamOptions),
        ("## `lockgate.retry`", options.RetryOptions),
    ):
        text = (inspect.getdoc(kind) or "").replace("``", "`")
        lines += ["", title, "", text, "", "| option | value | default | meaning |", "|---|---|---|---|"]
        lines += [f"| `{row.name}` | {_cell(row.words)} | {row.default} | {_cell(row.text)} |" for row in rows_of(kind)]
    lines += ["", "## What JSON Schema cannot say", "", "These are refused, too, although the schema allows them:", ""]
    lines += [f"- {rule}" for rule in options.BEYOND_SCHEMA]
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, tuple):
        value = ", ".join(value)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "–" if value in (None, "", {}) else f"`{value}`"


def close_codes_page() -> str:
    """Why a WebSocket was closed: the table of protocol/close_codes.py."""
    lines = [
        "# Close codes of WebSocket",
        "",
        "*Come back*: with the last offset that was told, after a pause. A connection that ends without a code (1006)",
        "was cut: come back.",
        "",
        "| code | come back | why |",
        "|---|---|---|",
        *(f"| {int(code)} | {'yes' if code.comes_back else 'no'} | {code.means} |" for code in CloseCode),
        "",
        "An error of the request closes with 4000 + its HTTP status, and its [code](errors.md) as the reason:",
        "",
        "| code | reason | come back |",
        "|---|---|---|",
    ]
    lines += [f"| {close_code_of(code)} | `{code}` | {'yes' if code.recoverable else 'no'} |" for code in OF_READERS]
    return "\n".join(lines) + "\n"


def outcomes_page() -> str:
    """How a stream ends: the table of protocol/lifecycle.py."""
    lines = [
        "# Outcomes",
        "",
        "What becomes of a channel follows from the state of its gate after `close`, the last `finish_reason`, whether",
        "an error or a refusal came, and how the connection ended. The first rule that holds decides; an empty cell",
        "holds always. `[DONE]` alone proves nothing.",
        "",
        "| | gate | finish_reason | came | connection | outcome | because |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, rule in enumerate(OUTCOMES, 1):
        conditions = " | ".join(str(one or "") for one in (rule.gate, rule.finish, rule.came, rule.ended))
        lines.append(f"| {number} | {conditions} | **{rule.outcome}** | {_cell(rule.why)} |")
    return "\n".join(lines) + _AFTER_OUTCOMES


_AFTER_OUTCOMES: Final = """

- *gate*: `complete` (the document is closed and valid), `blank` (complete, but nothing came for it), `halted` (a
  violation that ended it); else it is open or incomplete.
- *connection*: `clean` (`[DONE]`, or a finish reason and the end of the body), `silent` (the end of the body with
  neither), `broken` (lost, stalled or never made), `cancelled`, `aborted` (a deadline, a shutdown, or the node died),
  `stopped` (closed by lockgate at a violation).
- A producer that closes a pushed stream says that its text is over: `stop` and `clean`.
- A stream is as bad as its worst channel, from good to bad: complete, incomplete, refused, failed, halted, cancelled.
  Where the request required a tool call and none came, or a choice of several (`n`) of which nothing came, it is
  incomplete at best.
"""


def finish_page() -> str:
    """The words that answers end with: the table of protocol/finish.py."""
    lines = [
        "# Finish reasons",
        "",
        "What a `finish_reason` of a provider says. Words are compared without case, hyphens and underscores, and",
        "without the prefixes of some dialects (`FINISH_REASON_`, `FinishReason.`). Of several words the worst stays;",
        "the rows stand from good to bad. [Providers](../howto/providers.md) says who uses which.",
        "",
        "| class | a whole document with it is | words |",
        "|---|---|---|",
    ]
    for finish in Finish:
        found = outcome("complete", finish, has_error=False, has_refusal=False, ended=Ended.CLEAN)
        words = ", ".join(f"`{word}`" for word in WORDS.get(finish, ())) or "any other word"
        lines.append(f"| `{finish}` | {found} | {words} |")
    lines += [
        "",
        "`tool_calls` proves an end only where a call came. [Outcomes](outcomes.md) has the whole table.",
    ]
    return "\n".join(lines) + "\n"


def retries_page() -> str:
    """What follows from a failure: the table of retry/failures.py."""
    lines = [
        "# Failures and what follows from them",
        "",
        "Every attempt that fails has one class. *Retried on*: the occasion that `retry.on` must name. *Next model*:",
        "whether the next of the request's `models` may be asked instead. *Breaker*: what the circuit breaker learns.",
        "",
        "| class | retried on | next model | breaker | meaning |",
        "|---|---|---|---|---|",
    ]
    for kind, rule in FAILURES.items():
        retried = f"`{rule.occasion}`" if rule.occasion is not None else "never"
        may = "yes" if rule.may_change_model else "no"
        lines.append(f"| `{kind}` | {retried} | {may} | {rule.breaker} | {_cell(rule.means)} |")
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """The public names of the library."""
    lines = ["# Library", "", "`import lockgate`: everything here is public, everything else may change.", ""]
    for name in sorted(lockgate.__all__, key=str.lower):
        thing = getattr(lockgate, name)
        lines += [f"## `lockgate.{name}`", ""]
        if inspect.isfunction(thing):
            lines += ["```python", f"{name}{inspect.signature(thing)}".replace("lockgate.gate.", ""), "```", ""]
        has_own_doc = inspect.isclass(thing) or inspect.isfunction(thing)
        text = inspect.getdoc(thing) if has_own_doc else None
        lines += [text if text else f"`{thing}`", ""]
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            lines += _methods(thing)
    return "\n".join(lines).rstrip() + "\n"


def rules_page() -> str:
    """Every patch rule, in the order that decides ties."""
    lines = [
        "# Patch rules",
        "",
        "With recovery `patch` a violation is mended by the edit with the fewest changed bytes that takes the gate",
        "past it; between edits of the same cost the order of this table decides. Every edit is tried on a copy of the",
        "gate first, so no rule can release what the schema does not take, and none can touch what was released. Each",
        "change is a `Patched` event with the id of its rule. A clean document comes out byte for byte; what a rule",
        "says it *holds* is all that is released later than with `halt`.",
        "",
        "| rule | what it does | holds |",
        "|---|---|---|",
        *(f"| `{rule.id}` | {_cell(inspect.getdoc(rule) or '')} | {rule.holds or '–'} |" for rule in PATCH_RULES),
        "",
        "## Rules that must be asked for",
        "",
        "They lose something, or claim more than the text says; they act only where `lossy` names them.",
        "",
        "| rule | what it does | holds |",
        "|---|---|---|",
        *(f"| `{rule.id}` | {_cell(inspect.getdoc(rule) or '')} | {rule.holds or '–'} |" for rule in LOSSY_RULES),
        "",
        "## Where it looks, and how far",
        "",
        f"At a violation the rules see {WINDOWS[0]} bytes behind it, and up to {WINDOWS[-1]:,} if one must see more;",
        "so long the text waits. `max_held_bytes` bounds all that is held, `max_patches` the violations that",
        "are patched.",
    ]
    return "\n".join(lines) + "\n"


def _methods(kind: type) -> Iterator[str]:
    for name, member in vars(kind).items():
        text = inspect.getdoc(member)
        if not name.startswith("_") and text and (inspect.isfunction(member) or isinstance(member, property)):
            is_call = inspect.isfunction(member)
            signature = str(inspect.signature(member)).replace("lockgate.gate.", "") if is_call else ""
            yield f"### `{kind.__name__}.{name}{signature}`\n\n{text}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("``", "`")


PAGES: Final[dict[str, Callable[[], str]]] = {
    "reference/errors.md": errors_page,
    "reference/settings.md": settings_page,
    "reference/options.md": options_page,
    "reference/close-codes.md": close_codes_page,
    "reference/outcomes.md": outcomes_page,
    "reference/finish-reasons.md": finish_page,
    "reference/retries.md": retries_page,
    "reference/library.md": api_page,
    "reference/patch-rules.md": rules_page,
}


def main() -> None:
    for name, page in PAGES.items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(), encoding="utf-8")
        print(f"docs/{name}", file=sys.stderr)


if __name__ == "__main__":
    main()

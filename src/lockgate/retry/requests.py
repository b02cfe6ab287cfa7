"""The request of each rung: what is sent so that a model goes on where the released text ends."""

from __future__ import annotations

from typing import Any, Final

from lockgate.retry.capabilities import Prefill
from lockgate.retry.residual import Residual

#: Characters at the end of the released text that a tail instruction quotes.
TAIL_CHARS: Final = 200
#: What would constrain or redirect the answer: a grammar starts afresh on a continuation, and gives a second document.
_CONSTRAINTS: Final = ("response_format", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call")
_MARKS: Final[dict[Prefill, dict[str, Any]]] = {
    "plain": {},
    "prefix": {"prefix": True},  # DeepSeek, Mistral
    "partial": {"partial": True},  # Qwen, Kimi
    "continue_final_message": {},
}


def prefill_body(body: dict[str, Any], text: str, dialect: Prefill) -> dict[str, Any]:
    """The text so far as the beginning of the assistant's answer, never beside a constrained format."""
    message = {"role": "assistant", "content": text, **_MARKS[dialect]}
    asked = _unconstrained(body) | {"messages": [*body["messages"], message]}
    if dialect == "continue_final_message":  # vLLM, SGLang, llama.cpp: the two exclude each other
        asked |= {"continue_final_message": True, "add_generation_prompt": False}
    return asked


def tail_body(body: dict[str, Any], text: str) -> dict[str, Any]:
    """The text so far as the assistant's, and the wish that it goes on exactly behind its last characters."""
    wish = (
        "Your answer broke off. Continue it exactly after its last characters, which are quoted here, so that both "
        "parts joined are the whole answer. Repeat nothing, explain nothing, and use no code fence.\n"
        f"<tail>{text[-TAIL_CHARS:]}</tail>"
    )
    return _unconstrained(body) | {"messages": _after(body, text, wish)}


def residual_body(body: dict[str, Any], text: str, residual: Residual, *, tool: str | None = None) -> dict[str, Any]:
    """Only what is missing, under a schema for just that.

    Args:
        tool: Name of the tool whose arguments broke off; None for content.
    """
    what = f"The arguments of the call of {tool}" if tool is not None else "Your answer"
    rests = "\n".join(f"{rest.name}: {rest.words}" for rest in residual.rests)
    wish = (
        f"{what} broke off. What came so far stands above and stays as it is. Give only what is missing, as one JSON "
        f"object with these members, in this order:\n<missing>\n{rests}\n</missing>\n"
        "Repeat nothing that stands above, unless a line asks for it; an empty value says that nothing is missing."
    )
    wanted = {"name": "missing", "strict": _is_strict(body), "schema": residual.schema}
    asked = _unconstrained(body) | {"messages": _after(body, text, wish)}
    return asked | {"response_format": {"type": "json_schema", "json_schema": wanted}}


def _after(body: dict[str, Any], text: str, wish: str) -> list[Any]:
    return [*body["messages"], {"role": "assistant", "content": text}, {"role": "user", "content": wish}]


def _unconstrained(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in _CONSTRAINTS}


def _is_strict(body: dict[str, Any]) -> bool:
    """What the request said itself; a tool's parameters and a schema of lockgate's own are not known to be strict."""
    wanted = body.get("response_format")
    holder = wanted.get("json_schema") if isinstance(wanted, dict) else None
    return bool(holder.get("strict", False)) if isinstance(holder, dict) else False

"""Names that come from outside: of models, tools, channels, streams, producers. They are kept, compared and logged.

So each is short and can be printed. A request with another one is refused. A provider that sends a name too long is at
fault: a name that was cut would be another name.
"""

from __future__ import annotations

from typing import Final

from lockgate.errors import BadRequest

#: Of UTF-8. Providers allow 64 bytes for the name of a tool; the longest name of a model that is known has 96.
MAX_NAME_BYTES: Final = 256
#: Longest id that a provider gives a tool call. Proxies for Gemini put a signature of some kilobytes into it, which the
#: next request must send back whole.
MAX_CALL_ID_CHARS: Final = 16 * 1024
_SHOWN: Final = 60


def is_name(text: str) -> bool:
    """Whether it has 1 to 256 bytes, and nothing that cannot be printed: no line ends, no marks of direction."""
    is_short = 0 < len(text) <= MAX_NAME_BYTES
    return is_short and text.isprintable() and (text.isascii() or len(text.encode()) <= MAX_NAME_BYTES)


def check_name(text: str, where: str) -> str:
    """The name itself.

    Args:
        where: The part of the request that has it.

    Raises:
        BadRequest: it is none.
    """
    if not is_name(text):
        raise BadRequest(
            f"{where}: must have 1 to {MAX_NAME_BYTES} bytes, and characters that can be printed, not {text[:_SHOWN]!a}"
        )
    return text

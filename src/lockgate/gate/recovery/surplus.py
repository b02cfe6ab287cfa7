"""A closing bracket that is too many: it need not be the last one of its row."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],]', re.DOTALL)
_OPENS: Final = {0x7D: 0x7B, 0x5D: 0x5B}


def may_be_further_inside(before: bytes | None, bracket: bytes) -> bool:
    """Whether, instead of this bracket, another one inside the value before it may be the one that is too many.

    Inside that value a container ended and its neighbour followed in one of the same kind: then what followed may have
    been meant for the container that ended, and taking out the last bracket would leave it in the wrong one.

    Args:
        before: The text before the bracket; None if it is not known any more.
    """
    if before is None:
        return True
    opening = _OPENS.get(bracket[0], 0)
    kinds, doubts = bytearray(), [False]  # of the open containers; the first doubt is that of the whole text
    last_doubt = False  # of the value that ended last
    has_ended = False  # such a container, right before
    for found in _TOKEN.finditer(before):
        byte = before[found.start()]
        if byte in b"{[":
            kinds.append(byte)
            doubts.append(False)
        elif byte in b"}]" and kinds:
            last_doubt = doubts.pop()
            doubts[-1] |= last_doubt
            has_ended = kinds.pop() == opening
            continue
        elif byte == 0x2C:
            doubts[-1] |= has_ended and kinds[-1:] == bytes((opening,))
        else:
            last_doubt = False
        has_ended = False
    return last_doubt

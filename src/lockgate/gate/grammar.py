"""The words of JSON (RFC 8259) that the whole room shares: kinds of values, and states of a text that is being read.

Both are plain small numbers: a set of kinds is one number, and a state is compared and looked up for every byte.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

# Kinds of JSON values, as bits, so that a set of kinds is one int.
NULL: Final = 1
FALSE: Final = 2
TRUE: Final = 4
NUMBER: Final = 8
STRING: Final = 16
ARRAY: Final = 32
OBJECT: Final = 64
ANY_KIND: Final = 127

KIND_OF_BYTE: Final[dict[int, int]] = {
    ord("n"): NULL,
    ord("f"): FALSE,
    ord("t"): TRUE,
    ord('"'): STRING,
    ord("["): ARRAY,
    ord("{"): OBJECT,
    **dict.fromkeys(b"-0123456789", NUMBER),
}

WHITE: Final = b" \t\n\r"
#: The same for all bytes, by number; 0 for those that begin no value. A byte is looked up here faster than in a dict.
KINDS_OF_BYTES: Final = bytes(KIND_OF_BYTE.get(byte, 0) for byte in range(256))

#: What a scanner reads, or what may come next.
ScanState: TypeAlias = Literal[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]

AT_VALUE: Final = 0
AT_ELEMENT_OR_CLOSE: Final = 1  # just after [
AT_NAME: Final = 2
AT_NAME_OR_CLOSE: Final = 3  # just after {
AT_COLON: Final = 4
AFTER_VALUE: Final = 5  # a value ended inside a container
# Inside a string or a member name; the numbers stand together.
IN_STRING: Final = 6
IN_ESCAPE: Final = 7  # just after a backslash
IN_HEX: Final = 8  # inside \uXXXX
AT_LOW_BACKSLASH: Final = 9  # a high surrogate wants its low half: \
AT_LOW_U: Final = 10  # and then u
IN_LITERAL: Final = 11
# Inside a number; the numbers stand together.
AFTER_MINUS: Final = 12
AFTER_ZERO: Final = 13
IN_INTEGER: Final = 14
AFTER_POINT: Final = 15
IN_FRACTION: Final = 16
AFTER_E: Final = 17
AFTER_EXPONENT_SIGN: Final = 18
IN_EXPONENT: Final = 19
AT_END: Final = 20  # the document is over

#: States in which a container has begun, and nothing in it.
JUST_OPENED: Final = (AT_ELEMENT_OR_CLOSE, AT_NAME_OR_CLOSE)
#: States between two values, or before the first one of a container.
BETWEEN_VALUES: Final = (AFTER_VALUE, AT_END, AT_ELEMENT_OR_CLOSE, AT_NAME_OR_CLOSE)
NUMBER_CAN_END: Final = frozenset({AFTER_ZERO, IN_INTEGER, IN_FRACTION, IN_EXPONENT})

#: In the words of ``Expected.awaits``; all other states are inside a string, a name or a number.
AWAITS: Final[dict[int, str]] = {
    AT_VALUE: "value",
    AT_ELEMENT_OR_CLOSE: "element or ]",
    AT_NAME: "name",
    AT_NAME_OR_CLOSE: "name or }",
    AT_COLON: "colon",
    AFTER_VALUE: "comma",
    IN_LITERAL: "literal",
    AT_END: "end",
}

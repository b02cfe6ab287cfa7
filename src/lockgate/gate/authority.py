"""The last word on a whole document: ``jsonschema-rs``, always offline.

It judges Python objects, so the text is parsed once, by the standard library, which keeps integers of any size exact.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from lockgate.errors import SchemaError
from lockgate.gate.scan import Fault
from lockgate.gate.schema.compile import escape_pointer

_VALIDATORS: Final[dict[int, Any]] = {
    4: jsonschema_rs.Draft4Validator,
    6: jsonschema_rs.Draft6Validator,
    7: jsonschema_rs.Draft7Validator,
    2019: jsonschema_rs.Draft201909Validator,
    2020: jsonschema_rs.Draft202012Validator,
}
# A pattern that backtracks longer is reported as undecided; 100,000 steps take a few milliseconds.
_BACKTRACK_LIMIT: Final = 100_000


class Authority:
    """A compiled schema that judges finished values.

    Args:
        schema: A boolean or a dict of plain JSON values.
        draft: 4, 6, 7, 2019 or 2020.
        formats: Whether ``format`` is asserted.

    Raises:
        SchemaError: not a valid schema of its draft, or one that needs a remote reference.
    """

    def __init__(self, schema: Any, *, draft: int, formats: bool) -> None:
        self._validator = _compile(schema, _VALIDATORS[draft], formats)

    def judge(self, text: bytes) -> None:
        """Judge a whole JSON text.

        Raises:
            Fault: ``schema_violation``, or ``pattern_undecided`` where a pattern hit its backtrack limit.
        """
        value = json.loads(text)
        if self._validator.is_valid(value):
            return
        # An undecided pattern is only the reason where nothing definite is wrong beside it.
        errors = list(islice(self._validator.iter_errors(value), 100))
        error = next((one for one in errors if not _is_undecided(one)), errors[0])
        path, schema_path = _pointer(error.instance_path), _pointer(error.schema_path)
        if _is_undecided(error):
            message = f"{path or 'the document'}: a pattern took more than {_BACKTRACK_LIMIT} steps to match"
            raise Fault("pattern_undecided", message, path=path, schema_path=schema_path)
        message = f"{path or 'the document'}: {_clip(error.message)}"
        raise Fault("schema_violation", message, path=path, schema_path=schema_path)


def _compile(schema: Any, validator: Any, formats: bool) -> Any:
    options: dict[str, Any] = {"validate_formats": formats, "ignore_unknown_formats": True, "offline": True}
    try:
        # Linear-time patterns where possible; this engine refuses look-around and back-references.
        return validator(schema, pattern_options=jsonschema_rs.RegexOptions(), **options)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        pass  # judged again, and reported if it stands, by the engine that takes every ECMA-262 pattern
    try:
        patterns = jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACK_LIMIT)
        return validator(schema, pattern_options=patterns, **options)
    except jsonschema_rs.ValidationError as error:
        pointer = _pointer(error.instance_path)
        raise SchemaError(f"schema{pointer or ' root'}: {_clip(error.message)}", pointer=pointer) from None
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaError(f"schema: {_clip(str(error))}") from None


def _is_undecided(error: Any) -> bool:
    return type(error.kind).__name__ == "BacktrackLimitExceeded"


def _pointer(parts: list[str | int]) -> str:
    return "".join(f"/{escape_pointer(str(part))}" for part in parts)


def _clip(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:300]}…"

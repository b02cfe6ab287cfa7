"""The authority, asked about parts: does a value satisfy one node of the schema?"""

from __future__ import annotations

import string
from typing import Any, Final

import jsonschema_rs

from lockgate.sim.schema_words import Json
from lockgate.sim.schema_writer.regexes import BOUNDED
from lockgate.sim.schema_writer.schema_references import SchemaReferences
from lockgate.sim.schema_writer.unwritable import Unwritable

_ROOT: Final = "sim:///schema"
_PLAIN: Final = frozenset(string.ascii_letters + string.digits + "/~-._")


class PartValidator:
    """Validators of a schema and of its parts, each compiled when it is first asked for.

    Raises:
        Unwritable: the schema is not one.
    """

    def __init__(self, references: SchemaReferences) -> None:
        self._references = references
        root = references.root
        self._draft = {"$schema": root["$schema"]} if isinstance(root, dict) and "$schema" in root else {}
        self._validators: dict[int, Any] = {}
        try:
            self._whole = jsonschema_rs.validator_for(
                root, validate_formats=True, offline=True, pattern_options=BOUNDED
            )
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, TypeError) as error:
            raise Unwritable(f"it does not compile: {str(error).splitlines()[0][:200]}") from None
        self._registry: Any = None

    @property
    def whole(self) -> Any:
        """The validator of the whole schema."""
        return self._whole

    def allows(self, node: Json, value: Json) -> bool:
        """Whether a value satisfies a node. True if that is unknown: the whole document is checked in any case."""
        if isinstance(node, bool):
            return node
        if id(node) not in self._validators:
            self._validators[id(node)] = self._compiled(node)
        validator = self._validators[id(node)]
        return validator is None or bool(validator.is_valid(value))

    def _compiled(self, node: Json) -> Any:
        pointer = self._references.pointer(node)
        if pointer is None:
            return None
        if pointer == "":
            return self._whole
        try:
            if self._registry is None:
                self._registry = jsonschema_rs.Registry([(_ROOT, self._references.root)])
            return jsonschema_rs.validator_for(
                {**self._draft, "$ref": f"{_ROOT}#{_quoted(pointer)}"},
                registry=self._registry,
                validate_formats=True,
                offline=True,
                pattern_options=BOUNDED,
            )
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, TypeError):
            return None


def _quoted(pointer: str) -> str:
    """A pointer as a fragment. Spec: RFC 6901, section 6."""
    return "".join(letter if letter in _PLAIN else _percent(letter) for letter in pointer)


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogatepass"))

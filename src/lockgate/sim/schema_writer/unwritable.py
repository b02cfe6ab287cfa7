"""Why a document cannot be written."""

from __future__ import annotations

from lockgate.errors import BadRequest


class Unwritable(BadRequest):
    """No document was found for a schema. The text says why."""


class Contradiction(Exception):
    """No value is left here; another branch or another draw may still work."""


class Exhausted(Exception):
    """The work allowed for one draw is used up."""

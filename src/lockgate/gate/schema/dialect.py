"""Which draft of JSON Schema a schema is written in."""

from __future__ import annotations

import re
from typing import Any, Final

from lockgate.errors import SchemaError

_BY_DIGITS: Final = {
    "4": 4, "04": 4, "6": 6, "06": 6, "7": 7, "07": 7,
    "2019": 2019, "201909": 2019, "2020": 2020, "202012": 2020,
}  # fmt: skip
_BY_URI: Final = {
    "http://json-schema.org/draft-04/schema": 4,
    "http://json-schema.org/draft-06/schema": 6,
    "http://json-schema.org/draft-07/schema": 7,
    "https://json-schema.org/draft/2019-09/schema": 2019,
    "https://json-schema.org/draft/2020-12/schema": 2020,
    # Without a version it meant the newest of its time.
    "http://json-schema.org/schema": 2020,
}


def draft_of(schema: Any, asked: int | str | None) -> int:
    """The draft as 4, 6, 7, 2019 or 2020: what was asked for, else what ``$schema`` says, else 2020.

    Raises:
        SchemaError: an unknown draft or dialect.
    """
    if asked is not None:
        written = re.fullmatch(r"(?:draft[-_ ]?)?([0-9]{1,6}|[0-9]{4}-[0-9]{2})", str(asked).lower())
        draft = _BY_DIGITS.get(written[1].replace("-", "")) if written and isinstance(asked, int | str) else None
        if draft is None:
            raise SchemaError(f"draft {asked!r} is not known: use 4, 6, 7, 2019-09 or 2020-12")
        return draft
    uri = schema.get("$schema") if isinstance(schema, dict) else None
    if uri is None:
        return 2020
    if not isinstance(uri, str):
        raise SchemaError("schema/$schema: must be a string", pointer="/$schema")
    draft = _BY_URI.get(
        uri.removesuffix("#").replace("https://json-schema.org/draft-", "http://json-schema.org/draft-")
    )
    if draft is None:
        raise SchemaError(
            f"schema/$schema: dialect {uri[:90]!r} is not known: use draft 4, 6, 7, 2019-09 or 2020-12, or pass draft=",
            pointer="/$schema",
        )
    return draft


def names_known_dialect(schema: Any) -> bool:
    """Whether ``$schema`` is absent or names one of the drafts."""
    uri = schema.get("$schema") if isinstance(schema, dict) else None
    return uri is None or (isinstance(uri, str) and _draft_of_uri(uri) is not None)


def is_known_draft(ref: str) -> bool:
    """Whether a reference leads into one of the drafts, which the authority knows by itself."""
    return _draft_of_uri(ref.partition("#")[0]) is not None


def _draft_of_uri(uri: str) -> int | None:
    return _BY_URI.get(uri.removesuffix("#").replace("https://json-schema.org/draft-", "http://json-schema.org/draft-"))


def names_other_draft(schema: Any, draft: int) -> bool:
    """Whether ``$schema`` names anything but this draft."""
    uri = schema.get("$schema") if isinstance(schema, dict) else None
    return isinstance(uri, str) and _draft_of_uri(uri) != draft

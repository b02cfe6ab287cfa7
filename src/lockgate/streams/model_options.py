"""Options that the settings give to the models of a pattern, for requests that do not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from lockgate.errors import BadRequest
from lockgate.streams.checking import check
from lockgate.streams.options import StreamOptions, StreamRequest
from lockgate.streams.plan import Defaults, begin_plan

#: What is about one request: its schema, its shape, and who writes it.
_OF_ONE_REQUEST: Final = ("schema", "source", "framing", "elements", "keep_upstream")


class ModelOptions(NamedTuple):
    """Options of some models.

    Attributes:
        patterns: Shell patterns over the model's name; one of them fits.
        options: As a request has them under ``lockgate``.
    """

    patterns: tuple[str, ...]
    options: Mapping[str, Any]


def check_model_options(rows: Sequence[ModelOptions], defaults: Defaults) -> None:
    """Check what the settings say, as if a request had said it.

    Raises:
        BadRequest: says what is wrong, with the number of the row.
    """
    for at, row in enumerate(rows):
        where = f"[{at}].options"
        wrong = [name for name in _OF_ONE_REQUEST if name in row.options]
        if wrong:
            raise BadRequest(f"{where}.{wrong[0]}: is for one request, not for all requests to a model")
        retry = row.options.get("retry")
        if isinstance(retry, Mapping) and "restart" in retry:
            raise BadRequest(f"{where}.retry.restart: not every request can take text back; use upstream.retry.restart")
        options = check(StreamOptions, dict(row.options), where)
        try:
            begin_plan(StreamRequest(options, {}), defaults)
        except BadRequest as error:
            raise BadRequest(f"{where}: {error}") from None


def lay_under(body: dict[str, Any], rows: Sequence[ModelOptions]) -> None:
    """Put the options of the body's model under what the body says itself; the first row that fits counts."""
    model, section = body.get("model"), body.get("lockgate", {})
    if not rows or not isinstance(model, str) or not isinstance(section, dict):
        return  # what is wrong with these is said by who reads them
    for row in rows:
        if any(fnmatchcase(model.lower(), pattern.lower()) for pattern in row.patterns):
            body["lockgate"] = {**row.options, **section}
            return

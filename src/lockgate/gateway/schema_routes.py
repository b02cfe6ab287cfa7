"""Routes of the registered schemas: list, get, register, check, compare, change a status, and what uses them."""

from __future__ import annotations

from typing import cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lockgate.errors import BadRequest, NotOffered
from lockgate.gateway.access import json_body
from lockgate.gateway.answers import json_answer
from lockgate.gateway.callers import caller_of
from lockgate.gateway.schema_answers import (
    CheckAnswer,
    DiffAnswer,
    RuleRequest,
    SchemaListAnswer,
    answer_of,
    entry_of,
    schema_of,
    uses_of,
    verdict_of,
)
from lockgate.protocol import header_names as names
from lockgate.registry.catalogue import RegisteredVersion, VersionStatus
from lockgate.registry.compatibility import CompatibilityVerdict
from lockgate.registry.references import SchemaIdentity, identity_of, parse_reference
from lockgate.registry.registry import SchemaRegistry
from lockgate.registry.versions import SchemaVersion, parse_version
from lockgate.workers.schema_diff import SchemaChange

_FRESH = {names.CACHE_CONTROL: "no-store"}


class SchemaRoutes:
    """Serves the registered schemas.

    Args:
        registry: None where they are off (``validation.schemaVersioning``).
    """

    def __init__(self, registry: SchemaRegistry | None, max_request_bytes: int) -> None:
        self._found = registry
        self._max_request_bytes = max_request_bytes

    @property
    def _registry(self) -> SchemaRegistry:
        if self._found is None:
            raise NotOffered("registered schemas are off here (validation.schemaVersioning)")
        return self._found

    async def list(self, _request: Request) -> Response:
        """All of them."""
        registry = self._registry
        await registry.refresh()
        found = [schema_of(one, registry.options.rule) for one in registry.catalogue]
        return json_answer(SchemaListAnswer(found), headers=_FRESH)

    async def get(self, request: Request) -> Response:
        """One of them, with its versions."""
        return await self._schema(_identity(request))

    async def _schema(self, identity: SchemaIdentity) -> Response:
        registry = self._registry
        await registry.refresh()
        found = registry.catalogue.of_name(identity.name, identity.kind)
        return json_answer(schema_of(found, registry.options.rule), headers=_FRESH)

    async def uses(self, request: Request) -> Response:
        """What its versions are used for, in this process."""
        registry, identity = self._registry, _identity(request)
        await registry.refresh()
        found = registry.catalogue.of_name(identity.name, identity.kind)
        return json_answer(uses_of(found, registry.uses), headers=_FRESH)

    async def set_rule(self, request: Request) -> Response:
        """Hold new versions of a name to a rule."""
        body = await json_body(request, self._max_request_bytes)
        try:
            asked = msgspec.json.decode(body, type=RuleRequest)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadRequest(f'the body must be like {{"compatibility": "backward"}}: {error}') from None
        await self._registry.set_rule(_identity(request), asked.compatibility, by=caller_of(request).tenant)
        return await self._schema(_identity(request))

    # -- one version ---------------------------------------------------------------------------------------------

    async def version(self, request: Request) -> Response:
        """One version: of that number, whatever its status, or the best of a range."""
        registry, identity, asked = self._registry, _identity(request), request.path_params["version"]
        reference = parse_reference(identity.at(asked))
        await registry.refresh()
        try:
            found = registry.catalogue.exact(identity, parse_version(asked))
        except BadRequest:
            found = registry.catalogue.find(reference)
        return json_answer(answer_of(found, []), headers=_FRESH)

    async def register(self, request: Request) -> Response:
        """Register a version, or find that it is there with the same content."""
        body = await json_body(request, self._max_request_bytes)
        identity, number = _identity(request), _number(request)
        added = await self._registry.add(identity, number, body, by=caller_of(request).tenant)
        return json_answer(answer_of(added.version, added.verdicts), 201 if added.is_new else 200, _FRESH)

    async def check(self, request: Request) -> Response:
        """What a version would be to its neighbours, without registering it."""
        body = await json_body(request, self._max_request_bytes)
        identity, number = _identity(request), _number(request)
        verdicts = await self._registry.check(identity, number, body)
        is_compatible = all(verdict.is_compatible for verdict in verdicts)
        found = [verdict_of(one) for one in verdicts]
        return json_answer(CheckAnswer(identity.at(number), is_compatible, found), headers=_FRESH)

    async def deprecate(self, request: Request) -> Response:
        """Go on with it, and tell readers."""
        return await self._set_status(request, "deprecated")

    async def retire(self, request: Request) -> Response:
        """Let nothing new use it; streams that have it go on."""
        return await self._set_status(request, "retired")

    async def activate(self, request: Request) -> Response:
        """Take that back."""
        return await self._set_status(request, "active")

    async def _set_status(self, request: Request, status: VersionStatus) -> Response:
        await json_body(request, self._max_request_bytes)
        found = await self._registry.set_status(
            _identity(request), _number(request), status, by=caller_of(request).tenant
        )
        return json_answer(entry_of(found), headers=_FRESH)

    # -- two versions --------------------------------------------------------------------------------------------

    async def diff(self, request: Request) -> Response:
        """What is different between two versions, and whether each takes what the other takes."""
        before, after = [await self._asked(request, name) for name in ("from", "to")]
        verdicts = [
            CompatibilityVerdict("backward", before.id, after.id, before.id, await self._registry.takes(after, before)),
            CompatibilityVerdict("forward", before.id, before.id, after.id, await self._registry.takes(before, after)),
        ]
        found = await self._registry.difference(before, after)
        # They go on as the worker wrote them: they may be as long as the schemas.
        listed = cast("list[SchemaChange]", msgspec.Raw(found.changes))
        answer = DiffAnswer(before.id, after.id, listed, found.text, [verdict_of(one) for one in verdicts])
        return json_answer(answer, headers=_FRESH)

    async def _asked(self, request: Request, parameter: str) -> RegisteredVersion:
        asked = request.query_params.get(parameter, "")
        if not asked:
            raise BadRequest(f"{parameter}: is missing; must be a version, like ?from=1&to=2")
        return (await self._registry.matching(_identity(request).at(asked)))[-1]


def _identity(request: Request) -> SchemaIdentity:
    return identity_of(request.path_params["name"])


def _number(request: Request) -> SchemaVersion:
    return parse_version(request.path_params["version"])

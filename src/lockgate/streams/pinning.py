"""Which registered schema a new stream is judged by: found when it is opened, and kept with it.

A request names it in ``lockgate.schema``, or by the name of its response format, as OpenAI's SDKs send it:
``{"type": "json_schema", "json_schema": {"name": "invoice@1"}}``. The version that was found, and its text, stay with
the stream, so whatever is registered later, and whether the registry answers at all, changes nothing for it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec

from lockgate.errors import BadRequest, NotOffered
from lockgate.registry.catalogue import RegisteredVersion
from lockgate.registry.registry import SchemaRegistry, digest_of_text
from lockgate.streams.gates import StreamGate
from lockgate.streams.options import StreamRequest, format_reference
from lockgate.streams.plan import Plan
from lockgate.streams.schemas import StreamSchema
from lockgate.workers.schema_ask import GateOptions

#: What OpenAI takes in a name.
_NOT_OF_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_MAX_NAME_CHARS: Final = 64


class PinnedSchema:
    """A schema that streams are judged by, under the name of its version.

    Attributes: as those of ``StreamSchema``.
    """

    def __init__(self, schema: StreamSchema, version_id: str) -> None:
        self._schema = schema
        self.id = version_id
        self.text = schema.text

    def gate(self, options: GateOptions) -> StreamGate:
        return self._schema.gate(options)

    async def refuse(self, options: GateOptions) -> None:
        await self._schema.refuse(options)

    async def is_live(self, options: GateOptions, released: bytes, data: bytes) -> bool:
        return await self._schema.is_live(options, released, data)


class Pinned(NamedTuple):
    """A request whose schema is known.

    Attributes:
        version: Where it named a registered one.
    """

    request: StreamRequest
    version: RegisteredVersion | None = None


def pinned_plan(plan: Plan, version_id: str | None) -> Plan:
    """The plan, with its content judged under the name of a version, if there is one."""
    if not version_id or plan.content is None:
        return plan
    return replace(plan, content=PinnedSchema(plan.content, version_id))


async def pin(request: StreamRequest, registry: SchemaRegistry | None) -> Pinned:
    """Put the registered schema that a request names into it.

    Args:
        registry: None where schemas have no versions (``validation.schemaVersioning``).

    Raises:
        BadRequest: it names none, or brings another one under that name.
        UnknownSchemaVersion: there is none, or it is retired.
        RegistryFailing: the registry does not answer.
        NotOffered: there is no registry.
    """
    given = request.options.schema
    if isinstance(given, str):
        version, text = await _found(given, "lockgate.schema", registry)
        options = msgspec.structs.replace(request.options, schema=text.decode())
        return Pinned(request._replace(options=options), version)
    name = format_reference(request.body)
    if name is None or given is not None:
        return Pinned(request)
    version, text = await _found(name, "response_format.json_schema.name", registry)
    return Pinned(request._replace(body=await _with_schema(request.body, version, text)), version)


async def _found(name: str, where: str, registry: SchemaRegistry | None) -> tuple[RegisteredVersion, bytes]:
    if registry is None:
        raise NotOffered(
            f"{where}: registered schemas are off here (validation.schemaVersioning): send the schema itself"
        )
    try:
        version = await registry.find(name)
    except BadRequest as error:
        raise BadRequest(f"{where}: {error}") from None
    return version, registry.document(version)


async def _with_schema(body: dict[str, Any], version: RegisteredVersion, text: bytes) -> dict[str, Any]:
    """The body as the provider is sent it: with the schema, and with a name that it takes."""
    inner = body["response_format"]["json_schema"]
    if "schema" in inner and await digest_of_text(msgspec.json.encode(inner["schema"])) != version.sha256:
        raise BadRequest(
            f"response_format.json_schema: the schema is not that of {version.id}: leave it out, or send it under "
            "another name"
        )
    name = _NOT_OF_A_NAME.sub("_", version.id)[:_MAX_NAME_CHARS]
    named = {**inner, "name": name, "schema": msgspec.json.decode(text)}
    return {**body, "response_format": {**body["response_format"], "json_schema": named}}

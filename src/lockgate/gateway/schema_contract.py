"""The part of the OpenAPI document that is about registered schemas."""

from __future__ import annotations

from typing import Final

from lockgate.errors import Code
from lockgate.gateway.contract_parts import (
    OF_A_BODY,
    OF_THE_LOG,
    JsonObject,
    answered,
    errors_by_status,
    in_query,
    json_content,
    ref,
)
from lockgate.gateway.schema_answers import (
    CheckAnswer,
    DiffAnswer,
    RuleRequest,
    SchemaEntryAnswer,
    SchemaListAnswer,
    SchemaUsesAnswer,
    SchemaVersionAnswer,
    SchemaVersionEntry,
)
from lockgate.gateway.shapes import shapes_of
from lockgate.registry.references import NAME_PATTERN

_ALWAYS: Final = (Code.BAD_REQUEST, Code.REGISTRY_FAILING, Code.NOT_OFFERED, *OF_THE_LOG)
_NAMED: Final = (Code.UNKNOWN_SCHEMA_VERSION, *_ALWAYS)
_VERSION: Final[JsonObject] = {"type": "string", "pattern": r"^([1-9][0-9]{0,8}|[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9})$"}
_VERSIONS: Final[JsonObject] = {"type": "string", "minLength": 1, "maxLength": 200}
_SCHEMA_BODY: Final[JsonObject] = {
    "required": True,
    "description": "The JSON Schema.",
    "content": json_content({"type": ["object", "boolean"]}),
}
_NO_BODY: Final[JsonObject] = {"required": True, "content": json_content({"type": "object"})}


def _in_path(name: str, schema: JsonObject, description: str, example: str) -> JsonObject:
    said = {"schema": schema, "description": description, "example": example}
    return {"name": name, "in": "path", "required": True, **said}


_NAME: Final = _in_path("name", {"type": "string", "pattern": f"^{NAME_PATTERN}$"}, "Name of the schema.", "invoice")
_NUMBER: Final = _in_path("version", _VERSION, "The version.", "2")
_RANGE: Final = _in_path("version", _VERSIONS, "The version, latest, or a range; only one version is registered.", "2")


def _operation(name: str, summary: str, shape: str, *codes: Code, **more: JsonObject) -> JsonObject:
    answers = {"200": answered("It is so.", content=json_content(ref(shape)))}
    return {"operationId": name, "summary": summary, **more, "responses": {**answers, **errors_by_status(*codes)}}


def _changing(name: str, summary: str) -> JsonObject:
    return _operation(name, summary, "SchemaVersionEntry", *_NAMED, *OF_A_BODY, requestBody=_NO_BODY)


_LIST: Final = _operation("listSchemas", "All registered schemas, with their versions.", "SchemaListAnswer", *_ALWAYS)
_GET: Final = _operation("getSchema", "A registered schema, with its versions.", "SchemaEntryAnswer", *_NAMED)
_RULE: Final = _operation(
    "setSchemaRule",
    "Hold new versions of a schema to a rule, also before there is one.",
    "SchemaEntryAnswer",
    *(*_NAMED, *OF_A_BODY),
    requestBody={"required": True, "content": json_content(ref("RuleRequest"))},
)
_GET_VERSION: Final = _operation(
    "getSchemaVersion",
    "One version with its content: of a number, whatever its status; of latest or a range, the best that is in use.",
    "SchemaVersionAnswer",
    *_NAMED,
)
_REGISTER: Final[JsonObject] = {
    "operationId": "registerSchemaVersion",
    "summary": "Register a version. It never changes; the same content again is no conflict.",
    "requestBody": _SCHEMA_BODY,
    "responses": {
        "200": answered("It was there, with this content.", content=json_content(ref("SchemaVersionAnswer"))),
        "201": answered("Registered.", content=json_content(ref("SchemaVersionAnswer"))),
        **errors_by_status(
            *(*_NAMED, *OF_A_BODY, Code.SCHEMA_TOO_COMPLEX),
            *(Code.SCHEMA_VERSION_TAKEN, Code.INCOMPATIBLE_SCHEMA_VERSION),
        ),
    },
}
_CHECK: Final = _operation(
    "checkSchemaVersion",
    "Whether a version could be registered: what it would be to its neighbours.",
    "CheckAnswer",
    *(*_NAMED, *OF_A_BODY, Code.SCHEMA_TOO_COMPLEX),
    requestBody=_SCHEMA_BODY,
)
_DIFF: Final = _operation(
    "diffSchemaVersions",
    "What is different between two versions, and whether each takes what the other takes.",
    "DiffAnswer",
    *_NAMED,
) | {
    "parameters": [
        in_query("from", _VERSIONS, "The earlier version.") | {"required": True, "example": "1"},
        in_query("to", _VERSIONS, "The later version.") | {"required": True, "example": "2"},
    ]
}
_USES: Final = _operation(
    "getSchemaUses",
    "What the versions of a schema are used for, in the process that answers and since it started.",
    "SchemaUsesAnswer",
    *_NAMED,
)

SCHEMA_PATHS: Final[JsonObject] = {
    "/v1/schemas": {"get": _LIST},
    "/v1/schemas/{name}": {"parameters": [_NAME], "get": _GET, "put": _RULE},
    "/v1/schemas/{name}/diff": {"parameters": [_NAME], "get": _DIFF},
    "/v1/schemas/{name}/uses": {"parameters": [_NAME], "get": _USES},
    "/v1/schemas/{name}/versions/{version}": {"parameters": [_NAME, _RANGE], "get": _GET_VERSION, "put": _REGISTER},
    "/v1/schemas/{name}/versions/{version}/check": {"parameters": [_NAME, _NUMBER], "post": _CHECK},
    "/v1/schemas/{name}/versions/{version}/deprecate": {
        "parameters": [_NAME, _NUMBER],
        "post": _changing("deprecateSchemaVersion", "Go on with a version, and tell readers."),
    },
    "/v1/schemas/{name}/versions/{version}/retire": {
        "parameters": [_NAME, _NUMBER],
        "post": _changing("retireSchemaVersion", "Let nothing new use a version; streams that have it go on."),
    },
    "/v1/schemas/{name}/versions/{version}/activate": {
        "parameters": [_NAME, _NUMBER],
        "post": _changing("activateSchemaVersion", "Use a version as before."),
    },
}
SCHEMA_SHAPES: Final[JsonObject] = shapes_of(
    *(SchemaListAnswer, SchemaEntryAnswer, SchemaVersionAnswer, SchemaVersionEntry, SchemaUsesAnswer),
    *(CheckAnswer, DiffAnswer, RuleRequest),
)

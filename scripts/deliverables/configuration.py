"""The streaming configuration: a page for people, and the JSON Schema of the settings."""

from __future__ import annotations

import json
from typing import Any

from lockgate.config.requirements import REQUIREMENTS, configuration_schema

#: A whole configuration; a test reads it as the gateway does.
EXAMPLE = """\
[delivery]
protocol = "SSE"
fallback = ["WebSocket", "LongPoll"]
retry = { maxAttempts = 8, backoffStrategy = "exponential" }

[validation]
schemaVersioning = true
partialValidation = true
errorRecovery = "patch"

[monitoring]
chunkMetrics = true
validationErrors = true
connectionHealth = true
"""

_HEAD = """\
# Streaming configuration

How the streams of a language model are delivered, judged and watched: the members of `StreamingSystemRequirements`. The names
are those of the file and of the wire. All other settings, with flags and variables, are in [settings](settings.md).

```toml
{example}```

"""

_TAIL = """
## As JSON Schema

[configuration.schema.json](configuration.schema.json) is the schema of the whole configuration (JSON Schema 2020-12), made
from the settings. In it `$defs/StreamingSystemRequirements` is the object above; as TypeScript it is in
[requirements.ts](requirements.ts). `lockgate settings --schema` prints it. An editor takes it for `lockgate.toml`, `.yaml` or
`.json`:

```toml
#:schema ./configuration.schema.json
```

```
lockgate settings --schema > configuration.schema.json
lockgate settings --set delivery.protocol=SSE --json       # what would be in force, and where it comes from
```

Some values are checked further when they are read: addresses, origins, keys, and what two settings say together.

## The endpoint itself

`GET /v1/stream/{id}` with `Accept: text/event-stream` is the endpoint that these settings configure: rules 10 to 14 of the
[protocol](protocol.md#reading-get-v1streamid) say what it sends, and [read a stream](../howto/reading.md) which way suits whom.
A request may ask for other judging and other retries of its own: see [options](options.md).
"""

#: What a member does, where it does it.
_SEEN = {
    "protocol": "the answer of `POST /v1/streams`, and the header `Link`",
    "fallback": "the same",
    "retry": "the same; upstream is tried again so, where `upstream.retry` says nothing else",
    "schemaVersioning": "streams, pushes and readers that name a [version](../howto/schema-versions.md)",
    "partialValidation": "every stream, where its request does not say `release`",
    "errorRecovery": "every stream, where its request does not say `recovery`",
    "chunkMetrics": "[`/metrics`](metrics.md)",
    "validationErrors": "[`/metrics`](metrics.md)",
    "connectionHealth": "[`/metrics`](metrics.md)",
}


def schema_text() -> str:
    return json.dumps(configuration_schema(), indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    schema = configuration_schema()
    text = _HEAD.format(example=EXAMPLE)
    text += "| name | may be | default | meaning | seen in |\n|---|---|---|---|---|\n"
    for group, names in REQUIREMENTS.items():
        asked = schema["$defs"]["StreamingSystemRequirements"]["properties"][group]["properties"]
        for name in names:
            text += "".join(_rows(schema, f"{group}.{name}", asked[name], _SEEN[name]))
    return text + _TAIL


def _rows(schema: dict[str, Any], name: str, member: dict[str, Any], seen: str) -> list[str]:
    found = _resolved(schema, member)
    if "properties" in found:
        return [row for key, one in found["properties"].items() for row in _rows(schema, f"{name}.{key}", one, seen)]
    return [
        f"| `{name}` | {_values(found)} | `{json.dumps(found.get('default'))}` | {found['description']} | {seen} |\n"
    ]


def _resolved(schema: dict[str, Any], member: dict[str, Any]) -> dict[str, Any]:
    """What a member is, behind its references."""
    while "$ref" in member:
        value: Any = schema
        for key in member["$ref"].removeprefix("#/").split("/"):
            value = value[key]
        member = {**value, **{key: said for key, said in member.items() if key != "$ref"}}
    return member


def _values(found: dict[str, Any]) -> str:
    if "enum" in found:
        return ", ".join(f"`{value}`" for value in found["enum"])
    if found["type"] == "array":
        return "a list of " + _values(found["items"])
    if found["type"] == "boolean":
        return "`true`, `false`"
    return f"{found['minimum']} to {found['maximum']}"

"""The part of the settings that was asked for by name, ``StreamingSystemRequirements``, and all of them as JSON Schema.

Its names stand here once. What they may be, and what they are by default, the settings say.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from lockgate.config.settings import Settings

JsonObject: TypeAlias = dict[str, Any]
RequirementGroup: TypeAlias = Literal["delivery", "validation", "monitoring"]

#: Sections, and the members of each.
REQUIREMENTS: Final[dict[RequirementGroup, tuple[str, ...]]] = {
    "delivery": ("protocol", "fallback", "retry"),
    "validation": ("schemaVersioning", "partialValidation", "errorRecovery"),
    "monitoring": ("chunkMetrics", "validationErrors", "connectionHealth"),
}
_OPEN: Final = {"type": "object", "additionalProperties": False}


def requirements_in(settings: Settings) -> dict[str, JsonObject]:
    """What these settings say, under the names that were asked for."""
    said = settings.model_dump(mode="json", by_alias=True, include={*map(str, REQUIREMENTS)})
    return {group: {name: said[group][name] for name in names} for group, names in REQUIREMENTS.items()}


def configuration_schema() -> JsonObject:
    """JSON Schema (2020-12) of the configuration file; ``$defs/StreamingSystemRequirements`` is the part of it that
    was asked for, and such an object is a whole configuration by itself.

    Some values are checked further when they are read: addresses, origins, keys, and what two settings say together.
    """
    schema = Settings.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs")
    asked = {
        group: {**_OPEN, "properties": {name: _member(definitions, group, name) for name in names}}
        for group, names in REQUIREMENTS.items()
    }
    definitions["StreamingSystemRequirements"] = {
        **_OPEN,
        "description": "How records are delivered, judged and watched, under the names that were asked for.",
        "properties": asked,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "lockgate configuration",
        "description": "What lockgate.toml may say. `lockgate settings --schema` prints it.",
        "$defs": dict(sorted(definitions.items())),
    }


def _member(definitions: JsonObject, group: str, name: str) -> JsonObject:
    section = group.capitalize()
    assert name in definitions[section]["properties"], f"there is no setting {group}.{name}"
    return {"$ref": f"#/$defs/{section}/properties/{name}"}

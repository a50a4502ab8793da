"""The JSON Schema of finalizer.yaml, for editors and CI. `python -m finalizer.policy.json_schema` writes it anew.

It knows the form of each setting; that settings do not contradict each other only `load` can tell.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from finalizer.policy.fields import (
    Each,
    Elsewhere,
    Field,
    Globs,
    Items,
    Overrides,
    Section,
    Shape,
    fields_of,
    required_of,
)
from finalizer.policy.schema import Policy
from finalizer.policy.values import JsonSchema, Value

PLACE = Path(__file__).parent.parent / "schemas" / "finalizer.schema.json"

_GLOB: JsonSchema = {"type": ["string", "number", "boolean"]}
_MATCH: JsonSchema = {
    "type": ["object", "null"],
    "additionalProperties": {"anyOf": [_GLOB, {"type": "array", "items": _GLOB, "minItems": 1}]},
}


def json_schema() -> JsonSchema:
    """The schema as JSON types."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "finalizer.yaml",
        **_section(Policy, with_defaults=True),
    }


def text() -> str:
    """The schema as it stands in its file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _section(shape: Shape, *, with_defaults: bool) -> JsonSchema:
    fields = fields_of(shape)
    properties = {}
    for declared in msgspec.structs.fields(shape):
        field = fields.get(declared.encode_name)
        if field is not None:
            properties[declared.encode_name] = {
                "description": field.meaning,
                **_form(field, with_defaults=with_defaults),
                **(_default(field, declared.default) if with_defaults else {}),
            }
    schema: JsonSchema = {"type": ["object", "null"], "additionalProperties": False, "properties": properties}
    required = sorted(required_of(shape))
    return {**schema, "type": "object", "required": required} if required else schema


def _form(field: Field, *, with_defaults: bool) -> JsonSchema:
    match field.form:
        case Section(shape):
            return _section(shape, with_defaults=with_defaults)
        case Overrides(shape):
            return _section(shape, with_defaults=False)
        case Items(shape):
            return {"type": ["array", "null"], "items": _section(shape, with_defaults=True)}
        case Each(value):
            return {"type": "array", "items": value.json_schema}
        case Globs():
            return _MATCH
        case Elsewhere():
            return {"type": ["object", "null"]}
        case Value() as value:
            return value.json_schema


def _default(field: Field, default: object) -> JsonSchema:
    if default is None or default is msgspec.NODEFAULT:
        return {}
    if isinstance(field.form, Value):
        return {"default": field.form.written(default)}
    if isinstance(field.form, Each) and isinstance(default, tuple):
        return {"default": [field.form.value.written(one) for one in default]}
    return {}


if __name__ == "__main__":
    PLACE.parent.mkdir(exist_ok=True)
    PLACE.write_text(text(), encoding="utf-8")

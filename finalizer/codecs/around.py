"""What stands around a span in OTLP beside the attributes of its resource: entities, scope, the schemas of both."""

from __future__ import annotations

from collections.abc import Sequence
from json.encoder import encode_basestring as quoted

import msgspec

from finalizer.codecs.values import Attributes


class EntityRef(msgspec.Struct, frozen=True, gc=False):
    """An entity of the resource, as OTLP names it: the keys are names of attributes that the resource has."""

    type: str
    id_keys: Sequence[str]
    description_keys: Sequence[str] = ()
    schema_url: str = ""


class Around(msgspec.Struct, frozen=True, gc=False):
    """The scope and the schema URLs, as OTLP names them; a count is how many attributes were dropped before us."""

    scope_name: str = ""
    scope_version: str = ""
    scope_attributes: Attributes = {}
    scope_dropped_attributes: int = 0
    scope_schema_url: str = ""
    resource_dropped_attributes: int = 0
    resource_schema_url: str = ""
    entities: Sequence[EntityRef] = ()


def wrapped(around: Around, resource: str, scope_attributes: str, span: str) -> str:
    """An `ExportTraceServiceRequest` in JSON of a rendered resource, scope attributes and span."""
    scope = [f'"name":{quoted(around.scope_name)}']
    if around.scope_version:
        scope.append(f'"version":{quoted(around.scope_version)}')
    if around.scope_attributes:
        scope.append(f'"attributes":{scope_attributes}')
    if around.scope_dropped_attributes:
        scope.append(f'"droppedAttributesCount":{around.scope_dropped_attributes}')
    if around.resource_dropped_attributes:
        resource = f'{resource[:-1]},"droppedAttributesCount":{around.resource_dropped_attributes}}}'
    if around.entities:
        resource = f'{resource[:-1]},"entityRefs":[{",".join(map(_entity, around.entities))}]}}'
    scope_url, resource_url = _schema(around.scope_schema_url), _schema(around.resource_schema_url)
    spans = f'{{"scope":{{{",".join(scope)}}},"spans":[{span}]{scope_url}}}'
    return f'{{"resourceSpans":[{{"resource":{resource},"scopeSpans":[{spans}]{resource_url}}}]}}'


def _entity(entity: EntityRef) -> str:
    described = f',"descriptionKeys":{_texts(entity.description_keys)}' if entity.description_keys else ""
    ids = f'"type":{quoted(entity.type)},"idKeys":{_texts(entity.id_keys)}{described}'
    return f"{{{ids}{_schema(entity.schema_url)}}}"


def _texts(texts: Sequence[str]) -> str:
    return f"[{','.join(map(quoted, texts))}]"


def _schema(url: str) -> str:
    return f',"schemaUrl":{quoted(url)}' if url else ""

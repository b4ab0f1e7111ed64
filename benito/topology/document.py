"""A whole topology as a JSON document, by the schema that is published as docs/topology.schema.json.

Fields are those of `benito.model`, with their units in their names; nothing is left out.
"""

import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from benito.errors import UsageError
from benito.model import Topology

#: Changes when a document of before would be read otherwise or not at all.
DOCUMENT_VERSION = 1
_SCHEMA = "https://json-schema.org/draft/2020-12/schema"


@cache
def _adapter() -> TypeAdapter[Topology]:
    return TypeAdapter(Topology)


def topology_document(topology: Topology) -> dict[str, Any]:
    """The topology in JSON's types; `topology_from_document` makes an equal topology of it."""
    fields: dict[str, Any] = _adapter().dump_python(topology, mode="json")
    return {"version": DOCUMENT_VERSION, **fields}


def topology_from_document(document: dict[str, Any]) -> Topology:
    """The topology of a document. Raises UsageError where it is none, or of another version."""
    if document.get("version") != DOCUMENT_VERSION:
        raise UsageError(
            f"the document has the version {document.get('version')!r}, not {DOCUMENT_VERSION}",
            hint="write it with this version of benito",
        )
    fields = {name: value for name, value in document.items() if name != "version"}
    try:
        return _adapter().validate_json(json.dumps(fields))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"the document is no topology: {place}: {first['msg']}") from error


def topology_schema() -> dict[str, Any]:
    """The JSON schema of the documents that `topology_document` makes."""
    schema = _adapter().json_schema(mode="serialization")
    version = {"const": DOCUMENT_VERSION, "title": "Version", "type": "integer"}
    return {
        **schema,
        "$schema": _SCHEMA,
        "title": "A topology as Benito reads it",
        "properties": {"version": version, **schema["properties"]},
        "required": ["version", *schema["required"]],
    }

"""JSON Schemas of the YAML files for completion in editors and for CI; generated, never edited by hand."""

from __future__ import annotations

import json
from typing import Any

from pipeline.schema.base import Document
from pipeline.schema.catalogue import Llm, Sku
from pipeline.schema.cluster import Cluster
from pipeline.schema.published import Study
from pipeline.schema.recipe import Recipe
from pipeline.schema.report import Definition

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, str]:
    """Return the JSON Schema text of every kind of YAML file, by file name."""
    recipe = _schema(Recipe, "A recipe, a partial or a _base.yaml; what is missing here may be inherited")
    recipe["properties"]["extends"] = {
        "type": "array",
        "items": {"type": "string", "pattern": "^_"},
        "description": "partial files (without suffix) of this folder or one above it, merged in this order before this file",
    }
    recipe["properties"]["both"] = {"$ref": "#/$defs/Pool", "description": "what prefill and decode share"}
    _relax(recipe)
    cluster, llm, sku = _schema(Cluster, "A cluster"), _schema(Llm, "An LLM"), _schema(Sku, "One SKU")
    skus = {"$schema": DRAFT, "title": "SKUs by id", "type": "object", "$defs": sku.pop("$defs", {})}
    skus["additionalProperties"] = {name: part for name, part in sku.items() if name != "$schema"}
    definition = _schema(Definition, "A report definition")
    files = {"recipe": recipe, "cluster": cluster, "llm": llm, "skus": skus, "report": definition}
    files["published"] = _schema(Study, "A published study")
    return {
        f"{name}.json": json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
        for name, schema in files.items()
    }


def _schema(model: type[Document], title: str) -> dict[str, Any]:
    schema = {"$schema": DRAFT, **model.model_json_schema(), "title": title}
    schema["properties"].pop("id", None)
    schema["required"] = [name for name in schema.get("required", []) if name != "id"]
    return schema


def _relax(schema: dict[str, Any]) -> None:
    """Make every field optional, since it may be inherited, and nullable, since null deletes an inherited value."""
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("required", None)
        for name, value in part.get("properties", {}).items():
            part["properties"][name] = {"anyOf": [value, {"type": "null"}]}

"""The configuration as a JSON Schema, for editors; made from the settings, so it cannot disagree with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from ..config import Settings
from ..secrets import Secret

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema

__all__ = ["json_schema"]

# What editors of TOML understand.
DIALECT = "http://json-schema.org/draft-07/schema#"
SECRET = {"type": "string", "minLength": 1, "examples": ["env:NAME", "file:PATH"]}
# TOML's own dates reach an editor's validator as texts.
MOMENT = {"type": "string", "examples": ["2027-01-31", "2027-01-31T18:00:00Z"]}


def json_schema() -> dict[str, Any]:
    """Describe what a configuration file may hold. A plug-in's own settings are allowed where they may stand."""
    made = Settings.model_json_schema(ref_template="#/definitions/{model}", schema_generator=_Generator)
    tables = made.pop("$defs")
    plain: dict[str, Any] = _plain({"$schema": DIALECT, **made, "definitions": tables})
    return plain


class _Generator(GenerateJsonSchema):
    """Describe a secret by its reference, a table by what may stand for it."""

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:
        """Describe what is written where a value of ours comes out."""
        if schema["cls"] is Secret:
            return dict(SECRET)
        return super().is_instance_schema(schema)

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        """Describe a date or a time."""
        return dict(MOMENT)

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Let a text stand for a table that is read from one, such as a target."""
        made = super().function_before_schema(schema)
        if "json_schema_input_schema" in schema or "$ref" not in made:
            return made
        return {"anyOf": [{"type": "string", "minLength": 1}, made]}

    def encode_default(self, dft: Any) -> Any:
        """Write a default as it would stand in a file; a table's own say more than the table's."""
        return dft.reveal() if isinstance(dft, Secret) else None if isinstance(dft, BaseModel) else dft


def _plain(value: Any) -> Any:
    """Take out what means nothing in TOML: null, and names made from names."""
    if isinstance(value, list):
        return [_plain(part) for part in value if part != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, part in value.items():
        if name in {"properties", "definitions"}:
            kept[name] = {setting: _plain(described) for setting, described in part.items()}
        elif name != "title" and not (name == "default" and part in (None, {}, [])):
            kept[name] = _plain(part)
    choices = kept.get("anyOf", ())
    if len(choices) == 1:
        kept |= kept.pop("anyOf")[0]
    return kept

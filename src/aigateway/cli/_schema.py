"""`aigateway schema`: what an editor needs to complete and check a configuration."""

from __future__ import annotations

import json

import typer

from ._json_schema import json_schema

__all__ = ["schema", "schema_text"]


def schema() -> None:
    """Print the JSON Schema of the configuration."""
    typer.echo(schema_text(), nl=False)


def schema_text() -> str:
    """Write the schema as the file an editor reads."""
    return json.dumps(json_schema(), indent=2) + "\n"

"""The OpenAPI document of the routes, made from their table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..surfaces import Completions, Messages, Responses
from ..types import ChatRequest
from ._made import embed_schema, image_schema
from ._simple import prompt_schema

if TYPE_CHECKING:
    from ._app import Entry

__all__ = ["describe"]

Make = Callable[[dict[str, Any]], dict[str, Any]]
JSON, EVENTS, FORM = "application/json", "text/event-stream", "application/x-www-form-urlencoded"
PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
FREE: dict[str, Any] = {"type": "object"}
ERROR: dict[str, Any] = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
                "request_id": {"type": "string"},
            },
            "required": ["message", "type"],
        }
    },
    "required": ["error"],
}
MESSAGES_ERROR: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
            "required": ["type", "message"],
        },
        "request_id": {"type": "string"},
    },
    "required": ["type", "error", "request_id"],
}
TAGS = (("/admin", "operators"), ("/v1", "OpenAI's dialect"), ("/docs", "about"), ("/openapi", "about"))


def describe(entries: Sequence[Entry]) -> dict[str, Any]:
    """Describe every route: who may ask, what is sent, what is answered; the same paths work without `/v1`."""
    schemas: dict[str, Any] = {"Error": ERROR, "MessagesError": MESSAGES_ERROR}
    paths: dict[str, dict[str, Any]] = {}
    for entry in entries:
        shown = PARAMETER.sub(r"{\1}", entry.path)
        for method in entry.methods.lower().split():
            paths.setdefault(shown, {})[method] = _operation(entry, method, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "aigateway", "version": __version__, "description": "Paths under /v1 work without it, too."},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "root": {"type": "apiKey", "in": "header", "name": "admin-secret"},
            },
        },
    }


def _operation(entry: Entry, method: str, schemas: dict[str, Any]) -> dict[str, Any]:
    said = (entry.endpoint.__doc__ or "").strip().partition("\n\n")[0].replace("\n", " ")
    operation: dict[str, Any] = {
        "operationId": f"{method}_{re.sub(r'[^a-z0-9]+', '_', entry.path.lower()).strip('_') or 'root'}",
        "summary": said.partition(": ")[2] or said,
        "tags": [next((tag for prefix, tag in TAGS if entry.path.startswith(prefix)), "other")],
        "responses": _responses(entry, method),
    }
    names = PARAMETER.findall(entry.path)
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if entry.access == "root":
        operation["security"] = [{"root": []}]
    elif entry.access != "public":
        operation["security"] = [{"bearer": []}, {"key": []}]
    if method == "post" and entry.path in BODIES:
        kind, make = BODIES[entry.path]
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": make(schemas)}}}
    return operation


def _responses(entry: Entry, method: str) -> dict[str, Any]:
    kind = {"application/json": {"schema": FREE}}
    if method == "post" and entry.access == "chat":
        kind[EVENTS] = {"schema": {"type": "string"}}
    shape = {"$ref": _ref("MessagesError" if entry.path.startswith("/v1/messages") else "Error")}
    error = {"description": "refused, or nobody answered", "content": {JSON: {"schema": shape}}}
    return {"200": {"description": "answered", "content": kind}, "default": error}


def _ref(name: str) -> str:
    return f"#/components/schemas/{name}"


def _of(dialect: str, schema: Callable[[str], dict[str, Any]]) -> Make:
    """Put a schema among the document's, and refer to it there; dialects call different things a message."""

    def make(schemas: dict[str, Any]) -> dict[str, Any]:
        found = schema(_ref(f"{dialect}{{model}}"))
        schemas.update({f"{dialect}{name}": part for name, part in found.pop("$defs", {}).items()})
        schemas[f"{dialect}Body"] = found
        return {"$ref": _ref(f"{dialect}Body")}

    return make


CHAT, PROMPT = _of("Chat", ChatRequest.schema), _of("Prompt", prompt_schema)
MESSAGES = _of("Messages", Messages.schema)
# What is sent where; a route that is not here takes no body.
BODIES: Mapping[str, tuple[str, Make]] = {
    "/v1/completions": (JSON, _of("Completions", Completions.schema)),
    "/v1/embeddings": (JSON, lambda schemas: embed_schema()),
    "/v1/images/generations": (JSON, lambda schemas: image_schema()),
    "/images/generate": (JSON, lambda schemas: image_schema()),
    "/v1/chat/completions": (JSON, CHAT),
    "/v1/chat/completions/stream": (JSON, CHAT),
    "/v1/responses": (JSON, _of("Responses", Responses.schema)),
    "/v1/messages": (JSON, MESSAGES),
    "/v1/messages/count_tokens": (JSON, MESSAGES),
    "/v1/inference/complete": (JSON, PROMPT),
    "/v1/inference/stream": (JSON, PROMPT),
    "/chat": (FORM, PROMPT),
    "/chat/json": (JSON, PROMPT),
    "/admin/explain": (JSON, CHAT),
}

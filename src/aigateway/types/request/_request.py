"""What a caller asks, checked once: what we checked is what the vendor gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from ...errors import RequestError
from ._json import FORBIDDEN, read_json, refuse_forbidden, written
from ._routing import ANYWHERE, LONGEST, Routing

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

__all__ = ["ChatRequest", "messages_from"]

# Our own fields: read here, never sent on.
OWN = ("routing", "extra", "models")
# What the request itself decides, whatever `extra` says of it.
PINNED = frozenset({"messages", "model", "stream", "stream_options"})
# Of a body in another dialect: what routing decides, for each target anew.
ROUTED = frozenset({"model", "stream", *OWN})


@dataclass(slots=True)
class ChatRequest:
    """One chat request: `body` holds every field the vendor may see, unknown ones included.

    `extra` maps a provider's name to fields only that provider gets. A request in another dialect is
    a chat request with the dialect's name as `operation` and the caller's own fields in `native`: a
    provider that speaks the dialect is sent those, every other the chat in `body`. `headers` are the
    dialect's own, for such a provider as well. `needs` says what of it chat cannot say: then only a
    provider that speaks the dialect is asked.
    """

    body: dict[str, Any]
    model: str = ""
    stream: bool = False
    wants_usage: bool = False
    routing: Routing = ANYWHERE
    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    operation: str = "chat"
    native: Mapping[str, Any] | None = None
    needs: RequestError | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse_json(cls, data: bytes) -> Self:
        """Read a JSON body. Raises RequestError that names the field and what it must be."""
        return cls._checked(read_json(data))

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Read a mapping as `parse_json` reads a body; the caller's objects are left alone."""
        return cls.parse_json(written(fields))

    @classmethod
    def translated(cls, operation: str, native: Mapping[str, Any], chat: dict[str, Any]) -> ChatRequest:
        """Keep a request in another dialect beside the chat it means. Raises RequestError for either."""
        refuse_forbidden(native)
        request = cls._checked(chat)
        request.operation = operation
        request.native = {name: value for name, value in native.items() if name not in ROUTED and value is not None}
        return request

    @classmethod
    def _checked(cls, body: object) -> Self:
        from pydantic import ValidationError

        try:
            return cls._of(_adapter().validate_python(body))
        except ValidationError as error:
            raise _elsewhere(body) or _explain(error) from None

    @classmethod
    def _of(cls, body: dict[str, Any]) -> Self:
        refuse_forbidden(body)
        # A null says "not given" in every SDK; vendors differ on it, so it is not sent.
        if None in body.values():
            body = {name: value for name, value in body.items() if value is not None}
        routing, extra, models = (body.pop(name, None) for name in OWN)
        if models is not None and (routing is None or isinstance(routing, Mapping)):
            routing = {"models": models, **(routing or {})}
        model, stream = body.pop("model", ""), body.pop("stream", False)
        if len(model) > LONGEST:
            raise RequestError(f"'model' is longer than {LONGEST} characters", param="model")
        options = body.pop("stream_options", {})
        if options and not stream:
            raise RequestError("'stream_options' needs 'stream': true", param="stream_options")
        request = cls(body, model, stream, bool(options.pop("include_usage", False)))
        if options:
            body["stream_options"] = options
        request.routing = Routing.parse(routing)
        request.extra = _extra(extra)
        return request

    @staticmethod
    def schema(references: str) -> dict[str, Any]:
        """Describe the body in JSON Schema; `references` names where its parts will be, with `{model}` for the name."""
        return _adapter().json_schema(ref_template=references)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Give the messages."""
        return self.body["messages"]  # type: ignore[no-any-return]  # the adapter checked it


def messages_from(prompt: object) -> list[dict[str, Any]]:
    """Turn a prompt into messages; a list of messages is taken as it is."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    if isinstance(prompt, Sequence) and all(isinstance(message, Mapping) for message in prompt):
        return [dict(message) for message in prompt]
    raise RequestError("messages must be a string or a list of messages, each with a role", param="messages")


def _elsewhere(body: object) -> RequestError | None:
    """Tell a request in another dialect, sent to the wrong place; None for what is no such."""
    if not isinstance(body, Mapping) or body.get("messages"):
        return None
    for name, place in (("input", "/v1/responses"), ("prompt", "/v1/completions")):
        if name in body:
            message = f"'messages' is missing, and {name!r} is a field of {place}. Send it there, or send 'messages'."
            return RequestError(message, param=name, code="missing_required_parameter")
    return None


def _extra(value: object) -> Mapping[str, Mapping[str, Any]]:
    """Check the fields of single providers as those of the request. Raises RequestError."""
    if value is None:
        return {}
    from pydantic import ValidationError

    if not isinstance(value, Mapping) or not all(isinstance(part, Mapping) for part in value.values()):
        raise RequestError(
            '\'extra\' must map a provider to its fields, such as {"deepseek": {"user_id": "7"}}', param="extra"
        )
    for part in value.values():
        try:
            fields = {name: field for name, field in part.items() if name not in PINNED}
            _adapter().validate_python({**fields, "messages": [{"role": "user"}]})
        except ValidationError as error:
            raise _explain(error) from None
        if not FORBIDDEN.isdisjoint(part):
            name = min(FORBIDDEN.intersection(part))
            raise RequestError(f"'extra' may not hold {name!r}; only the configuration may. Remove it.", param="extra")
    return value


def _explain(error: ValidationError) -> RequestError:
    """Name the first wrong field in the words of a person."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = _path(first["loc"])
    if not path:
        return RequestError("the body must be a JSON object with 'messages'", param=None)
    if first["type"] == "missing":
        return RequestError(f"{path!r} is missing", param=path, code="missing_required_parameter")
    return RequestError(f"{path!r}: {first['msg']}", param=path)


def _path(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "[" not in part and part not in {"str", "list"}:  # pydantic names union members, callers do not
            text += f".{part}" if text else part
    return text


@cache
def _adapter() -> TypeAdapter[dict[str, Any]]:
    """Build the checker on first use: importing does nothing."""
    from pydantic import TypeAdapter

    from ._chat_body import ChatBody

    return TypeAdapter(ChatBody)  # type: ignore[arg-type]  # a TypedDict is a dict at run time

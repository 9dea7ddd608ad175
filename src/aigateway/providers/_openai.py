"""The codec most vendors share: OpenAI's chat dialect, with a table of differences.

A vendor without quirks is a `Dialect`; a vendor with quirks overrides `adapt` (requests),
`fix_message` (whole answers) or `decoder_class` (streams).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic_core import from_json, to_json

from ..errors import ConfigurationError, Kind, ProviderError
from ..operations import CODECS, WITHHELD, Codec, Peer, nonsense, read_object, usage_of
from ..secrets import Secret
from ..types import ChatRequest, HTTPRequest, ModelInfo, Reply, Target, Usage, WireFailure, WireResponse
from ._classify import Rule, classify, read_error
from ._decoder import ChatDecoder
from ._dialect import Dialect
from ._models_file import load_models
from ._provider import Options, StreamDecoder
from ._shape import check_finish, check_index, check_message

__all__ = ["OpenAICompatible"]

# What every OpenAI-compatible vendor means by these, whatever else it says.
COMMON_RULES = (
    Rule(Kind.CONTEXT_LENGTH, code="context_length_exceeded"),
    *(Rule(Kind.CONTEXT_LENGTH, status=status, message=r"context (?:length|window)") for status in (200, 400)),
    Rule(Kind.MODEL_NOT_FOUND, code="model_not_found"),
    Rule(Kind.INSUFFICIENT_FUNDS, code="insufficient_quota"),
    Rule(Kind.REQUEST_TOO_LARGE, status=429, message="request too large"),
    Rule(Kind.CONTENT_POLICY, code="content_policy_violation"),
    Rule(Kind.CONTENT_POLICY, status=403, message="moderation|guardrail|input was flagged"),  # OpenRouter
    Rule(Kind.OVERLOADED, code="provider_overloaded"),  # OpenRouter
    Rule(Kind.OVERLOADED, code="provider_unavailable"),  # OpenRouter
)


class OpenAICompatible:
    """Speak OpenAI's chat dialect to one vendor, and what else its table has a path for."""

    dialect: ClassVar[Dialect]
    codecs: ClassVar[Mapping[str, Codec]] = CODECS
    decoder_class: ClassVar[type[ChatDecoder]] = ChatDecoder
    settings: ClassVar[frozenset[str]] = frozenset()
    operations: frozenset[str] = frozenset({"chat"})
    framing: Literal["sse", "ndjson"] = "sse"
    cancel_stops_billing: bool = False

    def __init__(self, options: Options) -> None:
        self.name = options.name
        self.options = options
        base_url = (options.base_url or self.dialect.base_url).rstrip("/")
        if not base_url.startswith(("https://", "http://")):
            raise ConfigurationError(
                f"providers.{options.name}.base_url must begin with https:// or http://, not {base_url[:40]!r}."
            )
        self.base_url = base_url
        self.url = base_url + self.dialect.path
        self.operations = frozenset({*self.operations, *self.dialect.paths})
        self.one_choice = self.dialect.one_choice
        self._heads: dict[tuple[Secret, bool], dict[str, str | Secret]] = {}
        self._rules = (*self.dialect.errors, *COMMON_RULES)
        self._peer = Peer(self.name, self.classify, self.refused)

    def models(self) -> Sequence[ModelInfo]:
        """List the models of the data file beside the plug-in's module."""
        return load_models(type(self).__module__, self.name)

    # -- requests ---------------------------------------------------------------------------

    def encode(self, request: ChatRequest, key: Secret, target: Target) -> HTTPRequest:
        """Write a chat request; `notes` names what was renamed, clamped or dropped."""
        if request.operation != "chat":
            return self._encode_other(request, key, target)
        body = {"model": target.model, **self.dialect.defaults, **target.params, **request.body}
        body.update(request.extra.get(self.name, {}))
        # What was routed and allowed is what is sent: `extra` may add fields, not change these.
        body["model"], body["messages"] = target.model, request.messages
        body.pop("stream", None)
        if request.stream:
            body["stream"] = True
            if self.dialect.asks_usage:
                options = body.get("stream_options")
                body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        notes: list[str] = []
        if not self.dialect.asks_usage and body.pop("stream_options", None) is not None:
            notes.append(f"stream_options was dropped: {self.name} refuses it")
        self._apply_table(body, notes)
        self.adapt(body, target, notes)
        headers = self._headers(key, request.stream)
        return HTTPRequest("POST", self.url, headers, to_json(body), list(dict.fromkeys(notes)))

    def _encode_other(self, request: ChatRequest, key: Secret, target: Target) -> HTTPRequest:
        """Write a request of another operation, in the dialect its path is for."""
        notes: list[str] = []
        codec = self.codecs[request.operation]
        body = codec.encode(self._peer, request, target, notes)
        if request.native is not None:
            self._drop_refused(body, notes)
            self.adapt_native(request.operation, body, target, notes)
        headers = {**codec.headers(self._headers(key, request.stream), key), **request.headers}
        return HTTPRequest("POST", self.address(request.operation), headers, to_json(body), notes)

    def address(self, operation: str) -> str:
        """Give the URL of an operation besides chat."""
        return self.base_url + self.dialect.paths[operation]

    def adapt(self, body: dict[str, Any], target: Target, notes: list[str]) -> None:
        """Change a request body for this vendor beyond its table; the messages may be shared."""

    def adapt_native(self, operation: str, body: dict[str, Any], target: Target, notes: list[str]) -> None:
        """Change a caller's own body in another dialect for this vendor; what is in it may be shared."""

    def _apply_table(self, body: dict[str, Any], notes: list[str]) -> None:
        dialect = self.dialect
        for ours, theirs in dialect.rename.items():
            if ours in body:
                value = body.pop(ours)
                body.setdefault(theirs, value)
                notes.append(f"{ours} was sent as {theirs}")
        self._drop_refused(body, notes)
        if dialect.roles or dialect.message_drop:
            body["messages"] = [self._message(message, notes) for message in body["messages"]]

    def _drop_refused(self, body: dict[str, Any], notes: list[str]) -> None:
        for name in sorted(self.dialect.drop & body.keys()):
            del body[name]
            notes.append(f"{name} was dropped: {self.name} refuses it")

    def _message(self, message: dict[str, Any], notes: list[str]) -> dict[str, Any]:
        role = self.dialect.roles.get(message["role"])
        dropped = self.dialect.message_drop & message.keys()
        if role is None and not dropped:
            return message
        notes += (f"messages[].{name} was dropped: {self.name} refuses it" for name in sorted(dropped))
        changed = {name: value for name, value in message.items() if name not in dropped}
        if role is not None:
            changed["role"] = role
            notes.append(f"role {message['role']} was sent as {role}")
        return changed

    def _headers(self, key: Secret, stream: bool) -> dict[str, str | Secret]:
        found = self._heads.get((key, stream))
        if found is None:
            if len(self._heads) >= 512:
                self._heads.clear()
            found = self._heads[key, stream] = self.headers(key, stream)
        return found

    def headers(self, key: Secret, stream: bool) -> dict[str, str | Secret]:
        """Give the request headers; kept per key, so it is asked once."""
        from .. import __version__

        return {
            self.dialect.auth_header: key.prefixed(self.dialect.auth_prefix),
            "content-type": "application/json",
            "accept": "text/event-stream" if stream else "application/json",
            "accept-encoding": "identity",
            "user-agent": f"aigateway/{__version__}",
        }

    def continuation(self, request: ChatRequest, text: str) -> ChatRequest | None:
        """Ask to go on after `text`, the answer so far; None where this vendor or this request cannot."""
        asked = {**request.body, **request.extra.get(self.name, {})}
        if not (self.dialect.prefill and text and _is_plain(asked) and request.messages[-1]["role"] != "assistant"):
            return None
        messages = [*request.messages, {"role": "assistant", "content": text}]
        return replace(request, body={**request.body, "messages": messages})

    # -- answers ----------------------------------------------------------------------------

    def decode(self, request: ChatRequest, response: WireResponse) -> Reply:
        """Read a whole chat completion. Raises ProviderError for every failure, inside 200 too."""
        failure = WireFailure(response.status, response.headers, response.body, at=response.at)
        if not 200 <= response.status < 300:
            raise self.classify(failure)
        body = read_object(response.body, "the answer")
        other = request.operation != "chat"
        if self.refused(body) if other else self.failed(body):
            raise self.classify(WireFailure(response.status, response.headers, event=body, at=response.at))
        if other:
            return self.codecs[request.operation].decode(self._peer, request, body, response.at)
        for choice in body["choices"]:
            self._read_choice(choice)
        if not body["choices"]:
            raise nonsense("the answer has no choices")
        body.setdefault("object", "chat.completion")
        usage = usage_of(body, self.dialect.charged)
        if usage is None:
            body.pop("usage", None)  # nobody is shown figures we do not believe
        return Reply(body, usage or Usage(), provider=self.name)

    def refused(self, body: Mapping[str, Any]) -> bool:
        """Tell whether a body, or an event, inside a 200 says that it is a failure; in every operation."""
        return bool(body.get("error"))

    def failed(self, body: Mapping[str, Any]) -> bool:
        """Tell whether a whole chat body inside a 200 is a failure."""
        return self.refused(body) or not isinstance(body.get("choices"), list)

    def _read_choice(self, choice: object) -> None:
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            raise nonsense("a choice has no message")
        message = choice["message"]
        self.fix_message(message)
        check_message(message)
        check_index(choice)
        finish = check_finish(choice, self.dialect)
        if finish == "content_filter" and not message.get("content") and not message.get("tool_calls"):
            raise ProviderError(Kind.CONTENT_POLICY, WITHHELD)

    def fix_message(self, message: dict[str, Any]) -> None:
        """Bring a message into OpenAI's shape; reasoning becomes `reasoning_content`."""
        name = self.dialect.reasoning
        if name != "reasoning_content" and name in message:
            message["reasoning_content"] = message.pop(name)
        message.setdefault("content", None)
        message.setdefault("role", "assistant")

    def listing(self, key: Secret) -> HTTPRequest:
        """Ask for the list of models; costs nothing, and tells whether the key is good."""
        return HTTPRequest("GET", self.base_url + "/models", dict(self.headers(key, False)))

    def parse_models(self, response: WireResponse) -> list[str]:
        """Read the ids of a `GET /models` answer. Raises ProviderError as `decode` does."""
        failure = WireFailure(response.status, response.headers, response.body)
        if not 200 <= response.status < 300:
            raise self.classify(failure)
        try:
            rows = from_json(response.body)["data"]
            return [row["id"] for row in rows if isinstance(row["id"], str)]
        except (ValueError, KeyError, TypeError, IndexError):
            raise nonsense("the list of models makes no sense") from None

    def decoder(self, request: ChatRequest) -> StreamDecoder:
        """Start reading a stream."""
        if request.operation != "chat":
            return self.codecs[request.operation].decoder(self._peer, request)
        return self.decoder_class(self.dialect, self.classify)

    # -- failures ---------------------------------------------------------------------------

    def classify(self, failure: WireFailure) -> ProviderError:
        """Say what a failure means by this vendor's table, then by OpenAI's, then by status."""
        return classify(failure, read_error(failure), self._rules)


def _is_plain(asked: Mapping[str, Any]) -> bool:
    """Tell whether one plain text was asked for: half a tool call or half an object cannot be gone on with."""
    several = asked.get("n", 1) != 1 or asked.get("tools") or asked.get("functions")
    return not several and asked.get("response_format") in (None, {"type": "text"})

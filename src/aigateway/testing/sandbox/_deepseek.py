"""The stand-in for DeepSeek: thinking on by default, `code` the same in every error, usage on the last chunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._messages import Messages
from ._responses import Responses
from ._server import Request
from ._speech import Chat, Speech, pieces, speak, text_of
from ._vendors import CREATED, DONE, Event, RefusalError, Response, StandIn, Stream, event, masked

__all__ = ["DeepSeek"]

ROLES = ("system", "user", "assistant", "tool", "latest_reminder")
BETA = "/beta/chat/completions"
BLANK = b"\n"
COMMENT = b": keep-alive\n\n"
ANY_ORIGIN = {"access-control-allow-credentials": "true"}
VARY = {"vary": "origin, access-control-request-method, access-control-request-headers"}
STREAM_HEAD = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
NO_JSON = "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'."
FINGERPRINT = "fp_5c1e7d20aa_prod1017_fp8_kvcache_20261017"
LONGEST_ANSWER = 393216
FAILURES = {
    400: ("invalid_request_error", "Failed to deserialize the JSON body into the target type"),
    401: ("authentication_error", "Authentication Fails, Your api key is invalid"),
    402: ("unknown_error", "Insufficient Balance"),
    422: ("invalid_request_error", "Invalid parameters"),
    429: ("rate_limit_error", "Your current concurrency is 501, which exceeds your concurrency limit of 500."),
    500: ("internal_error", "Internal server error, please retry shortly"),
    503: ("service_unavailable_error", "The server is overloaded. Please try again later."),
}


class DeepSeek(StandIn):
    """api.deepseek.com."""

    name = "deepseek"
    title = "DeepSeek"
    base_path = ""
    chat_paths = ("/chat/completions", "/v1/chat/completions", BETA)
    models_paths = ("/models", "/v1/models")
    operations = {"/responses": Responses(reasons=True), "/anthropic/v1/messages": Messages()}  # noqa: RUF012  # as its base
    model_names = ("deepseek-flash", "deepseek-v4-pro")
    hidden_names = ("deepseek-v4-flash", "deepseek-v4-flash-vision-exp")  # accepted, not listed
    keep_alive = (BLANK, COMMENT)

    # -- what it refuses --------------------------------------------------------------------

    def check(self, chat: Chat) -> None:
        """Refuse what DeepSeek refuses; unknown parameters are ignored."""
        for index, message in enumerate(chat.messages):
            self._check_message(chat, index, message)
        if chat.model not in self.model_names + self.hidden_names:
            raise self._refused("Model Not Exist")
        if chat.format == "json_schema":
            raise self._refused("This response_format type is unavailable now")
        if chat.format == "json_object" and not any("json" in text_of(message).lower() for message in chat.messages):
            raise self._refused(NO_JSON)
        self._check_numbers(chat)
        if "prefix" in chat.messages[-1]:
            self._check_prefix(chat)
        if self._thinks(chat):
            self._check_thinking(chat)

    def _check_message(self, chat: Chat, index: int, message: dict[str, Any]) -> None:
        if message["role"] not in ROLES:
            names = ", ".join(f"`{role}`" for role in ROLES)
            raise ValueError(f"messages[{index}].role: unknown variant `{message['role']}`, expected one of {names}")
        parts = message.get("content")
        if chat.model == "deepseek-v4-pro" and isinstance(parts, list):
            for part in parts:
                kind = part.get("type") if isinstance(part, dict) else None
                if kind != "text":
                    raise ValueError(f"messages[{index}]: unknown variant `{kind}`, expected `text`")

    def _check_prefix(self, chat: Chat) -> None:
        if chat.path != BETA:
            raise self._refused('prefix is only available when using beta api (set base_url="<address>/beta")')
        if chat.messages[-1]["role"] != "assistant":
            raise self._refused("prefix is only available for the last message, of the role assistant")
        if self._thinks(chat):
            raise self._refused("prefix is not available in thinking mode")  # not documented: the stricter guess

    def _check_numbers(self, chat: Chat) -> None:
        most = chat.number("max_tokens")
        if most is not None and not 1 <= most <= LONGEST_ANSWER:
            raise self._refused(f"Invalid max_tokens value, the valid range of max_tokens is [1, {LONGEST_ANSWER}]")
        for name, low, high in (("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0)):
            value = chat.number(name)
            if value is not None and not low <= value <= high:
                raise self._refused(f"Invalid parameters: {name} should be in [{low:g}, {high:g}]", 422)

    def _check_thinking(self, chat: Chat) -> None:
        for message, _ in chat.calls():
            if message["role"] == "assistant" and not message.get("reasoning_content"):
                raise self._refused("The `reasoning_content` in the thinking mode must be passed back to the API.")
        if chat.body.get("tool_choice") == "required":
            raise self._refused("Thinking mode does not support this tool_choice")

    def _thinks(self, chat: Chat) -> bool:
        return chat.thinking != "disabled"

    def _refused(self, message: str, status: int = 400) -> RefusalError:
        return RefusalError(self._error(status, "invalid_request_error", message))

    # -- what it says -----------------------------------------------------------------------

    def chat(self, chat: Chat) -> Response | Stream:
        """Answer, with thoughts unless they are switched off."""
        json = chat.format == "json_object"
        said = speak(chat, self.title, reasons=self._thinks(chat), limit=chat.number("max_tokens"), structured=json)
        frame = {"id": self._uuid(), "object": "chat.completion", "created": CREATED, "model": said.model}
        if chat.stream:
            return Stream(STREAM_HEAD, self._events(frame, said))
        choice = {"index": 0, "message": self._message(said), "logprobs": None, "finish_reason": said.finish}
        body = {**frame, "choices": [choice], "usage": self._usage(said), "system_fingerprint": FINGERPRINT}
        found = self.json(200, body)
        return Response(found.status, found.headers, found.body, lead=BLANK * 2)

    def _message(self, said: Speech) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": said.content}
        if said.reasoning:
            message["reasoning_content"] = said.thought
        if said.call is not None:
            function = {"name": said.call.name, "arguments": said.call.arguments}
            message["tool_calls"] = [{"index": 0, "id": self._call_id(), "type": "function", "function": function}]
        return message

    def _events(self, frame: dict[str, Any], said: Speech) -> Iterator[Event]:
        quiet = {"reasoning_content": None} if said.reasoning else {}
        opening = {"content": None, "reasoning_content": ""} if said.reasoning else {"content": ""}
        head = {**frame, "object": "chat.completion.chunk", "system_fingerprint": FINGERPRINT}

        def chunk(delta: dict[str, Any], finish: str | None = None, **last: object) -> dict[str, Any]:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return {**head, "choices": [choice], "usage": None, **last}

        yield Event(COMMENT * 2, "comment")
        yield event(chunk({"role": "assistant", **opening}))
        for piece in said.reasoning:
            yield event(chunk({"content": None, "reasoning_content": piece}), "content")
        yield Event(COMMENT, "comment")
        for piece in said.text:
            yield event(chunk({"content": piece, **quiet}), "content")
        if said.call is not None:
            function = {"name": said.call.name, "arguments": ""}
            opened = {"index": 0, "id": self._call_id(), "type": "function", "function": function}
            yield event(chunk({"tool_calls": [opened]}), "content")
            for piece in pieces(said.call.arguments):
                yield event(chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}), "content")
        yield event(chunk({"content": "", **quiet}, said.finish, usage=self._usage(said)), "finish")
        yield DONE

    def _usage(self, said: Speech) -> dict[str, Any]:
        usage: dict[str, Any] = {
            "prompt_tokens": said.prompt_tokens,
            "completion_tokens": said.completion_tokens,
            "total_tokens": said.prompt_tokens + said.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
            "prompt_cache_hit_tokens": said.cached_tokens,
            "prompt_cache_miss_tokens": said.prompt_tokens - said.cached_tokens,
        }
        if said.reasoning:
            usage["completion_tokens_details"] = {"reasoning_tokens": len(said.reasoning)}
        return usage

    def _uuid(self) -> str:
        return "-".join(self.identifier(size) for size in (8, 4, 4, 4, 12))

    def _call_id(self) -> str:
        return f"call_00_{self.identifier(24)}"

    def head(self, status: int) -> dict[str, str]:
        """Name no limits and no request id."""
        return ANY_ORIGIN | VARY if status == 200 else ANY_ORIGIN

    def model_entry(self, name: str) -> dict[str, Any]:
        """Three fields are all."""
        return {"id": name, "object": "model", "owned_by": "deepseek"}

    # -- how it fails -----------------------------------------------------------------------

    def unauthorized(self, key: str) -> Response:
        """401, with a piece of the key, as octets."""
        message = f"Authentication Fails, Your api key: {masked(key)} is invalid"
        return self._octets(
            self._error(401, "authentication_error", message if key else "Authentication Fails (governor)")
        )

    def bad_request(self, message: str) -> Response:
        """Use the words of its JSON reader."""
        failed = "Failed to deserialize the JSON body into the target type"
        return self._error(400, "invalid_request_error", f"{failed}: {message}")

    def failing(self, status: int, model: str) -> Response:
        """Any status in its one error form."""
        kind, message = FAILURES.get(status, FAILURES[500] if status >= 500 else FAILURES[400])
        return self._error(status, kind, message)

    def rate_limited(self, seconds: float, model: str) -> Response:
        """429 about concurrency, without any header that names a wait."""
        return self._octets(self.failing(429, model))

    def no_money(self, model: str, *, stream: bool) -> Response:
        """402."""
        return self.failing(402, model)

    def unknown_path(self, request: Request) -> Response:
        """404 without a body."""
        return Response(404, self.head(404), b"")

    def _error(self, status: int, kind: str, message: str) -> Response:
        # The code is the same whatever the status: a trap for whoever classifies by it.
        body = {"error": {"message": message, "type": kind, "param": None, "code": "invalid_request_error"}}
        return self.json(status, body)

    def _octets(self, response: Response) -> Response:
        return Response(
            response.status, {**response.headers, "content-type": "application/octet-stream"}, response.body
        )
